from __future__ import annotations

import argparse
import json
import re

import pytest

from jenkins_proxy import cli
from jenkins_proxy.cli import deploy
from jenkins_proxy.cli.jenkins_step import params as step_params
from jenkins_proxy.errors import UsageError


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(allow_abbrev=False)
    made.add_argument("service")
    made.add_argument("count", nargs="?")
    made.add_argument("-p", "--project")
    made.add_argument("--probe-path")
    made.add_argument("--scale", type=int)
    made.add_argument("-f", "--file", action="append")
    made.add_argument("--no-proxy", action="store_true")
    return made


@pytest.fixture
def parse(parser):
    """``parse({…}, "deploy", …)`` is what the command gets from these values and arguments."""

    def run(values, *argv: str) -> dict:
        text = values if isinstance(values, str) else json.dumps(values)
        words = step_params.extend(list(argv or ("deploy",)), "deploy", parser, {step_params.VARIABLE: text})
        return vars(parser.parse_args(words[1:]))

    return run


def test_without_the_variable_nothing_changes(parser):
    argv = ["deploy", "books-ms"]
    assert step_params.extend(argv, "deploy", parser, {}) is argv


def test_every_kind_of_value(parse):
    found = parse(
        {
            "service": "books-ms",
            "count": 0,
            "probePath": "/health",
            "scale": 0,
            "file": ["a.yml", "b.yml"],
            "noProxy": True,
            "project": None,
        }
    )
    assert found == {
        "service": "books-ms",
        "count": "0",
        "probe_path": "/health",
        "scale": 0,
        "file": ["a.yml", "b.yml"],
        "no_proxy": True,
        "project": None,
    }


def test_positional_values_stand_in_the_commands_order(parse):
    assert parse({"count": "+2", "service": "books-ms"})["count"] == "+2"
    assert parse({"count": -1, "service": "books-ms"})["count"] == "-1"


@pytest.mark.parametrize("value", ["--no-proxy", "-p", "a b", "$(id)", "a\nb", "\"'", "=", "{{"])
def test_a_value_stays_a_value(parse, value):
    found = parse({"service": "books-ms", "count": value, "probePath": value, "file": [value]})
    assert (found["count"], found["probe_path"], found["file"]) == (value, value, [value])
    assert found["no_proxy"] is False


@pytest.mark.parametrize("nothing", [None, "", False, []])
def test_nothing_gives_nothing(parse, nothing):
    found = parse({"service": "books-ms", "probePath": nothing, "count": None})
    assert (found["probe_path"], found["count"]) == (None, None)


def test_arguments_win(parse):
    found = parse({"service": "from-environment", "scale": 3}, "deploy", "from-argument", "--scale", "5")
    assert (found["service"], found["scale"]) == ("from-argument", 5)


@pytest.mark.parametrize(
    "values, message",
    [
        ("{", "JENKINS_PROXY_PARAMS is not JSON"),
        ([1], "JENKINS_PROXY_PARAMS is not a JSON object"),
        ({"scal": 3, "service": "b", "pat": "/"}, r"deploy: unknown parameter\(s\) pat, scal"),
        ({"help": True}, r"unknown parameter\(s\) help"),
        ({"probe-path": "/"}, r"unknown parameter\(s\) probe-path"),
        ({"noProxy": "true"}, "noProxy takes true or false, not 'true'"),
        ({"probePath": True}, "probePath takes text or a number, not True"),
        ({"probePath": {"a": 1}}, "probePath takes text or a number"),
        ({"file": [["a.yml"]]}, "file takes text or a number"),
        ({"service": ["a", "b"]}, "service takes text or a number"),
        ({"file": ["a.yml", "b\0"]}, r"file: 'b\\x00' holds a character that no argument can hold"),
        ({"file": "\ud800"}, r"file: '\\ud800' holds a character that no argument can hold"),
    ],
)
def test_values_that_are_wrong(parse, values, message):
    with pytest.raises(UsageError, match=message):
        parse(values)


def test_what_is_known_is_told(parse):
    with pytest.raises(UsageError) as caught:
        parse({"scal": 3})
    assert caught.value.hint == "known: count, file, noProxy, probePath, project, scale, service"


@pytest.mark.parametrize(
    ("name", "values", "problems"),
    [
        (
            "scale",
            {"service": "b", "amount": "many"},
            ["amount: 'many' is not a number of instances: give 3, +2 or -1"],
        ),
        ("scale", {"service": "b", "amount": -1}, []),
        (
            "rollback",
            {"service": "a b", "timeout": "0"},
            ["timeout: '0' is not a number of seconds above 0", "service "],
        ),
        ("deploy", {}, []),
        (
            "deploy",
            {"proxy": "127.0.0.1:99999", "consul": "ftp://x", "entry": "x y", "scale": "x"},
            [
                "scale: ",
                "consul: 'ftp://x' is not an http:// or https:// address",
                "proxy: 'http://127.0.0.1:99999' is not",
                "entry: 'http://x y' is not",
            ],
        ),
        ("deploy", {"proxy": "127.0.0.1:8081", "consul": "https://c", "entry": "http://[fd00::1]"}, []),
    ],
)
def test_positional_values_are_checked_as_well(name: str, values: dict, problems: list[str]) -> None:
    found = cli.value_problems(name, {step_params.VARIABLE: json.dumps(values)})
    assert [one[: len(start)] for one, start in zip(found, problems)] == problems
    assert len(found) == len(problems), found


def test_every_wrong_value_is_in_one_answer_and_in_the_steps_words() -> None:
    """Each build of a Jenkinsfile takes minutes: one mistake a build would cost a morning."""
    command = argparse.ArgumentParser()
    deploy.add_arguments(command)
    values = {
        "service": "books ms",
        "sevice": "x",
        "path": ["api", "/good"],
        "pathType": "glob",
        "domain": "a b",
        "strategy": "bluegreen",
        "scale": "none",
        "checkStatus": "ok",
        "checkHost": "a/b",
        "probePath": "health",
        "slowStart": "soon",
        "dryRun": "yes",
        "file": [["a.yml"]],
        "timeout": "90",
    }
    with pytest.raises(UsageError) as caught:
        step_params.extend(["deploy"], "deploy", command, {step_params.VARIABLE: json.dumps(values)})
    message = caught.value.message
    assert message.startswith("13 problems: (1) deploy: unknown parameter(s) sevice (is service meant?) (2) ")
    for key in set(values) - {"sevice", "timeout"}:
        assert re.search(rf"\(\d+\) {key}\b", message), key
    assert "--" not in message

"""Every block of code in the pages is checked against the code; a kind of block that nobody checks is an error."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from jenkins_proxy import __version__, settings
from jenkins_proxy.deployment.outcome import Outcome, Users
from jenkins_proxy.deployment.phases import Phases
from jenkins_proxy.deployment.report import Report
from jenkins_proxy.model import Address, Instance, Route
from jenkins_proxy.proxy.api.serializers import route_json
from jenkins_proxy.proxy.models import RouteState, ServedInstance
from jenkins_proxy.seeding import load
from tests.docs import markdown, shell, sources, steps
from tests.docs.pages import PAGES

# Not checked: what a program printed, drawings, and pictures that are drawn from the contracts.
UNCHECKED = ("console", "text", "mermaid")


def bash(text: str, _folder: Path) -> list[str]:
    return shell.problems(text)


def groovy(text: str, _folder: Path) -> list[str]:
    return [f"line {call.line}: {problem}" for call in steps.calls(text) for problem in steps.problems(call)]


def json_text(text: str, _folder: Path) -> list[str]:
    """What is like a document of ours has its fields; a route may leave some out."""
    data = json.loads(text)
    served = ServedInstance(Instance("books-ms", "id", Address("10.0.0.1", 1)), True)
    state = route_json(RouteState(Route("books-ms", ("/api",)), 1, (served,)))
    route = data if "paths" in data else data.get("route", {})
    problems = [f"a route has no field {name}" for name in route if name not in state["route"]]
    if "applied" in data:
        problems += _differences(data, state) + _differences(data["instances"][0], state["instances"][0])
    elif "rolled_back" in data:
        outcome = Outcome(users=Users(4812, 0, 12.2, exact=True))
        problems += _differences(data, Report("books-ms", outcome, Phases().seconds()).as_dict())
    return problems


def _differences(written: Mapping[str, object], real: Mapping[str, object]) -> list[str]:
    return [f"{name} is only in one of page and code" for name in sorted(written.keys() ^ real.keys())]


def yaml_text(text: str, folder: Path) -> list[str]:
    data = yaml.safe_load(text)
    file = folder / "page.yaml"
    file.write_text(text, encoding="utf-8")
    if "seed" in data:
        load.load(file, variables={})
    elif "services" in data:
        return [f"{name} has no image" for name, service in data["services"].items() if "image" not in service]
    elif "unclassified" not in data:
        settings.resolve({}, {}, str(file))
    return []


def python(text: str, _folder: Path) -> list[str]:
    ast.parse(text)
    return []


def keepalived(text: str, _folder: Path) -> list[str]:
    """Only the form: what it asks of HAProxy is asked by the test of two proxies."""
    tracked = set(re.findall(r"track_script \{\s*(\w+)", text)) - set(re.findall(r"vrrp_script (\w+)", text))
    return [f"no vrrp_script {name}" for name in tracked] + ["braces"] * (text.count("{") != text.count("}"))


CHECKS: dict[str, Callable[[str, Path], list[str]]] = {
    "bash": bash,
    "groovy": groovy,
    "json": json_text,
    "yaml": yaml_text,
    "python": python,
    "keepalived": keepalived,
}


def blocks() -> Iterator[tuple[Path, markdown.Block]]:
    for page in PAGES:
        for block in markdown.blocks(page.read_text(encoding="utf-8")):
            yield page, block


def test_every_block_has_a_kind_that_is_known() -> None:
    kinds = {f"{page.name}:{block.line}": block.kind for page, block in blocks()}
    assert {where: kind for where, kind in kinds.items() if kind not in (*CHECKS, *UNCHECKED)} == {}


def test_no_fence_is_left_open() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert len(re.findall(r"^```", text, re.M)) == 2 * len(list(markdown.blocks(text))), page.name


@pytest.mark.parametrize(
    ("page", "block"),
    [pytest.param(page, block, id=f"{page.name}:{block.line}") for page, block in blocks() if block.kind in CHECKS],
)
def test_a_block_is_as_the_code_is(page: Path, block: markdown.Block, tmp_path: Path) -> None:
    assert CHECKS[block.kind](block.text, tmp_path) == [], f"{page.name}, line {block.line}"


def test_the_projects_own_jenkinsfile_calls_the_steps_as_they_are(tmp_path: Path) -> None:
    text = (sources.REPOSITORY / "Jenkinsfile").read_text(encoding="utf-8")
    assert [call.step for call in steps.calls(text)] == ["deployWithProxy", "removeFromProxy"]
    assert groovy(text, tmp_path) == []
    for script in re.findall(r"script: '(.*?)'", text):
        assert shell.problems(script) == []


def test_the_pages_name_this_version() -> None:
    """A pinned version that is not ours is one that nobody can install."""
    for page in (page for page in PAGES if page.name != "CHANGELOG.md"):
        text = page.read_text(encoding="utf-8")
        pinned = re.findall(r"jenkins-proxy(?:\[\w+\])?(?:@|==|:| |/|\.git@)(\d+\.\d+\.\d+)", text)
        assert set(pinned) <= {__version__}, page.name


def test_readme_is_short_and_its_jenkinsfile_has_twelve_lines() -> None:
    text = (sources.REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    (pipeline,) = [block for block in markdown.blocks(text) if block.kind == "groovy"]
    assert len(pipeline.text.splitlines()) == 12


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("jenkins-proxy deploy books-ms --path /api --foto", "unrecognized arguments: --foto"),
        ("jenkins-proxy deploi books-ms", "there is no command 'deploi'"),
        ("A=1 jenkins-proxy scale books-ms", "the following arguments are required: N|+N|-N"),
        ("jenkins-proxy scale books-ms 3 \\\n  --timeout soon", "argument --timeout"),
        ("true && python -m jenkins_proxy status --jason", "unrecognized arguments: --jason"),
        ("curl 127.0.0.1:8081/v1/rutes", "GET /v1/rutes is none of the registered routes"),
        ("curl -X PATCH 127.0.0.1:8081/v1/routes/books-ms", "PATCH /v1/routes/books-ms is none"),
        ("curl 127.0.0.1/v1/routes", "127.0.0.1 has no API"),
        ("curl $CONSUL_HTTP_ADDR/v1/catalog/servces", "GET /v1/catalog/servces is none"),
        ("bash tests/rum", "there is no file tests/rum"),
        ("pip install jenkins-proxy==0.9.0", f"this is version {__version__}, not 0.9.0"),
        ("python -m tests.docs.write", "there is no module tests.docs.write"),
        ("puppet apply site.pp", "the program puppet is unknown"),
    ],
)
def test_a_wrong_command_line_is_seen(line: str, problem: str) -> None:
    assert any(problem in found for found in shell.problems(line)), shell.problems(line)


@pytest.mark.parametrize(
    "line",
    [
        "jenkins-proxy deploy books-ms --path /api/v1/books --scale $SCALE -f a.yml   # a comment; with --signs",
        "JENKINS_PROXY_TOKEN=… jenkins-proxy status --json > status.json",
        "jenkins-proxy seed --help",
        "curl -sI 127.0.0.1/api/v1/books | head -1",
        'curl -X PUT "$JENKINS_PROXY_URL/v1/routes/books-ms" -d \'{"paths": ["/api"]}\' && git status',
    ],
)
def test_a_right_command_line_passes(line: str) -> None:
    assert shell.problems(line) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("deployWithProxy service: 'a', path: '/a'", []),
        ("deployWithProxy(service: 'a', // paht: 1\n  domain: 'paht: {(')", []),
        ("deployWithProxy(serviceName: 'a', servicePath: f(x: 1, y: [z: 2]))", []),
        (
            "deployWithProxy service: 'a', paht: '/a'",
            ["deployWithProxy takes no paht", "deployWithProxy needs path or "],
        ),
        (
            "scaleWithProxy(service: 'a', instances: 2)\nremoveFromProxy(service: 'a', scale: 1)",
            ["removeFromProxy takes"],
        ),
        (
            "deployWithProxy service: 'a',\n    path: '/a',\n    wrong: 1\necho name: 'x'",
            ["deployWithProxy takes no wrong"],
        ),
    ],
)
def test_calls_of_the_steps_are_read(text: str, expected: list[str], tmp_path: Path) -> None:
    found = groovy(text, tmp_path)
    assert len(found) == len(expected)
    assert all(part in problem for part, problem in zip(expected, found))

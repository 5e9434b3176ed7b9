"""What holds for all of ``vars/``, also for the next step that is added."""

from __future__ import annotations

import argparse
import importlib
import re
from pathlib import Path

import pytest

from jenkins_proxy import __version__, settings
from jenkins_proxy.route_options.option import Kind
from jenkins_proxy.route_options.table import OPTIONS

VARS = Path(__file__).resolve().parents[2] / "vars"
ALL = sorted(VARS.glob("*.groovy"))
INTERNAL = ("jenkinsProxy", "jenkinsProxyCandidates", "jenkinsProxyKeys")
STEPS = [path for path in ALL if path.stem not in INTERNAL]
GO_ON = ("promote", "abort")
# What is more than a number, or where 0 is a value and not the absence of one.
TEXTS = ("amount", "batch", "batchDelay", "checkPath", "checkStatus", "drain", "drainStreams", "maxErrors")
every_file = pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
every_step = pytest.mark.parametrize("path", STEPS, ids=lambda path: path.stem)


def code(path: Path) -> str:
    """The file without comments."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.S)
    return re.sub(r"(^|\s)//.*", "", text)


def bare(path: Path) -> str:
    """The code without what its texts say."""
    return re.sub(r"'[^'\n]*'|\"[^\"\n]*\"", "''", code(path))


def keys(path: Path, name: str) -> dict[str, tuple[str, str]]:
    """A map of keys as the file has it: key to its default and its comment, as they are written."""
    body = re.search(rf"@Field final Map {name} = \[\n(.*?)\n\]", path.read_text(encoding="utf-8"), re.S).group(1)
    lines = [re.fullmatch(r"    (\w+): (.+?), +// (.+)", line) for line in body.splitlines()]
    assert all(lines), f"{path.name}: a key without a default or a comment in {name}"
    return {line.group(1): (line.group(2), line.group(3)) for line in lines}


def common(name: str) -> dict[str, tuple[str, str]]:
    return keys(VARS / "jenkinsProxyKeys.groovy", name)


def command(path: Path) -> str:
    return re.search(rf"jenkinsProxy\('{path.stem}', '(\w+)', DEFAULTS, ", path.read_text(encoding="utf-8")).group(1)


def option_names(name: str) -> dict[str, argparse.Action]:
    """The options of a command by the keys that the step has for them."""
    parser = argparse.ArgumentParser(prog=name, add_help=False)
    importlib.import_module(f"jenkins_proxy.cli.{name}").add_arguments(parser)
    return {
        camel(action.option_strings[-1]) if action.option_strings else action.dest: action for action in parser._actions
    }


def all_keys(path: Path) -> dict[str, tuple[str, str]]:
    """Every key that a step takes: a step that takes a path takes the options of a route."""
    route = common("ROUTE") if "path" in keys(path, "DEFAULTS") else {}
    return {**documented_keys(path), **route}


def documented_keys(path: Path) -> dict[str, tuple[str, str]]:
    """Every key that the help of a step explains: a step that can hold candidates has keys for their test."""
    own = keys(path, "DEFAULTS")
    return {**own, **(common("TEST") if "hold" in own else {}), **common("OPTIONS"), **common("JENKINS")}


def camel(option: str) -> str:
    return re.sub(r"-(\w)", lambda match: match.group(1).upper(), option[2:])


def test_the_steps_are_these():
    assert {path.stem: command(path) for path in STEPS} == {
        "deployWithProxy": "deploy",
        "promoteProxy": "promote",
        "abortProxy": "abort",
        "scaleWithProxy": "scale",
        "reconfigureProxy": "reconfigure",
        "removeFromProxy": "remove",
        "undeployWithProxy": "undeploy",
        "rollbackProxy": "rollback",
    }


@every_step
def test_a_step_takes_exactly_its_commands_options(path: Path):
    mine = set(all_keys(path)) - set(common("JENKINS")) - set(common("TEST"))
    elsewhere = {"config", *(camel(known.argument) for known in settings.SETTINGS if known.argument)}
    # stdout is the answer to the step, and the environment gives the key of the candidates.
    options = (set(option_names(command(path))) | elsewhere) - {"json", "keyFile"}
    if command(path) in GO_ON:
        # They take all that a deploy takes, and know it already.
        assert (
            mine
            < options
            == set(all_keys(VARS / "deployWithProxy.groovy"))
            - {
                *common("JENKINS"),
                *common("TEST"),
                "dryRun",
            }
        )
    else:
        assert mine == options


@every_step
def test_a_default_has_its_options_type(path: Path):
    options = option_names(command(path))
    lists = {"path", "domain", *(key for key, option in options.items() if isinstance(option.default, list))}
    for key, (default, _) in keys(path, "DEFAULTS").items():
        if options[key].nargs == 0:
            assert default == "false", key
        elif key in lists:
            assert default == "[]", key
        elif options[key].type and key not in TEXTS:
            assert default == "0", key
        else:
            assert default == "''", key


@every_step
def test_a_step_is_a_map_of_defaults_and_one_call(path: Path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) - len(keys(path, "DEFAULTS")) <= 17
    body = re.sub(r"@Field final Map DEFAULTS = \[\n.*?\n\]", "", code(path), flags=re.S)
    assert re.sub(r"\s+", " ", re.sub(r"'\w+', '\w+', DEFAULTS, \[.*?\]", "X", body)).strip() == (
        "import groovy.transform.Field Map call(config = [:], block = null) { return jenkinsProxy(X, config, block) }"
        " Map call(config, block, third, Object... more) { return call(null) }"
    )


@every_step
def test_no_key_means_two_things(path: Path):
    route = common("ROUTE") if "path" in keys(path, "DEFAULTS") else {}
    maps = [keys(path, "DEFAULTS"), route, common("TEST"), common("OPTIONS"), common("JENKINS")]
    assert len(set().union(*maps)) == sum(len(one) for one in maps)


def test_the_options_of_a_route_are_those_of_the_table():
    """Names, defaults and meanings; ``path`` and ``domain`` are keys of the steps, as each says it in its own way."""
    literals = {Kind.TEXT: "''", Kind.LIST: "[]", Kind.FLAG: "false", Kind.SECONDS: "0"}
    expected = {}
    for option in OPTIONS:
        if option.groovy and option.name not in ("service", "paths", "domains"):
            literal = literals[option.kind]
            same = option.default_text in ("", literal)
            note = "" if same else f" ({literal}: {option.default_text})"
            expected[option.groovy] = (literal, option.meaning + note)
    assert common("ROUTE") == expected
    first = {option.groovy for option in OPTIONS if option.name in ("service", "paths", "domains")}
    assert first <= set(keys(VARS / "deployWithProxy.groovy", "DEFAULTS"))


@every_step
def test_the_help_names_every_key_with_its_type_or_default_and_what_it_means(path: Path):
    documented = documented_keys(path)
    text = path.with_suffix(".txt").read_text(encoding="utf-8")
    assert key_lines(text) == described(documented)
    assert ("see jenkinsProxyKeys on this page" in text) is (set(all_keys(path)) != set(documented))


def test_the_help_of_the_keys_names_the_options_of_a_route():
    text = (VARS / "jenkinsProxyKeys.txt").read_text(encoding="utf-8")
    assert key_lines(text) == described(common("ROUTE"))


def described(known: dict[str, tuple[str, str]]) -> list[str]:
    """The lines of a help page for these keys."""
    kinds = {"''": "text", "[]": "text or list", "0": "number"}
    lines = []
    for key, (default, meaning) in known.items():
        special = {"stage": "true or text", "lock": "true or text", "notify": "text or closure"}
        kind = special.get(key) or kinds.get(default, f"default: {default.strip(chr(39))}")
        lines.append(f"    {key} ({kind}) - {meaning}")
    return lines


def key_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if re.match(r"    \w+ \(", line)]


@every_step
def test_the_help_has_what_a_reader_looks_for(path: Path):
    text = path.with_suffix(".txt").read_text(encoding="utf-8")
    for wanted in (
        "\nDECLARATIVE\n",
        "\nSCRIPTED\n",
        "\nEXIT CODES\n",
        "\nCREDENTIALS\n",
        "pipeline {",
        "node('docker') {",
        f"@Library('jenkins-proxy@{__version__}') _",
        "143",
    ):
        assert wanted in text, f"{path.stem}.txt has no {wanted}"


@every_file
def test_the_help_reads_well_as_plain_text(path: Path):
    """A Jenkins shows it as it is, tags and all, unless somebody has chosen another markup formatter."""
    text = path.with_suffix(".txt").read_text(encoding="utf-8")
    assert not re.search("[<>&]", text)
    assert text == text.strip() + "\n"


@every_file
def test_every_file_says_what_it_is(path: Path):
    assert path.read_text(encoding="utf-8").startswith("// ")
    assert path.with_suffix(".txt").is_file()


@every_file
def test_only_the_runner_knows_the_shell(path: Path):
    shells = re.findall(r"\b(sh|bat|powershell|pwsh|writeFile)\b", bare(path))
    assert shells == (["sh", "sh"] if path.stem == "jenkinsProxy" else [])
    for arguments in re.findall(r"\bsh\((.*?)\)\n", code(path), re.S):
        assert "label: " in arguments and "$" not in arguments and "+" not in arguments


@every_file
def test_nothing_that_the_sandbox_or_a_plain_jenkins_refuses(path: Path):
    assert not re.findall(
        r"readJSON|JsonSlurper|new File|\.execute\(|System\.|Jenkins\.|@Grab|\bnode *[({]|import com|"
        r"docker\.image|evaluate|\bscript *\{|toSorted|\.sort\b|Matcher|=~|\bwith *\{|properties\(",
        # NonCPS is Pipeline's own.
        bare(path).replace("==~", "").replace("import com.cloudbees.groovy.cps.NonCPS\n", ""),
    )


@every_file
def test_no_state(path: Path):
    fields = re.findall(r"@Field.*", code(path))
    assert all(re.match(r"@Field final (Map|String) [A-Z]+ = ", field) for field in fields)
    # An assignment without a type at the start of a method would be a variable of the whole script.
    for name in re.findall(r"@Field final \w+ ([A-Z]+)", code(path)):
        assert not re.search(rf"\b{name}(\.\w+|\[[^\]]*\])? *(=|<<|\+=)[^=~]", code(path).replace(f"{name} = ", "", 1))


def test_one_version(repository: Path):
    runner = (VARS / "jenkinsProxy.groovy").read_text(encoding="utf-8")
    project = (repository / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r"@Field final String VERSION = '(.+?)'", runner).group(1) == __version__
    assert re.search(r'^version = "(.+?)"', project, re.M).group(1) == __version__

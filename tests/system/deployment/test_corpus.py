"""Compose files of the shapes that public projects have: each is planned with compose v2 and with v1."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from jenkins_proxy.cli import main
from jenkins_proxy.orchestrator import volumes
from jenkins_proxy.orchestrator.parse import parse
from jenkins_proxy.orchestrator.runner import reason
from tests.fixtures import render_v1
from tests.system.deployment.corpus.shapes import BY_NAME, CORPUS, SHAPES, Shape, variables

by_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)


def test_every_file_is_here_and_says_its_shape():
    assert sorted(path.stem for path in CORPUS.glob("*.yml")) == sorted(BY_NAME)
    assert len(SHAPES) == 30
    for path in CORPUS.rglob("*.yml"):
        assert path.read_text().startswith("# "), path.name


@pytest.fixture
def edge(docker, project):
    """The network that ``external-network`` asks for."""
    name = f"{project.name}-edge"
    subprocess.run([docker, "network", "create", name], check=True, capture_output=True)
    yield name
    subprocess.run([docker, "network", "rm", name], check=True, capture_output=True)


def planned(project, shape: Shape, flavour: str, monkeypatch) -> tuple[int, dict]:
    """``deploy --dry-run``, in this process: the exit code, and the report."""
    for name, value in {**project.machine.environment, **variables(project.image, project.name)}.items():
        monkeypatch.setenv(name, value)
    report = project.folder / "plan.json"
    words = [word for file in shape.files for word in ("-f", str(CORPUS / file))]
    words += ["-p", project.name, "--orchestrator", flavour, "--target", shape.asked_for]
    code = main(["deploy", project.name, "--path", f"/{project.name}", *words, "--dry-run", "--report", str(report)])
    return code, json.loads(report.read_text())


def plan_of(shape: Shape, count: int = 1) -> list[str]:
    """The first steps of what a dry run says."""
    start = f"start {count} new container(s) of {shape.target} beside the old ones"
    return [
        *([f"start where it does not run: {', '.join(shape.needs)}"] if shape.needs else []),
        *([f"run to its end: {', '.join(shape.once)}"] if shape.once else []),
        *([start] if shape.strategy == "rolling" else []),
    ]


@by_shape
def test_planned_with_v2(project, shape, monkeypatch, request):
    if shape.name == "external-network":
        code, report = planned(project, shape, "compose-v2", monkeypatch)
        assert code == 2
        assert f"the external network {project.name}-edge is not there" in report["error"]["message"]
        request.getfixturevalue("edge")
    code, report = planned(project, shape, "compose-v2", monkeypatch)
    if "compose-v2" in shape.refused:
        assert code == 2
        assert shape.refused["compose-v2"] in report["error"]["message"]
        return
    assert code == 0, report["error"]
    assert report["strategy"] == shape.strategy
    count = 2 if shape.name in ("scale", "swarm") else 1
    assert [step for step in report["plan"]["steps"] if step.startswith(("start", "run"))] == plan_of(shape, count)
    assert report["plan"]["instances"] == count


class NoImages:
    """An engine without any."""

    def image(self, reference):
        return None


@pytest.fixture(scope="module")
def rendered_by_v1(compose_v1):
    """``rendered_by_v1(shape)`` is how v1 ended that renders its files."""
    calls = [[*(word for file in shape.files for word in ("-f", str(CORPUS / file))), "config"] for shape in SHAPES]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables(lambda version: f"shop:{version}", "shop").items():
            patch.setenv(name, value)
        ended = render_v1.ended(compose_v1, calls)
    return dict(zip((shape.name for shape in SHAPES), ended)).get


@by_shape
def test_planned_with_v1(rendered_by_v1, shape):
    """What v1 makes of the file is planned as what v2 makes of it: the plan knows no more of it than this."""
    ended = rendered_by_v1(shape.name)
    if "compose-v1" in shape.refused:
        assert ended["code"] == 1
        assert shape.refused["compose-v1"] in reason(ended["err"].splitlines())
        return
    assert ended["code"] == 0, ended["err"]
    config = yaml.safe_load(ended["out"])
    project = parse("shop", config, config["services"][shape.asked_for].get("profiles", []))
    target = project.target(shape.asked_for)
    sides = project.sides(target.name)
    lost = volumes.unnamed(config["services"], target.name, NoImages(), [])

    assert target.name == shape.target
    assert ("recreate" if target.obstacle or lost else "rolling") == shape.strategy
    assert {*sides.needs} == {*shape.needs, *shape.once}
    assert sides.one_shots == shape.once


def test_what_v1_refuses_is_said_before_anything_is_touched(project, compose_v1, monkeypatch):
    code, report = planned(project, BY_NAME["include"], "compose-v1", monkeypatch)
    assert code == 2
    assert "'include' does not match any of the regexes" in report["error"]["message"]

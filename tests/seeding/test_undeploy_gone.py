"""The job for branches that are gone: rendered from the page's example, and run with steps that only record."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from jenkins_proxy.seeding import load, render
from tests.docs import markdown

STEPS = r"""
def node(label, body) { body() }
def deleteDir() { println 'deleteDir' }
def git(Map where) { println "git ${where.url}" }
def withEnv(List environment, body) { environment.each { println it }; body() }
def echo(text) { println text }
def error(text) { println "error ${text}"; throw new IllegalStateException(text) }
def catchError(body) { try { body() } catch (Exception failed) { println "failed ${failed.message}" } }
def undeployWithProxy(Map config) {
    println "undeploy ${config}"
    if (config.service.endsWith('locked')) { throw new Exception(config.service) }
}
def sh(Map asked) { return asked.script.startsWith('docker ps') ? PROJECTS : BRANCHES }
"""

PROJECTS = (
    "books-ms-branch-main ",
    "books-ms-branch-feature-x ",
    "books-ms-branch-feature-x ",
    "books-ms-branch-locked ",
    "books-ms-branch-shop-blue ",
    "books-ms-branch-gone-green ",
    "books-ms-branch-red-blue ",
    " books-ms-branch-stack",
    "books-ms-branch-a-very-long-name-of-a-branch-that ",
    "books-ms-admin ",
    "books-ms ",
    " ",
)
BRANCHES = ("main", "red-blue", "Shop", "a/very_long name.of-a-branch-that-nobody-types", "")


@pytest.fixture(scope="module")
def blocks(repository: Path) -> dict[str, str]:
    text = (repository / "docs/seeding.md").read_text(encoding="utf-8")
    section = text[text.index("## Branches that are gone") :]
    first = {}
    for block in markdown.blocks(section):
        first.setdefault(block.kind, block.text)
    return first


@pytest.fixture(scope="module")
def script(blocks, tmp_path_factory) -> str:
    """What the page's example is rendered to."""
    file = tmp_path_factory.mktemp("seed") / "jobs.yaml"
    file.write_text(blocks["yaml"])
    (item,) = [item for item in render.items(load.load(file, variables={})) if item.kind == "job"]
    assert item.path == "undeploy-gone-books-ms"
    return item.config.findtext("definition/script")


def test_the_branches_deploy_under_the_names_that_the_job_looks_for(blocks, script):
    function = re.compile(r"^String nameOf.*?^}", re.S | re.M)

    assert function.search(blocks["groovy"])[0] == function.search(script)[0]


def test_what_it_undeploys_it_undeploys_with_the_options(script):
    call = re.search(r"undeployWithProxy\((.*?)\n {12}\)", script, re.S)[1]

    assert [line.strip().rstrip(",") for line in call.strip().splitlines()] == [
        "service: name, project: name",
        "withSides: true",
        "proxyTokenCredentialsId: 'jenkins-proxy'",
        "volumes: true",
    ]


@pytest.fixture(scope="module")
def ran(groovy, script, tmp_path_factory) -> list[list[str]]:
    """What the job does: with these branches, and where the repository shows none. Both in one JVM."""
    folder = tmp_path_factory.mktemp("groovy")
    runs = []
    for number, branches in enumerate((BRANCHES, ("", ""))):
        listed = {"BRANCHES": branches, "PROJECTS": PROJECTS}
        fields = [f"{name} = {render.groovy(chr(10).join(lines))}" for name, lines in listed.items()]
        file = folder / f"job{number}.groovy"
        file.write_text("\n".join([*fields, STEPS, script.partition("_\n")[2]]))
        runs.append(f"try {{ evaluate(new File('{file}')) }} catch (IllegalStateException failed) {{}}\nprintln '---'")
    (folder / "both.groovy").write_text("\n".join(runs))
    done = subprocess.run([groovy, str(folder / "both.groovy")], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [part.splitlines() for part in done.stdout.split("---\n")]


def test_what_runs_of_branches_that_are_gone_goes_and_nothing_else(ran):
    lines = ran[0]

    gone = [re.search(r"project:([^,]+)", line)[1] for line in lines if line.startswith("undeploy ")]
    assert gone == [f"books-ms-branch-{name}" for name in ("feature-x", "locked", "gone", "stack")]
    assert "failed books-ms-branch-locked" in lines, "and the others go on"
    assert lines[:2] == ["deleteDir", "git https://git.example.com/books-ms.git"]


def test_a_repository_without_branches_undeploys_nothing(ran):
    assert ran[1][-1] == "error the repository shows no branch: nothing is undeployed"

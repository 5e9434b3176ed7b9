"""What is looked up before anything is written: the library's version, plugins, labels."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from jenkins_proxy.errors import JenkinsServerError, UsageError
from jenkins_proxy.seeding.needs import check, git_refs, loaded
from jenkins_proxy.seeding.needs.git_refs import Refs
from jenkins_proxy.seeding.needs.library import Library
from jenkins_proxy.seeding.spec import Git, Job, Scm, Service, Template

PLUGINS = "/pluginManager/api/json"
ALL = [plugin for names in check._IDS.values() for plugin in names]
BOOKS = Service("books-ms", git=Git("u"), options={"proxyTokenCredentialsId": "p"})
DEPLOY = Template("deploy", BOOKS, {})


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> str:
    """A repository with the branches main and 1.0.x and the tags 0.9.0 and 0.10.0, one of them annotated."""
    folder = tmp_path_factory.mktemp("library")
    for words in (
        "init -q -b main",
        "commit -q --allow-empty -m all",
        "branch 1.0.x",
        "tag 0.10.0",
        "tag -a 0.9.0 -m old",
    ):
        argv = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.com", *words.split()]
        subprocess.run(argv, check=True)
    return f"file://{folder}"


def installed(answer, *names: str):
    return answer(200, json.dumps({"plugins": [{"shortName": name, "active": True} for name in names]}).encode())


def label(answer, *nodes: str):
    return answer(200, json.dumps({"nodes": [{"nodeName": node} for node in nodes], "clouds": []}).encode())


def test_branches_and_tags_are_listed(repository: str) -> None:
    assert git_refs.read(repository, 30).names == ("main", "0.9.0", "0.10.0", "1.0.x")


@pytest.mark.parametrize(
    ("refs", "version", "lacks"),
    [
        (Refs(("main", "1.0.0")), "1.0.0", False),
        (Refs(("main", "1.0.0")), "main", False),
        (Refs(("main", "1.0.0")), "1.0.1", True),
        (Refs(("main", "1.0.0")), "1.0", True),
        (Refs(("main",)), "0123abc", False),  # a commit, which is not listed
        (Refs(reason="no access"), "1.0.0", False),
        (Refs(()), "1.0.0", True),
    ],
)
def test_whether_a_version_is_known_to_be_missing(refs: Refs, version: str, lacks: bool) -> None:
    assert refs.lacks(version) is lacks


@pytest.mark.parametrize(
    ("remote", "reason"),
    [
        ("file:///nowhere", "^'/nowhere' does not appear to be a git repository"),
        ("https://me:hunter2@127.0.0.1:9/x.git", "127.0.0.1"),
        ("--upload-pack=touch /tmp/x", "."),
        ("ext::sh -c touch", "."),
    ],
)
def test_a_repository_that_does_not_answer_is_not_known(remote: str, reason: str) -> None:
    found = git_refs.read(remote, 30)
    assert found.names == () and found.reason
    assert "hunter2" not in found.reason
    assert re.search(reason, found.reason)


def test_without_git_or_in_time_it_is_not_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_refs.read("file:///x", 5) == Refs(reason="git is not installed here")
    git = tmp_path / "git"
    git.write_text("#!/bin/sh\nexec /bin/sleep 20\n")
    git.chmod(0o755)
    assert git_refs.read("file:///x", 0.2) == Refs(reason="no answer within 0.2 s")


@pytest.mark.parametrize(
    ("job", "plugins"),
    [
        (Job("x", "node { }"), {"Pipeline: Job"}),
        (Job("a/x", "@Library('mine') _\nnode { }"), {"Folders", "Pipeline: Groovy Libraries"}),
        (Job("x", "\n  pipeline {\n"), {"Pipeline: Declarative"}),
        (Job("x", Scm(Git("u"))), {"Git"}),
        (Job("x", DEPLOY), {"Git", "Pipeline: Groovy Libraries", "Credentials Binding"}),
        (
            Job("x", Template("scale", Service("b"), {"lock": True})),
            {"Pipeline: Groovy Libraries", "Lockable Resources"},
        ),
        (Job("x", Template("scale", Service("b"), {"lock": ""})), {"Pipeline: Groovy Libraries"}),
        (Job("x", Template("own.j2", Service("b"), {}, Path("own.j2"))), set()),
    ],
)
def test_the_plugins_that_a_job_needs(job: Job, plugins: set[str]) -> None:
    assert set(check.plugins(job)) - {"Pipeline: Job"} == plugins - {"Pipeline: Job"}


def test_the_older_name_of_a_plugin_counts() -> None:
    jobs = [Job("x", "@Library('a') _"), Job("y", "@Library('a') _")]
    assert check.missing_plugins(jobs, ["workflow-job", "workflow-cps-global-lib"], library=False) == []
    assert check.missing_plugins(jobs, ["workflow-job"], library=True) == [
        ("Pipeline: Groovy Libraries", "--library and 2 more"),
        ("Git", "--library"),
    ]


def test_all_that_is_missing_is_in_one_answer(fake, answer, repository: str) -> None:
    fake.fault("GET", PLUGINS, installed(answer, "workflow-job", "git"))
    fake.fault("GET", "/label/docker/api/json", label(answer))
    with pytest.raises(UsageError) as caught:
        check.check(fake.connect(), [Job("x", DEPLOY), Job("y", DEPLOY)], Library("jp", "1.0.0", repository), "", 30)
    assert caught.value.message == (
        f"4 problems: (1) the library jp has no version 1.0.0 in {repository}, which has main, 0.9.0, 0.10.0, 1.0.x "
        f"(2) Jenkins at {fake.url} has no plugin Pipeline: Groovy Libraries (pipeline-groovy-lib), which "
        f"--library and 2 more needs (3) Jenkins at {fake.url} has no plugin Credentials Binding "
        f"(credentials-binding), which x and 1 more needs (4) Jenkins at {fake.url} has no node and no cloud with the "
        "label docker, which x and 1 more runs on"
    )
    assert "git tag 1.0.0 && git push --tags" in caught.value.hint
    assert fake.writes() == []


def test_a_plugin_that_is_switched_off_is_not_there(fake, answer) -> None:
    off = [{"shortName": "workflow-job", "active": False}]
    fake.fault("GET", PLUGINS, answer(200, json.dumps({"plugins": off}).encode()))
    with pytest.raises(JenkinsServerError, match=r"no plugin Pipeline: Job \(workflow-job\), which x needs"):
        check.check(fake.connect(), [Job("x", "node { }")], None, "", 30)


def test_what_this_user_may_not_see_is_not_missing(fake, answer) -> None:
    fake.fault("GET", PLUGINS, answer(403))
    fake.fault("GET", "/label/docker/api/json", answer(403))
    library = Library("jp", "1.0.0", "file:///nowhere")
    (said,) = check.check(fake.connect(), [Job("x", DEPLOY)], library, "", 30)
    assert said.startswith("whether the library has a version 1.0.0 could not be checked from here: ")


def test_the_label_of_a_node_that_is_about_to_be_made_is_not_asked_for(fake, answer) -> None:
    fake.fault("GET", PLUGINS, installed(answer, *ALL))
    jobs = [Job("x", DEPLOY), Job("y", Template("deploy", Service("b", agent="docker && big"), {}))]
    assert check.check(fake.connect(), jobs, None, "docker", 30) == []
    assert [path for _, path in fake.requests if path.startswith("/label")] == []


def test_an_expression_of_labels_that_no_node_fits_is_told(fake, answer) -> None:
    fake.fault("GET", PLUGINS, installed(answer, *ALL))
    fake.fault("GET", "/label/docker%20%26%26%20big/api/json", label(answer))
    jobs = [Job("y", Template("deploy", Service("b", agent="docker && big"), {}))]
    with pytest.raises(JenkinsServerError, match="no node and no cloud with the label docker && big, which y runs on"):
        check.check(fake.connect(), jobs, None, "", 30)


LIBS = "descriptorByName/org.jenkinsci.plugins.workflow.libs"
SUGGEST, VERSION = f"{LIBS}.LibraryStep/autoCompleteIdentifier", f"{LIBS}.LibraryConfiguration/checkDefaultVersion"


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("@Library('jp@1.0.0') _", [("jp", "1.0.0")]),
        ('@Library("jp")\nimport x', [("jp", "")]),
        ("@Library(['jp@main', 'b@2']) _", [("jp", "main")]),
        ("@Library(value = 'jp@1', changelog = false) _", [("jp", "1")]),
        ('@Library("jp@${x}") _', []),
        ("library 'jp@1'", []),
    ],
)
def test_the_libraries_that_a_script_loads(script: str, found: list) -> None:
    assert loaded.libraries(script) == found


def suggested(answer, *names: str):
    return answer(200, json.dumps({"suggestions": [{"name": name} for name in names]}).encode())


NO_VERSION = "the library jp in Jenkins has no version 1.0.0, which team/x loads: builds will end with"


@pytest.mark.parametrize(
    ("there", "said"),
    [
        # For everybody; in the folder; for nobody where the folder is still to be made; where that is not to be seen.
        ({"": ["jp", "jp-old"]}, [NO_VERSION]),
        ({"": ["jp-old"], "job/team/": ["jp"]}, [NO_VERSION]),
        ({"": ["jp-old"], "job/team/": None}, ["Jenkins has no library jp, which team/x loads: register it"]),
        ({"": None}, []),
    ],
)
def test_a_library_that_builds_will_not_find(fake, answer, there: dict, said: list) -> None:
    for folder, names in there.items():
        fake.fault("GET", f"/{folder}{SUGGEST}", answer(404) if names is None else suggested(answer, *names))
    folder = "job/team/" if there.get("job/team/") else ""
    reason = b'<div class="warning">Revision seems invalid:<br>ERROR: Could not resolve 1.0.0<br></div>'
    fake.fault("POST", f"/{folder}{VERSION}", answer(200, reason))
    scripts = {"team/x": "@Library('jp@1.0.0') _", "y": "@Library('ours@1') _"}
    found = loaded.check(fake.connect(), scripts, "ours")
    assert [line[: len(begin)] for line, begin in zip(found, said, strict=True)] == said


@pytest.mark.parametrize("reply", ['<div class="ok">Currently maps to revision: 39d4</div>', "Connection refused", ""])
def test_a_version_that_jenkins_finds_or_cannot_look_for_is_not_told(fake, answer, reply: str) -> None:
    fake.fault("GET", f"/{SUGGEST}", suggested(answer, "jp"))
    fake.fault("POST", f"/{VERSION}", answer(200, reply.encode()) if reply else answer(silent=True))
    assert loaded.check(fake.connect(), {"x": "@Library('jp@1.0.0') _"}, "") == []

"""What jobs need besides themselves: the node and the library."""

from __future__ import annotations

import dataclasses
import json
from urllib.parse import parse_qs

import pytest
import yaml

from jenkins_proxy.errors import JenkinsServerError
from jenkins_proxy.seeding.needs import library, node
from jenkins_proxy.seeding.needs.library import Library

LABEL = "/label/docker/api/json"
OURS = Library("jenkins-proxy", "1.0.0", "https://example.com/it's.git")


def label(answer, **more):
    return answer(200, json.dumps({"offline": False, "nodes": [], "clouds": [], **more}).encode())


@pytest.mark.parametrize(
    ("about", "ready", "advice"),
    [
        ({"nodes": [{"nodeName": ""}, {"nodeName": "n2"}]}, True, "the label docker is on the built-in node, n2"),
        ({"nodes": [{"nodeName": "n1"}], "offline": True}, False, "the label docker is on n1, which is offline"),
        ({"clouds": [{"name": "k8s"}], "offline": True}, True, "the label docker is on a cloud"),
    ],
)
def test_a_label_that_something_has_is_left_alone(fake, answer, about: dict, ready: bool, advice: str) -> None:
    fake.fault("GET", LABEL, label(answer, **about))
    assert node.ensure(fake.connect(), "docker", dry_run=False) == node.Agent(False, ready, advice)
    assert fake.writes() == []


def test_a_dry_run_makes_no_node(fake, answer) -> None:
    fake.fault("GET", LABEL, label(answer, offline=True))
    assert node.ensure(fake.connect(), "docker", dry_run=True).created
    assert fake.writes() == []


def test_a_node_is_made_for_an_inbound_agent(fake, answer) -> None:
    fake.fault("GET", LABEL, label(answer, offline=True))
    about = answer(200, b'{"displayName": "docker"}')
    fake.fault("GET", "/computer/docker/api/json", answer(404), answer(404), about)
    fake.fault("POST", "/computer/doCreateItem", answer(200))
    made = node.ensure(fake.connect(), "docker", dry_run=False)
    assert made == node.Agent(
        True, False, f"connect an agent to the node docker, with the command that {fake.url}/computer/docker/ shows"
    )
    form = parse_qs(fake.bodies[fake.requests.index(("POST", "/computer/doCreateItem"))].decode())
    sent = json.loads(form["json"][0])
    assert (form["name"], sent["labelString"], sent["mode"]) == (["docker"], "docker", "EXCLUSIVE")
    assert sent["launcher"] == {"stapler-class": "hudson.slaves.JNLPLauncher", "webSocket": True}


def test_a_node_of_that_name_that_people_made_is_left_alone(fake, answer) -> None:
    fake.fault("GET", LABEL, label(answer, offline=True))
    fake.fault("GET", "/computer/docker/api/json", answer(200, b'{"displayName": "docker"}'))
    with pytest.raises(JenkinsServerError, match="has a node docker, without the label docker") as caught:
        node.ensure(fake.connect(), "docker", dry_run=True)
    assert caught.value.hint == (
        f"give it the label under {fake.url}/computer/docker/configure, or give the label to another node"
    )
    assert fake.writes() == []


def test_a_node_that_may_not_be_made(fake, answer) -> None:
    fake.fault("GET", LABEL, label(answer, offline=True))
    fake.fault("POST", "/computer/doCreateItem", answer(403))
    with pytest.raises(JenkinsServerError, match="cannot create the node docker in Jenkins at .*: 403"):
        node.ensure(fake.connect(), "docker", dry_run=False)


def test_a_node_that_another_seed_made_at_the_same_moment_is_there(fake, answer) -> None:
    fake.fault("GET", LABEL, label(answer, offline=True))
    about = answer(200, b'{"displayName": "docker"}')
    fake.fault("GET", "/computer/docker/api/json", answer(404), answer(404), about)
    fake.fault("POST", "/computer/doCreateItem", answer(400, headers={"X-Error": "Agent called docker already exists"}))
    assert node.ensure(fake.connect(), "docker", dry_run=False).created


@pytest.mark.parametrize(
    ("printed", "line"),
    [
        ("+\n", "+ library jenkins-proxy@1.0.0 from https://example.com/it's.git"),
        ("=\n", "= library jenkins-proxy@1.0.0 from https://example.com/it's.git"),
        (
            "~\nversion 0.9.0 -> 1.0.0\ncredentials none -> reg\n",
            "~ library jenkins-proxy: version 0.9.0 -> 1.0.0, credentials none -> reg",
        ),
    ],
)
def test_the_library_is_registered_by_a_script(fake, answer, printed: str, line: str) -> None:
    fake.fault("POST", "/scriptText", answer(200, printed.encode()))
    outcome = library.register(fake.connect(), OURS, dry_run=False)
    assert (outcome.symbol, outcome.line(OURS)) == (printed[0], line)
    script = parse_qs(fake.bodies[-1].decode())["script"][0]
    assert "def remote = 'https://example.com/it\\'s.git'" in script
    assert "if (false ||" in script


def test_a_library_whose_version_no_job_may_name(fake, answer) -> None:
    fake.fault("POST", "/scriptText", answer(200, b"~\nversion 0.9.0 -> 1.0.0\nfixed\n"))
    outcome = library.register(fake.connect(), OURS, dry_run=False)
    assert (outcome.changes, outcome.fixed) == (("version 0.9.0 -> 1.0.0",), True)


def test_a_library_that_is_read_in_another_manner_is_not_replaced(fake, answer) -> None:
    fake.fault("POST", "/scriptText", answer(200, b"!\nGitHubSCMSource from https://github.com/o/r.git\n"))
    with pytest.raises(JenkinsServerError) as caught:
        library.register(fake.connect(), OURS, dry_run=False)
    assert caught.value.message == (
        f"the library jenkins-proxy in Jenkins at {fake.url} is read by GitHubSCMSource from "
        "https://github.com/o/r.git, which --library does not replace"
    )


@pytest.mark.parametrize("credentials", ["", "re'g"])
def test_a_user_who_may_not_gets_it_as_code(fake, answer, credentials: str) -> None:
    fake.fault("POST", "/scriptText", answer(403))
    ours = dataclasses.replace(OURS, credentials=credentials)
    assert library.register(fake.connect(), ours, dry_run=False).symbol == ""
    (wanted,) = yaml.safe_load(library.as_code(ours))["unclassified"]["globalLibraries"]["libraries"]
    assert (wanted["name"], wanted["defaultVersion"]) == ("jenkins-proxy", "1.0.0")
    git = {"remote": "https://example.com/it's.git", **({"credentialsId": credentials} if credentials else {})}
    assert wanted["retriever"]["modernSCM"]["scm"] == {"git": git}


def test_a_user_who_may_not_but_sees_that_it_is_there_gets_no_code(fake, answer) -> None:
    """The nightly run of somebody who is no administrator."""
    fake.fault("POST", "/scriptText", answer(403))
    found = {"suggestions": [{"name": "jenkins-proxy"}, {"name": "jenkins-proxy-old"}]}
    path = "/descriptorByName/org.jenkinsci.plugins.workflow.libs.LibraryStep/autoCompleteIdentifier"
    fake.fault("GET", path, answer(200, json.dumps(found).encode()))
    outcome = library.register(fake.connect(), OURS, dry_run=False)
    assert (outcome.symbol, outcome.compared, outcome.line(OURS)) == ("=", False, "= library jenkins-proxy")


def test_a_library_whose_name_only_begins_so_is_another(fake, answer) -> None:
    fake.fault("POST", "/scriptText", answer(403))
    path = "/descriptorByName/org.jenkinsci.plugins.workflow.libs.LibraryStep/autoCompleteIdentifier"
    fake.fault("GET", path, answer(200, b'{"suggestions": [{"name": "jenkins-proxy-old"}]}'))
    assert library.register(fake.connect(), OURS, dry_run=False).symbol == ""


def test_a_script_that_fails_is_told_in_one_line(fake, answer) -> None:
    fake.fault("POST", "/scriptText", answer(200, b"startup failed: no such class\n\tat hudson.x\n"))
    with pytest.raises(JenkinsServerError) as caught:
        library.register(fake.connect(), OURS, dry_run=False)
    assert caught.value.message == (
        f"cannot register the library jenkins-proxy in Jenkins at {fake.url}: startup failed: no such class"
    )


def test_a_jenkins_that_fails_is_not_taken_for_one_that_refuses(fake, answer) -> None:
    fake.fault("POST", "/scriptText", answer(500))
    with pytest.raises(JenkinsServerError, match="cannot run a script in Jenkins at .*: 500"):
        library.register(fake.connect(), OURS, dry_run=False)

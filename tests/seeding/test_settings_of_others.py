"""A seed of 200 jobs, again and again: what it does not own stays as people set it, property by property."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

from jenkins_proxy.console import Console
from jenkins_proxy.seeding import config_xml, load
from jenkins_proxy.seeding.items import FOLDER, JOB, VIEW
from jenkins_proxy.seeding.reconcile import Options, Report, reconcile

SCM = "definition/scm"
REMOTE = f"{SCM}/userRemoteConfigs/hudson.plugins.git.UserRemoteConfig"
TRIGGERS = f"properties/{config_xml.TRIGGERS}/triggers"
# What people set on Jenkins' screens, each where it stands: no seed file has a word for any of it.
OF_A_JOB = {
    "disabled": ("", "<disabled>true</disabled>"),
    "quiet period": ("", "<quietPeriod>7</quietPeriod>"),
    "remote trigger": ("", "<authToken>{AQAAABAAAAAQ}</authToken>"),
    "actions": ("", '<actions><x.DeclarativeJobAction plugin="x@1.0"/></actions>'),
    "display name": ("", "<displayName>Books, &amp; more</displayName>"),
    "discarder": (
        "properties",
        "<jenkins.model.BuildDiscarderProperty><strategy class='hudson.tasks.LogRotator'><numToKeep>5</numToKeep>"
        "</strategy></jenkins.model.BuildDiscarderProperty>",
    ),
    "concurrency": (
        "properties",
        "<org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty>"
        "<abortPrevious>true</abortPrevious>"
        "</org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty>",
    ),
    "rights": (
        "properties",
        "<hudson.security.AuthorizationMatrixProperty><permission>USER:hudson.model.Item.Build:me</permission>"
        "</hudson.security.AuthorizationMatrixProperty>",
    ),
    "clone": (
        f"{SCM}/extensions",
        "<hudson.plugins.git.extensions.impl.CloneOption><shallow>true</shallow>"
        "</hudson.plugins.git.extensions.impl.CloneOption>",
    ),
    "browser": (SCM, "<browser class='hudson.plugins.git.browser.GitLab'><url>https://git</url></browser>"),
    "refspec": (REMOTE, "<refspec>+refs/pull/*:refs/remotes/origin/pr/*</refspec>"),
    "another remote": (
        f"{SCM}/userRemoteConfigs",
        "<hudson.plugins.git.UserRemoteConfig><name>fork</name><url>https://fork</url>"
        "</hudson.plugins.git.UserRemoteConfig>",
    ),
    "trigger": (TRIGGERS, "<com.cloudbees.jenkins.GitHubPushTrigger><spec/></com.cloudbees.jenkins.GitHubPushTrigger>"),
}
JOBS = 200


def text(branch: str = "master", more: str = "") -> str:
    """A seed file of 200 jobs, every second one from a repository, with a folder and a view."""
    lines = ["seed: a", f"folders: [{{name: t, description: 'd{more}'}}]", "jobs:"]
    for number in range(JOBS):
        git = f"scm: {{url: 'https://git/{number}', branch: {branch}}}"
        source = git if number % 2 else f"script: 'echo {number}{more}'"
        cron = ", triggers: {cron: '@daily'}" if number % 3 else ""
        lines.append(f"- {{name: j{number}, folder: t, {source}{cron}}}")
    return "\n".join([*lines, f"views: [{{name: v, folder: t, regex: 'j.*{more}'}}]\n"])


def add(config: bytes, where: str, xml: str) -> bytes:
    """A config.xml with an element more, and the versions of plugins that Jenkins writes."""
    root = config_xml.parse(config)
    place = root
    for step in where.split("/") if where else ():
        inner = place.find(step)
        place = ET.SubElement(place, step) if inner is None else inner
    place.append(ET.fromstring(xml))
    root.find(".").set("plugin", "workflow-job@1426.v2")
    return config_xml.serialise(root).encode()


def theirs(config: bytes) -> dict[str, str]:
    """What was added to an item, as it stands there now."""
    root = config_xml.parse(config)
    found = {}
    for name, (where, xml) in OF_A_JOB.items():
        tag = ET.fromstring(xml).tag
        path = f"{where}/{tag}" if where else tag
        # Of several, the last one is theirs.
        there = root.findall(path)
        found[name] = config_xml.pretty(there[-1]) if there else ""
    return found


@pytest.fixture
def seed(fake, tmp_path):
    def run(content: str) -> Report:
        (tmp_path / "jobs.yaml").write_text(content)
        spec = load.load(tmp_path / "jobs.yaml", variables={})
        return reconcile(spec, fake.connect, Options(), Console(_Nowhere()), lambda *_: None)

    return run


class _Nowhere:
    """The console of a seed of 200 jobs."""

    write: Callable[[object, str], None] = lambda *_: None
    flush: Callable[[object], None] = lambda *_: None
    isatty: Callable[[object], bool] = lambda *_: False


def places(number: int) -> list[str]:
    """Which of them a job gets: one without a repository has no clone to set."""
    return [name for name, (where, _) in OF_A_JOB.items() if number % 2 or not where.startswith("definition")]


def test_two_hundred_jobs_keep_what_others_set(fake, seed) -> None:
    assert len(seed(text()).actions) == JOBS + 2
    expected = {}
    for number in range(JOBS):
        key = (JOB, f"t/j{number}")
        names = places(number)
        # One setting each, and all of them together now and then: a mistake shows alone, and where they meet.
        for name in names if number % 10 > 7 else [names[number // 2 % len(names)]]:
            fake.configs[key] = add(fake.configs[key], *OF_A_JOB[name])
        expected[key] = theirs(fake.configs[key])
    assert {name for found in expected.values() for name, xml in found.items() if xml} >= set(OF_A_JOB)
    for key, xml in (
        ((FOLDER, "t"), "<icon class='x.StockFolderIcon'/>"),
        ((VIEW, "t/v"), "<columns><hudson.views.StatusColumn/></columns>"),
    ):
        fake.configs[key] = add(fake.configs[key], "", xml)
    before, written = dict(fake.configs), len(fake.writes())

    again = seed(text())
    assert [str(action) for action in again.actions if action.symbol != "="] == []
    assert (len(fake.writes()), fake.configs) == (written, before)

    changed = seed(text("main", "x"))
    assert (len(changed.failed), len(fake.writes()) - written) == (0, JOBS + 2)
    for number in range(JOBS):
        key = (JOB, f"t/j{number}")
        now = config_xml.parse(fake.configs[key])
        assert theirs(fake.configs[key]) == expected[key], key
        if number % 2:
            assert now.findtext(f"{SCM}/branches/hudson.plugins.git.BranchSpec/name") == "main"
            assert now.findtext(f"{REMOTE}/url") == f"https://git/{number}"
        else:
            assert now.findtext("definition/script") == f"echo {number}x"
    assert b"StockFolderIcon" in fake.configs[FOLDER, "t"] and b">dx\n" in fake.configs[FOLDER, "t"]
    assert b"StatusColumn" in fake.configs[VIEW, "t/v"] and b"j.*x" in fake.configs[VIEW, "t/v"]


def test_what_a_seed_owns_goes_when_the_file_has_it_no_more(fake, seed) -> None:
    """Credentials and our own kinds of triggers are ours: they are no setting of others."""
    file = "seed: a\njobs: [{name: j, triggers: {cron: '@daily'}, scm: {url: u, credentialsId: c}}]\n"
    seed(file)
    fake.configs[JOB, "j"] = add(fake.configs[JOB, "j"], *OF_A_JOB["trigger"])
    seed(file.replace(", credentialsId: c", "").replace("{cron: '@daily'}", "{}"))
    now = config_xml.parse(fake.configs[JOB, "j"])
    assert now.find(f"{REMOTE}/credentialsId") is None
    assert [trigger.tag for trigger in now.find(TRIGGERS)] == ["com.cloudbees.jenkins.GitHubPushTrigger"]

"""Seeding against a real Jenkins, given by JENKINS_URL, JENKINS_USER and JENKINS_TOKEN of an administrator."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

from jenkins_proxy.errors import JenkinsServerError, UsageError
from jenkins_proxy.seeding.build import follow, start
from jenkins_proxy.seeding.items import FOLDER, JOB
from jenkins_proxy.seeding.jenkins_server import JenkinsServer, Refused
from jenkins_proxy.seeding.needs import library, loaded, node
from jenkins_proxy.seeding.needs.library import Library

pytestmark = pytest.mark.usefixtures("jenkins_stays")

EVERYTHING = """
seed: {name}
folders:
- {{name: {name}, description: "Ünïcode & <b>\\nin two lines"}}
services:
- name: books-ms
  path: /api/v1/books
  composeFile: docker-compose.yml
  folder: {name}/services
  git: {{url: "file:///nowhere", credentialsId: nobody-has-these}}
  jobs: [{{template: deploy}}, {{template: scale}}, {{template: remove}}, {{name: scm, scm: {{}}}}]
jobs:
- name: parameters
  folder: {name}
  script: |
    // ünï <&> ${{COLOUR}}
    echo "${{params.NAME}} ${{params.COLOUR}} ${{params.FLAG}} ${{params.TEXT}}"
  parameters:
  - {{name: NAME, default: " x ", description: "a <b>"}}
  - {{name: TEXT, type: text, default: "one\\ntwo"}}
  - {{name: FLAG, type: boolean, default: true}}
  - {{name: COLOUR, type: choice, choices: [blue, green], default: green}}
  triggers: {{cron: "# yearly\\nH H 1 1 *", pollScm: "@yearly"}}
- {{name: disabled, folder: {name}, disabled: true, script: echo 'x'}}
- name: declarative
  folder: {name}
  script: |
    pipeline {{
        agent none
        options {{ disableConcurrentBuilds() }}
        stages {{ stage('x') {{ steps {{ echo 'x' }} }} }}
    }}
- {{name: broken, folder: {name}, script: "pipeline {{ agent any }}"}}
views:
- {{name: Some, folder: {name}, jobs: [parameters, disabled]}}
- {{name: Matching, folder: {name}, description: d, regex: "d.*"}}
"""


def connect(token: str = "") -> JenkinsServer:
    return JenkinsServer(os.environ["JENKINS_URL"], os.environ["JENKINS_USER"], token or _token())


def _token() -> str:
    file = os.environ.get("JENKINS_TOKEN_FILE")
    return os.environ.get("JENKINS_TOKEN") or Path(file).read_text().strip()


@pytest.fixture
def jenkins() -> JenkinsServer:
    server = connect()
    server.connect()
    return server


@pytest.fixture
def name(jenkins: JenkinsServer):
    """A folder's name that nobody else has; it is deleted in the end."""
    made = f"s-{uuid.uuid4().hex[:8]}"
    yield made
    try:
        jenkins.delete(FOLDER, made)
    except Refused as error:
        assert error.status == 404


@pytest.fixture
def seed(name: str, tmp_path: Path):
    """``seed("--prune", text=…)`` runs the command: exit code, stderr without its prefix, report."""

    def run(*words: str, text: str = EVERYTHING.format(name=name)):
        (tmp_path / "jobs.yaml").write_text(text)
        argv = [sys.executable, "-m", "jenkins_proxy", "seed", "jobs.yaml", *words]
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr.replace("[jenkins-proxy] ", ""), json.loads(done.stdout)

    return run


def test_what_jenkins_saves_of_a_seeded_item_is_no_difference(jenkins: JenkinsServer, seed, name: str) -> None:
    code, text, report = seed()
    assert code == 1, "one script is broken"
    assert f'! {name}/broken (Jenkins refuses the script: Missing required section "stages"' in text
    assert "WARNING: no credentials nobody-has-these where this user can see them" in text
    assert report["counts"] == {"create": 11, "change": 0, "keep": 0, "delete": 0, "refuse": 1}
    saved = jenkins.run_script(f"""def folder = Jenkins.get().getItem('{name}')
        ([folder] + folder.allItems).each {{ it.save() }}
        println folder.allItems.size()""")
    assert saved == "8"
    assert b"plugin=" in jenkins.config(JOB, f"{name}/parameters"), "Jenkins has saved it in its own form"
    _, text, report = seed("--dry-run", "--diff")
    assert report["counts"] == {"create": 0, "change": 0, "keep": 11, "delete": 0, "refuse": 1}, text


def test_jobs_run_as_seeded(jenkins: JenkinsServer, seed, name: str) -> None:
    seed()
    shown: list[str] = []
    queued = start(jenkins, f"{name}/parameters", {"NAME": "ö $x"})
    done = follow(jenkins, queued, shown.append, lambda text: None)
    assert done.result == "SUCCESS", shown
    assert "ö $x green true one" in shown
    queued = start(jenkins, f"{name}/declarative", {})
    done = follow(jenkins, queued, shown.append, lambda text: None)
    assert done.result == "SUCCESS", shown
    assert b"DisableConcurrentBuildsJobProperty" in jenkins.config(JOB, f"{name}/declarative")
    assert "~" not in seed("--dry-run")[1], "what a run adds to a job's configuration is its own"
    with pytest.raises(JenkinsServerError, match=f"the job {name}/disabled is disabled"):
        start(jenkins, f"{name}/disabled", {})
    with pytest.raises(JenkinsServerError, match=f"{name} is a folder, of which nothing is built"):
        start(jenkins, name, {})
    with pytest.raises(UsageError, match="the parameter FLAG of the job .* takes true or false"):
        start(jenkins, f"{name}/parameters", {"FLAG": "maybe"})


def test_changes_prune_and_what_people_made(jenkins: JenkinsServer, seed, name: str) -> None:
    seed()
    jenkins.create(JOB, f"{name}/services/by-hand", "<flow-definition/>")
    jenkins.run_script(f"Jenkins.get().getItemByFullName('{name}/parameters').makeDisabled(true)")
    less = f"seed: {name}\njobs:\n- {{name: parameters, folder: {name}, script: echo 'new'}}\n"
    code, text, report = seed("--prune", "--max-prune", "99", text=less)
    assert code == 0, text
    assert f"= {name}/services/ (no longer seeded, but holds what others made)" in text
    assert (report["counts"]["change"], report["counts"]["delete"]) == (1, 8)
    there = {one.path for one in jenkins.listing() if one.path.startswith(f"{name}/") and one.kind == JOB}
    assert there == {f"{name}/parameters", f"{name}/services/by-hand"}
    config = jenkins.config(JOB, f"{name}/parameters")
    assert b"<disabled>true</disabled>" in config
    assert b"ParametersDefinitionProperty" not in config


def test_a_job_that_people_made_is_adopted_only_when_that_is_asked_for(
    jenkins: JenkinsServer, seed, name: str, tmp_path: Path
) -> None:
    jenkins.create(JOB, name, "<flow-definition><description>theirs</description></flow-definition>")
    before = jenkins.config(JOB, name)
    text = f"seed: {name}\njobs: [{{name: {name}, script: echo 'ours'}}]\n"
    try:
        assert seed(text=text)[0] == 1
        assert jenkins.config(JOB, name) == before
        code, shown, _ = seed("--adopt", text=text)
        assert code == 0, shown
        assert (tmp_path / f"jenkins-proxy-seed.adopted/job/{name}.xml").read_bytes() == before
        assert b"echo 'ours'" in jenkins.config(JOB, name)
    finally:
        jenkins.delete(JOB, name)


def test_another_case_is_another_name_that_jenkins_does_not_know(jenkins: JenkinsServer, seed, name: str) -> None:
    jenkins.create(JOB, name.upper(), "<flow-definition/>")
    try:
        code, text, _ = seed()
        assert code == 1
        assert f"! {name}/ (Jenkins has it as {name.upper()}, and does not tell upper from lower case)" in text
    finally:
        jenkins.delete(JOB, name.upper())


def test_a_password_login_gets_its_crumb(jenkins: JenkinsServer, name: str) -> None:
    secret = uuid.uuid4().hex
    jenkins.run_script(f"""hudson.model.User.getById('{name}', true).addProperty(
        hudson.security.HudsonPrivateSecurityRealm.Details.fromPlainPassword('{secret}'))""")
    try:
        server = JenkinsServer(os.environ["JENKINS_URL"], name, secret)
        server.connect()
        server.create(FOLDER, name, "<com.cloudbees.hudson.plugins.folder.Folder/>")
        assert server._client.crumb
        # What a restart does to the crumb of a client that goes on.
        server._client.crumb["crumb"] = "stale"
        server.delete(FOLDER, name)
    finally:
        jenkins.run_script(f"hudson.model.User.getById('{name}', false).delete()")


_LIBRARIES = "org.jenkinsci.plugins.workflow.libs.GlobalLibraries"


def test_the_library_is_registered_once(jenkins: JenkinsServer, name: str, tmp_path: Path) -> None:
    # For a moment it is in all builds, also those of other workers: it has to exist.
    remotes = []
    for folder in ("it's", "other"):
        (tmp_path / folder / "vars").mkdir(parents=True)
        (tmp_path / folder / f"vars/{name.replace('-', '')}.groovy").write_text("def call() { }\n")
        words = ("init -q -b main", "add .", "-c user.name=a -c user.email=a@example.com commit -q -m all", "tag v2")
        for word in words:
            subprocess.run(["git", "-C", str(tmp_path / folder), *word.split()], check=True)
        remotes.append(f"file://{tmp_path / folder}")
    wanted = Library(name, "main", remotes[0])
    try:
        outcomes = [library.register(jenkins, wanted, dry_run=dry_run).symbol for dry_run in (True, False, False)]
        # What people set on Jenkins' screens.
        jenkins.run_script(f"""def all = {_LIBRARIES}.get()
            def ours = all.libraries.find {{ it.name == '{name}' }}
            ours.implicit = true
            ours.includeInChangesets = false
            ours.retriever.scm.credentialsId = 'reg'
            ours.retriever.scm.traits = [new jenkins.plugins.git.traits.BranchDiscoveryTrait()]
            synchronized (all) {{ all.libraries = all.libraries }}""")
        changed = library.register(jenkins, Library(name, "v2", remotes[1]), dry_run=False)
        scripts = {version: f"@Library('{name}@{version}') _" for version in ("v2", "main", "v3")}
        said = loaded.check(jenkins, {**scripts, f"{name}/x": f"@Library('no-{name}@1') _"}, "")
        kept = jenkins.run_script(f"""{_LIBRARIES}.get().libraries.find {{ it.name == '{name}' }}.with {{
            print([defaultVersion, implicit, includeInChangesets, retriever.scm.remote, retriever.scm.credentialsId,
                   retriever.scm.traits.size()]) }}""")
    finally:
        jenkins.run_script(f"""def all = {_LIBRARIES}.get()
            synchronized (all) {{ all.libraries = all.libraries.findAll {{ it.name != '{name}' }} }}""")
    assert outcomes == ["+", "+", "="]
    assert changed.changes == (
        "version main -> v2",
        f"repository {remotes[0]} -> {remotes[1]}",
    )
    assert kept.startswith(f"[v2, true, false, {remotes[1]}, reg, 1]")
    assert [line.partition(":")[0] for line in said] == [
        f"the library {name} in Jenkins has no version v3, which v3 loads",
        f"Jenkins has no library no-{name}, which {name}/x loads",
    ]


def test_a_library_that_is_there_is_seen_by_who_may_read_jobs(jenkins: JenkinsServer, name: str) -> None:
    """So the nightly run of somebody who is no administrator prints no code for one."""
    try:
        library.register(jenkins, Library(name, "main", "https://example.com/it's.git"), dry_run=False)
        assert library.visible(jenkins, name) == [name]
    finally:
        jenkins.run_script(f"""def all = {_LIBRARIES}.get()
            synchronized (all) {{ all.libraries = all.libraries.findAll {{ it.name != '{name}' }} }}""")
    assert library.visible(jenkins, name) == []


def test_what_jobs_need_is_looked_up_before_anything_is_written(
    jenkins: JenkinsServer, seed, name: str, tmp_path: Path
) -> None:
    remote = tmp_path / "library"
    remote.mkdir()
    for words in ("init -q -b main", "-c user.name=a -c user.email=a@example.com commit -q --allow-empty -m all"):
        subprocess.run(["git", "-C", str(remote), *words.split()], check=True)
    text = (
        f"seed: {name}\nlibrary: {name}@1.0.0\n"
        f"services: [{{name: s, folder: {name}, agent: {name}, jobs: [{{template: deploy}}]}},\n"
        f"  {{name: t, folder: {name}, agent: 'docker && {name}', jobs: [{{template: deploy}}]}}]\n"
    )
    code, shown, _ = seed("--library", f"file://{remote}", text=text)
    assert code == 2
    assert f"the library {name} has no version 1.0.0 in file://{remote}, which has main" in shown
    assert f"has no node and no cloud with the label {name}, which {name}/deploy-s runs on" in shown
    assert f"has no node and no cloud with the label docker && {name}, which {name}/deploy-t runs on" in shown
    assert not [one for one in jenkins.listing() if one.path.startswith(name)]
    assert library.visible(jenkins, name) == []


def test_a_node_is_made_once(jenkins: JenkinsServer, name: str) -> None:
    try:
        made = [node.ensure(jenkins, name, dry_run=dry_run) for dry_run in (True, False, False)]
    finally:
        jenkins.run_script(f"Jenkins.get().getNode('{name}')?.with {{ Jenkins.get().removeNode(it) }}")
    assert [(one.created, one.ready) for one in made] == [(True, False), (True, False), (False, False)]
    assert made[2].advice == f"the label {name} is on {name}, which is offline"


def test_a_console_is_shown_while_it_grows(jenkins: JenkinsServer, seed, name: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    script = f"node {{ echo 'begun'; sh 'while [ ! -e {gate} ]; do sleep 0.1; done; echo over' }}"
    seed(text=f'seed: {name}\njobs: [{{name: slow, folder: {name}, script: "{script}"}}]\n')
    begun, shown = threading.Event(), []

    def show(line: str) -> None:
        shown.append(line)
        if line == "begun":
            gate.touch()
            begun.set()

    done = follow(jenkins, start(jenkins, f"{name}/slow", {}), show, lambda text: None)
    assert (done.result, begun.is_set(), "over" in shown) == ("SUCCESS", True, True)


# What people set on Jenkins' screens, on the jobs of a folder in turn: nothing of it is for a seed.
_THEIRS = """import hudson.triggers.Trigger
import org.jenkinsci.plugins.workflow.job.properties.*
def set = [
    {{ it.quietPeriod = 7 }},
    {{ it.makeDisabled(true) }},
    {{ it.displayName = 'Books & more' }},
    {{ it.addProperty(new jenkins.model.BuildDiscarderProperty(new hudson.tasks.LogRotator(5, 6, 7, 8))) }},
    {{ it.addProperty(new DisableConcurrentBuildsJobProperty()) }},
    {{ it.addProperty(new DurabilityHintJobProperty(
        org.jenkinsci.plugins.workflow.flow.FlowDurabilityHint.PERFORMANCE_OPTIMIZED)) }},
    {{ it.definition.scm.extensions.add(new hudson.plugins.git.extensions.impl.CloneOption(true, '', 3)) }},
    {{ it.definition.scm.browser = new hudson.plugins.git.browser.GitLab('https://git.example.com') }},
    {{ it.addTrigger(new jenkins.triggers.ReverseBuildTrigger('nothing')) }},
]
Jenkins.get().getItem('{name}').items.eachWithIndex {{ job, at -> set[at % set.size()](job); job.save() }}
return"""
# In Jenkins' own form, which a config.xml has once an item was saved.
_CONFIGS = """Jenkins.get().getItem('{name}').items.each {{
    it.save()
    println it.name + ' ' + it.configFile.asString().bytes.encodeBase64()
}}
return"""


def test_two_hundred_jobs_keep_what_others_set(jenkins: JenkinsServer, seed, name: str) -> None:
    def text(branch: str) -> str:
        jobs = "".join(
            f"- {{name: j{number}, folder: {name}, scm: {{url: 'file:///nowhere', branch: {branch}}}}}\n"
            for number in range(200)
        )
        return f"seed: {name}\nfolders: [{{name: {name}, description: x}}]\njobs:\n{jobs}"

    def configs() -> dict[str, str]:
        lines = jenkins.run_script(_CONFIGS.format(name=name)).splitlines()
        return {job: base64.b64decode(xml).decode() for job, xml in (line.split(" ") for line in lines)}

    assert seed("--no-checks", text=text("master"))[2]["counts"]["create"] == 201
    assert jenkins.run_script(_THEIRS.format(name=name)) == ""
    before = configs()
    assert len(before) == 200
    kept = {"create": 0, "change": 0, "keep": 201, "delete": 0, "refuse": 0}
    assert seed("--connections", "4", text=text("master"))[2]["counts"] == kept
    assert configs() == before, "nothing was written"
    assert seed(text=text("main"))[2]["counts"] == {**kept, "change": 200, "keep": 1}
    after = configs()
    assert {job: _lines(xml) for job, xml in after.items()} == {
        job: _lines(xml.replace("<name>master</name>", "<name>main</name>")) for job, xml in before.items()
    }


def _lines(config: str) -> list[str]:
    """A config.xml, whatever the order in which Jenkins writes properties."""
    return sorted(line.strip() for line in config.splitlines())

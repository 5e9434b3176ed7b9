"""A service that goes, from a pipeline in both syntaxes, and with a branch of a multibranch project."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from jenkins_proxy.seeding.items import JOB
from jenkins_proxy.seeding.jenkins_server import JenkinsServer, item_path

MULTIBRANCH = """<org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject>
  <sources class="jenkins.branch.MultiBranchProject$BranchSourceList"><data><jenkins.branch.BranchSource>
    <source class="jenkins.plugins.git.GitSCMSource"><id>all</id><remote>{repository}</remote>
      <traits><jenkins.plugins.git.traits.BranchDiscoveryTrait/></traits></source>
  </jenkins.branch.BranchSource></data></sources>
  <factory class="org.jenkinsci.plugins.workflow.multibranch.WorkflowBranchProjectFactory">
    <scriptPath>Jenkinsfile</scriptPath></factory>
</org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject>"""
# Names and deploy as on the page about seeding.
JENKINSFILE = """@Library('{library}') _
String nameOf(String branch) {{
    String name = '{service}-branch-' + branch.toLowerCase().replaceAll('[^a-z0-9]+', '-')
    return name.replaceAll('^(.{{50}}).*$', '$1').replaceAll('-+$', '')
}}
node {{
    checkout scm
    String name = nameOf(env.BRANCH_NAME)
    withEnv(["SERVICE=${{name}}"]) {{
        deployWithProxy(service: name, project: name, path: '/' + name, file: 'docker-compose.yml', {places})
    }}
}}
"""
COMPOSE = """services:
  app:
    image: {image}
    ports: ["8080"]
    environment:
      SERVICE_NAME: ${{SERVICE}}
      SERVICE_CHECK_TCP: "true"
      SERVICE_CHECK_INTERVAL: 1s
"""


def nothing_left(service) -> None:
    """Neither the engine nor the registry nor the proxy knows a service."""
    assert service.get() in (404, 503)
    label = f"label=com.docker.compose.project={service.name}"
    for kind in (["ps", "-aq"], ["network", "ls", "-q"], ["volume", "ls", "-q"]):
        assert service.docker_lines(*kind, "--filter", label) == [], kind
    assert service.registry(f"v1/health/service/{service.name}") == []
    keys = service.registry("v1/kv/jenkins-proxy/?recurse=true")
    assert [one["Key"] for one in keys if service.name in one["Key"]] == []


def test_scripted_after_a_dry_run_and_with_the_data_only_when_asked(job, services):
    books = services()
    call = books.deploy(volume=True)
    done = job.build(f"""node {{
        {call}
        def planned = {books.undeploy(dryRun="true", volumes="true")}
        sh 'curl -sf {books.machine["entry"]}/{books.name}/'
        def kept = {books.undeploy()}
        def gone = {books.undeploy(volumes="true")}
        def again = {books.undeploy(volumes="true")}
        echo "RESULT ${{groovy.json.JsonOutput.toJson([all: [planned, kept, gone, again]])}}"
    }}""")
    assert done.result == "SUCCESS", "\n".join(done.lines)
    assert "hello" in done.lines, "a dry run takes nothing away"
    planned, kept, gone, again = json.loads(done.value("RESULT"))["all"]
    assert [one["status"] for one in (planned, kept, gone, again)] == ["planned", "done", "done", "done"]
    assert (kept["left"], gone["left"]) == (f"volume {books.name}_data", "")
    assert done.about["description"] == f"{books.name}: not there"
    nothing_left(books)


@pytest.mark.parametrize("any_job", ["trusted"], indirect=True)
def test_declarative_from_another_machine_than_the_deploys(services, secret, any_job):
    books = services()
    books.start(secret)
    done = any_job.build(f"""pipeline {{
        agent any
        stages {{ stage('Gone') {{ steps {{ {books.undeploy(withSides="true").replace("(", " ", 1)[:-1]} }} }} }}
    }}""")
    assert done.result == "SUCCESS", "\n".join(done.lines)
    assert done.about["description"] == f"{books.name}: undeployed"
    assert "history of 1 release(s)" in "\n".join(done.lines)
    (report,) = done.reports
    assert report["left"] == []
    nothing_left(books)


@dataclass
class Branches:
    """A repository whose branches are built by a multibranch project."""

    server: JenkinsServer
    path: str
    folder: Path

    def git(self, *words: str) -> None:
        subprocess.run(["git", "-C", str(self.folder), *words], check=True, capture_output=True)

    def scan(self) -> None:
        self.server.call("POST", f"{item_path(JOB, self.path)}/build", params={"delay": "0"}, doing="scan in")

    def results(self) -> dict[str, str]:
        """The result of each branch's last build."""
        params = {"tree": "jobs[name,lastBuild[result]]"}
        answer = self.server.call("GET", f"{item_path(JOB, self.path)}/api/json", params=params, doing="look at")
        jobs = self.server.json(answer)["jobs"]
        return {one["name"]: (one["lastBuild"] or {}).get("result") or "" for one in jobs}

    def console(self, branch: str) -> str:
        where = f"{item_path(JOB, self.path)}/job/{branch}/lastBuild/consoleText"
        return self.server.call("GET", where, doing="read a build in").text


@pytest.fixture
def branches(server, folder, image, services, stays, tmp_path: Path):
    """Of a service; and that of each of its two branches, which are deployed when the test begins."""
    service = services()
    made = Branches(server, f"{folder}/{service.name}", tmp_path / "repository")
    made.folder.mkdir()
    text = JENKINSFILE.format(library=f"{folder}-sandboxed", service=service.name, places=service.places)
    (made.folder / "Jenkinsfile").write_text(text)
    (made.folder / "docker-compose.yml").write_text(COMPOSE.format(image=image))
    made.git("init", "-q", "-b", "main")
    made.git("add", ".")
    made.git("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "all")
    made.git("branch", "feature/x")
    with stays():
        server.create(JOB, made.path, MULTIBRANCH.format(repository=f"file://{made.folder}"))
        yield made, service, services(f"{service.name}-branch-main"), services(f"{service.name}-branch-feature-x")


def test_a_branch_is_deleted_and_its_service_goes(branches, folder, wait_for, seeded):
    project, service, main, feature = branches
    project.scan()
    wait_for(lambda: len(project.results()) == 2 and all(project.results().values()), "both branches' builds", 200)
    assert project.results() == {"main": "SUCCESS", "feature%2Fx": "SUCCESS"}, project.console("main")
    assert (main.get(), feature.get()) == (200, 200)
    project.git("branch", "-D", "feature/x")
    done = seeded(
        f"""
seed: {service.name}
library: {folder}-sandboxed@main
services:
- name: {service.name}
  folder: {folder}
  git: {{url: "file://{project.folder}", branch: main}}
  options: {json.dumps({**service.given, "proxyTokenCredentialsId": folder})}
  jobs: [{{template: undeploy-gone, options: {{volumes: true}}}}]
""",
        f"{folder}/undeploy-gone-{service.name}",
    )
    assert f"branches that are gone: [{feature.name}]" in done
    nothing_left(feature)
    assert main.get() == 200

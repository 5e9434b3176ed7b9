from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from jenkins_proxy.resources import resource
from jenkins_proxy.seeding import config_xml, load, render
from jenkins_proxy.seeding.items import marked, owner

HERE = Path(__file__).parent


def rendered(path: Path, variables: dict | None = None) -> str:
    items = render.items(load.load(path, variables=variables or {}))
    return "\n".join(f"<!-- {item.kind} {item.path} -->\n{config_xml.pretty(item.config)}" for item in items)


@pytest.mark.parametrize("case", [pytest.param(path, id=path.stem) for path in sorted(HERE.glob("golden/*.yaml"))])
def test_golden(case: Path) -> None:
    assert rendered(case) == case.with_suffix(".xml").read_text(encoding="utf-8")


def scripts(name: str, variables: dict | None = None) -> dict[str, str]:
    items = render.items(load.load(resource("seeding") / name, variables=variables or {}))
    return {item.path: item.config.findtext("definition/script") for item in items}


ARTICLE = {
    "deploy-to-swarm-without-proxy": """\
node("docker") {
    git "https://github.com/vfarcic/docker-flow-proxy.git"
    withEnv(["DOCKER_HOST=tcp://10.100.192.200:2375"]) {
        sh "docker-compose -p books-ms -f docker-compose-demo.yml up -d"
    }
}
""",
    "deploy-to-swarm-with-proxy": """\
node("docker") {
    git "https://github.com/vfarcic/docker-flow-proxy.git"
    withEnv(["DOCKER_HOST=tcp://10.100.192.200:2375"]) {
        sh "docker-compose -p books-ms -f docker-compose-demo.yml up -d"
    }
    sh "curl \\"proxy:8081/v1/docker-flow-proxy/reconfigure?serviceName=books-ms&servicePath=/api/v1/books\\""
}
""",
    "scale-to-swarm-with-proxy": """\
node("docker") {
    git "https://github.com/vfarcic/docker-flow-proxy.git"
    withEnv(["DOCKER_HOST=tcp://10.100.192.200:2375"]) {
        sh "docker-compose -p books-ms -f docker-compose-demo.yml scale app=${SCALE}"
    }
    sh "curl \\"proxy:8081/v1/docker-flow-proxy/reconfigure?serviceName=books-ms&servicePath=/api/v1/books\\""
}
""",
}


def test_plain_is_the_article_letter_for_letter() -> None:
    assert scripts("article-plain.yaml") == ARTICLE


@pytest.mark.parametrize("file", ["article-plain.yaml", "article.yaml"])
def test_the_articles_jobs_for_another_service(file: str) -> None:
    assert scripts(file, {"service": "users-ms"}) == {
        job: script.replace("books-ms", "users-ms") for job, script in scripts(file).items()
    }


def test_the_articles_jobs_with_our_steps() -> None:
    ours = scripts(
        "article.yaml",
        {
            "git_url": "file:///srv/demo",
            "docker_host": "unix:///var/run/docker.sock",
            "python": "/opt/jenkins-proxy/bin/python",
        },
    )
    assert list(ours) == list(ARTICLE)
    for script in ours.values():
        assert re.match(
            r"@Library\('jenkins-proxy@[0-9.]+'\) _\n\nnode\('docker'\) \{\n    git url: 'file:///srv/demo'", script
        )
        assert "dockerHost: 'unix:///var/run/docker.sock'" in script
        assert "python: '/opt/jenkins-proxy/bin/python'" in script
    assert "noProxy: true" in ours["deploy-to-swarm-without-proxy"]
    assert "noProxy" not in ours["deploy-to-swarm-with-proxy"]
    assert "amount: params.SCALE" in ours["scale-to-swarm-with-proxy"]


def test_the_articles_steps_get_only_keys_that_they_know(repository: Path) -> None:
    known = set(re.findall(r"^    (\w+):", (repository / "vars/jenkinsProxyKeys.groovy").read_text(), re.MULTILINE))
    aliases = {"serviceName", "servicePath", "composeFile"}
    for script in scripts("article.yaml").values():
        step = re.search(r"(\w+WithProxy)\(", script).group(1)
        own = set(re.findall(r"^    (\w+):", (repository / f"vars/{step}.groovy").read_text(), re.MULTILINE))
        assert set(re.findall(r"^        (\w+):", script, re.MULTILINE)) <= known | own | aliases


def test_a_template_of_the_user_may_use_ours(tmp_path: Path) -> None:
    (tmp_path / "own.groovy.j2").write_text(
        '{% import "pipelines/arguments.groovy.j2" as write with context %}\n'
        '{{ variables.host }} {{ service.name | groovy }} {{ options.x | groovy }} {{ write.call("step", {"a": 1}) }}'
    )
    (tmp_path / "jobs.yaml").write_text(
        "seed: a\nvariables: {host: h}\n"
        "services: [{name: s, jobs: [{name: j, template: own.groovy.j2, options: {x: <&>}}]}]"
    )
    item = render.items(load.load(tmp_path / "jobs.yaml", variables={}))[0]
    assert item.config.findtext("definition/script") == "h 's' '<&>' step(\n        a: 1\n    )"


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (True, "true"),
        (False, "false"),
        (3, "3"),
        ("x", "'x'"),
        (["a", 1], "['a', 1]"),
        (("a",), "['a']"),
        ("it's", "'it\\'s'"),
        ("$x ${y}", "'$x ${y}'"),
        ("a\\b", "'a\\\\b'"),
        ("\\u0041", "'\\\\u0041'"),
        ("a\nb\tc", "'a\\nb\\tc'"),
        ("'''", "'\\'\\'\\''"),
    ],
)
def test_groovy_literals(value: object, literal: str) -> None:
    assert render.groovy(value) == literal


def test_groovy_reads_its_literals_back(groovy: str, tmp_path: Path) -> None:
    texts = ["it's", "$x ${y}", "a\\b\\", "\\u0041", "\\\\u0041", "a\nb\tc", "'''", '"""', "ünï → 🎉", "'); evil('"]
    script = tmp_path / "literals.groovy"
    script.write_text(f"println groovy.json.JsonOutput.toJson({render.groovy(texts)})\n", encoding="utf-8")
    done = subprocess.run([groovy, "--encoding", "UTF-8", str(script)], capture_output=True, check=False)
    assert json.loads(done.stdout) == texts, done.stderr.decode()


def test_the_owner_is_in_the_description() -> None:
    assert owner(marked("Deploys books", "books-team")) == "books-team"
    assert owner(marked("", "a.b_c-d")) == "a.b_c-d"
    assert owner("Deploys books") == ""
    assert owner("<!-- Managed by Jenkins Job Builder -->") == ""

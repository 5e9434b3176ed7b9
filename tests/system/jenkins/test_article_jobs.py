"""From an empty Jenkins to the article's three jobs, green: the README's page, run for real."""

from __future__ import annotations

import json
import re
import sys
import venv
from pathlib import Path

import pytest

WITHOUT, WITH, SCALE = "deploy-to-swarm-without-proxy", "deploy-to-swarm-with-proxy", "scale-to-swarm-with-proxy"
ENGINE = "unix:///var/run/docker.sock"
PARALLEL = """
seed: {name}
jobs:
- name: deploy-all
  folder: {name}
  script: |
    @Library('jenkins-proxy@main') _
    pipeline {{
        agent {{ label 'docker' }}
        environment {{
            CONSUL_HTTP_ADDR = '{consul}'
            JENKINS_PROXY_URL = '{proxy}'
            JENKINS_PROXY_ENTRY = '{entry}'
            JENKINS_PROXY_CACHE = '{cache}'
        }}
        stages {{
            stage('Checkout') {{ steps {{ git '{git}' }} }}
            stage('Deploy') {{
                parallel {{
                    stage('books') {{ steps {{
                        deployWithProxy serviceName: '{name}', servicePath: '/api/v1/books',
                            composeFile: 'docker-compose-demo.yml', python: '{python}', pipSpec: '{wheels}'
                    }} }}
                    stage('users') {{ steps {{
                        deployWithProxy serviceName: '{name}-users', servicePath: '/api/v1/users',
                            composeFile: 'docker-compose-users.yml', python: '{python}', pipSpec: '{wheels}'
                    }} }}
                }}
            }}
        }}
    }}
"""


@pytest.fixture
def addresses(machine, demo) -> list[str]:
    """What both ways of writing the jobs are told."""
    values = {"service": demo.name, "git_url": demo.git, "docker_host": ENGINE, "proxy": machine.proxy}
    return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


@pytest.fixture
def our_words(addresses, machine, library: str) -> list[str]:
    """The same with what our steps need besides."""
    return [
        *addresses,
        "--set",
        f"consul={machine.consul}",
        "--set",
        f"entry={machine.entry}",
        "--set",
        f"python={sys.executable}",
        "--set",
        "version=main",
        "--agent",
        "--library",
        library,
    ]


@pytest.fixture
def build(seed):
    """``build(job, "SCALE=3")`` is a build that was a success: its console's lines."""

    def run(job: str, *parameters: str) -> list[str]:
        words = [word for parameter in parameters for word in ("--param", parameter)]
        done = seed("--build", job, "--follow", *words)
        assert (done.code, done.report.get("result")) == (0, "SUCCESS"), done.text
        assert f"* {job} #{done.report['number']} ended with SUCCESS" in done.text.splitlines()
        assert done.console[-1] == "Finished: SUCCESS"
        return done.console

    return run


def test_with_our_steps(empty_jenkins, seed, build, library, machine, demo, our_words):
    seeded = seed(*our_words)
    assert seeded.code == 0, seeded.text
    assert f"* + library jenkins-proxy@main from {library}" in seeded.text
    assert [line for line in seeded.text.splitlines() if line.startswith("* + ") and "library" not in line] == [
        f"* + {job}" for job in (WITHOUT, WITH, SCALE)
    ]
    again = seed(*our_words, "--dry-run")
    assert (again.code, again.report["counts"]["keep"]) == (0, 3), again.text

    console = build(WITHOUT)
    assert _done(console, f"{demo.name}: 1 instance(s): ")
    assert len(demo.containers()) == len(demo.containers("db")) == 1
    assert machine.head() == "HTTP/1.1 503 Service Unavailable"

    console = build(WITH)
    assert machine.head() == "HTTP/1.1 200 OK"
    told = [re.match(r"\* (hold|waiting|verify: answered|promote|probe: answered|done)", line) for line in console]
    assert [found.group(1) for found in told if found] == [
        "hold",
        "waiting",
        "verify: answered",
        "promote",
        "probe: answered",
        "done",
    ]
    assert _done(console, f"{demo.name} at http://{machine.entry}/api/v1/books: 1 instance(s): ")

    build(WITH)
    assert len(machine.instances(6)) == len(demo.containers()) == 1, "a second run ends as the first did"

    console = build(SCALE, "SCALE=3")
    assert f"* scale {demo.name} from 1 to 3" in console
    assert _done(console, f"{demo.name} has 3 instance(s)")
    assert len(machine.instances(9)) == len(demo.containers()) == 3


def test_with_the_articles_own_lines(empty_jenkins, seed, build, machine, demo, addresses, wait_for):
    seeded = seed("--plain", *addresses)
    assert (seeded.code, seeded.report["counts"]["create"]) == (0, 3), seeded.text

    console = build(WITHOUT)
    assert f"+ docker-compose -p {demo.name} -f docker-compose-demo.yml up -d" in console
    assert len(demo.containers()) == len(demo.containers("db")) == 1
    assert machine.head() == "HTTP/1.1 503 Service Unavailable"

    console = build(WITH)
    url = f"{machine.proxy}/v1/docker-flow-proxy/reconfigure?serviceName={demo.name}&servicePath=/api/v1/books"
    assert f"+ curl {url}" in console
    # curl's progress may stand in the middle of the answer.
    text = "".join(line for line in console[console.index(f"+ curl {url}") :] if not re.match(r"\s*(\d|%|Dload)", line))
    answer, _ = json.JSONDecoder().raw_decode(text, text.index("{"))
    assert (answer["Status"], answer["ServiceName"]) == ("OK", demo.name)
    assert machine.head() == "HTTP/1.1 200 OK"

    before = demo.containers()
    build(WITH)
    assert (demo.containers(), machine.head()) == (before, "HTTP/1.1 200 OK")

    console = build(SCALE, "SCALE=3")
    assert f"+ docker-compose -p {demo.name} -f docker-compose-demo.yml scale app=3" in console
    assert before < demo.containers() and len(demo.containers()) == 3
    # The article's job does not wait for what it has started.
    wait_for(lambda: len(machine.instances(9)) == 3, "three instances to answer")


def test_a_release_that_dies_fails_its_build_and_nobody_notices(empty_jenkins, seed, build, machine, demo, our_words):
    assert seed(*our_words).code == 0
    build(WITH)
    before = demo.containers()
    demo.commit(
        {
            "docker-compose-demo.yml": lambda text: text.replace(
                "    ports:", "    command: [/bin/busybox, sh, -c, echo 'no licence found'; exit 3]\n    ports:"
            )
        }
    )
    done = seed("--build", WITH, "--follow")
    assert (done.code, done.report["result"]) == (1, "FAILURE"), done.text
    *_, reason, end = done.console
    assert end == "Finished: FAILURE"
    assert re.fullmatch(rf"ERROR: deployWithProxy: .*{demo.name}.* \(exit code 5\)", reason), done.text
    assert "no licence found" in done.text
    assert f"ERROR: {WITH} #2 ended with FAILURE" in done.text
    assert demo.containers() == before
    assert machine.head() == "HTTP/1.1 200 OK"


def test_declarative_and_parallel_from_a_folder_of_wheels(
    empty_jenkins, stays, seed, build, machine, demo, our_words, wheels, tmp_path: Path
):
    """Both branches begin on an agent that has nothing of ours and reaches no index."""
    assert seed(*our_words).code == 0
    venv.create(tmp_path / "bare", with_pip=True)
    file = tmp_path / "jobs.yaml"
    file.write_text(
        PARALLEL.format(
            name=demo.name,
            git=demo.git,
            cache=tmp_path / "cache",
            wheels=wheels,
            python=tmp_path / "bare/bin/python",
            **vars(machine),
        )
    )
    seeded = seed(str(file))
    assert seeded.code == 0, seeded.text
    try:
        console = build(f"{demo.name}/deploy-all")
        again = build(f"{demo.name}/deploy-all")
    finally:
        with stays():
            empty_jenkins.delete("folder", demo.name)
    assert len([line for line in console if re.match(r"\* filling .* from ", line)]) == 1
    assert not [line for line in again if "filling" in line]
    for lines in (console, again):
        assert _done(lines, f"{demo.name} at ") and _done(lines, f"{demo.name}-users at ")
    assert machine.head("/api/v1/books") == machine.head("/api/v1/users") == "HTTP/1.1 200 OK"


def _done(console: list[str], words: str) -> bool:
    return any(line.startswith(f"* done: {words}") for line in console)

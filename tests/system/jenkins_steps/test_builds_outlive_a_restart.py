"""Jenkins restarts once, while three builds are in the middle of something: a restart takes longer than most tests.

By its name this file comes first: what the other workers have to do goes on after it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

ASK = """'''set +x
        echo "USER $(curl -fsS "$JENKINS_PROXY_CANDIDATE_URL/version")"
        echo "CANDIDATE $(curl -fsS -H "$JENKINS_PROXY_CANDIDATE_HEADER" "$JENKINS_PROXY_CANDIDATE_URL/version")"
        '''"""
INPUT = """node {{
    withEnv(['VERSION=2']) {{
        {call} {{ candidate ->
            echo 'WAITING'
            input(id: 'Go', message: 'Let users in?')
            sh {ask}
            echo "AFTER ${{candidate.instances.size()}}"
        }}
    }}
}}"""


@dataclass
class Restart:
    """One restart for several builds, once each of them has come to its point."""

    restart: Callable[[], None]
    builds: int
    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._all_there = threading.Barrier(self.builds, self.restart, timeout=250)

    def watch(self, point: str, resumed: Callable[[], None]) -> Callable[[str], None]:
        """What a build does at its point, and when it goes on."""
        steps: set[str] = set()

        def on_line(line: str) -> None:
            if point in line and "point" not in steps:
                steps.add("point")
                self._all_there.wait()
            if "Resuming build" in line and "resumed" not in steps:
                steps.add("resumed")
                self.seen.append(point)
                resumed()

        return on_line


@pytest.fixture
def executors(server):
    """One for each build: the built-in node of a new Jenkins has two."""
    before = server.run_script("println Jenkins.get().numExecutors")
    server.run_script("Jenkins.get().setNumExecutors(4)\nreturn")
    yield
    server.run_script(f"Jenkins.get().setNumExecutors({before})\nreturn")


def test_builds_outlive_a_restart_of_jenkins(executors, restart_jenkins, restarted_job, services, secret):
    deploying, inputs = services(), {"sandboxed": services(), "trusted": services()}
    jobs = {name: restarted_job(name) for name in inputs}
    worker = restarted_job("sandboxed")
    restart = Restart(restart_jenkins, builds=3)

    def proceed(name: str) -> Callable[[], None]:
        def go_on() -> None:
            assert inputs[name].version() == "version 1"
            jobs[name].proceed("Go")

        return go_on

    for service in inputs.values():
        service.start(secret)
    with ThreadPoolExecutor(3) as pool:
        call = deploying.deploy(passes=False, timeoutSeconds="300")
        script = f"""node {{
            def before = [kept: 'over the restart']
            def deploy = {call}
            echo "AFTER ${{before.kept}} ${{deploy.status}} ${{deploy.instances.size()}}"
        }}"""
        deployed = pool.submit(worker.build, script, restart.watch("waiting for", deploying.let_it_pass))
        tested = {
            name: pool.submit(
                jobs[name].build,
                INPUT.format(call=service.deploy(holdTimeout="3600"), ask=ASK),
                restart.watch("WAITING", proceed(name)),
            )
            for name, service in inputs.items()
        }
    done = deployed.result()
    assert done.result == "SUCCESS", "\n".join(done.lines)
    assert done.value("AFTER") == "over the restart done 1"
    assert deploying.get() == 200
    for name, service in inputs.items():
        done = tested[name].result()
        assert done.result == "SUCCESS", "\n".join(done.lines)
        assert (done.value("USER"), done.value("CANDIDATE"), done.value("AFTER")) == ("version 1", "version 2", "1")
        assert service.version() == "version 2"
    assert sorted(restart.seen) == ["WAITING", "WAITING", "waiting for"]

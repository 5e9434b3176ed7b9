"""What breaks around a deploy: registry, daemon and engine go away at the worst moment, and we are killed ourselves."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import subprocess
import threading

import pytest


class Forwarder:
    """An engine that can be switched off: TCP on loopback to the engine's socket."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """From now on nobody answers, and who talks is cut off."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            engine = socket.socket(socket.AF_UNIX)
            engine.connect("/var/run/docker.sock")
            self._open += [client, engine]
            threading.Thread(target=self._forward, args=(client, engine), daemon=True).start()

    @staticmethod
    def _forward(client: socket.socket, engine: socket.socket) -> None:
        with client, engine:
            try:
                while True:
                    for ready in select.select([client, engine], [], [])[0]:
                        data = ready.recv(65536)
                        if not data:
                            return
                        (engine if ready is client else client).sendall(data)
            except (OSError, ValueError):
                return


@pytest.fixture
def own_project(start_machine, project):
    """A project on a machine of its own, whose daemon a test may kill."""
    shared, project.machine = project.machine, start_machine()
    yield project
    project.machine = shared


def test_the_daemon_is_killed_while_candidates_are_verified(own_project):
    project = own_project
    project.serve(1)
    project.compose(2, "answers 500")

    process = project.deploying("--timeout", "40")
    project.until(process, "* verify: GET")
    project.machine.process.kill()
    done = project.finish(process)

    assert done.code == 6, done.text
    assert done.report["rolled_back"] is False
    assert "the old containers are back, but not proven: " in done.report["error"]["message"]
    assert len(project.containers(every=True)) == 1


def test_a_route_that_cannot_be_put_back_is_not_called_rolled_back(own_project):
    own_project.serve(1)

    process = own_project.start("scale", "1", "--path", "/new", "--probe-path", "/new/none")
    text = own_project.until(process, "* probe: GET")
    own_project.machine.process.kill()
    done = own_project.finish(process, text)

    assert done.code == 6, done.text
    assert "; the route is NOT as before: no proxy daemon answers" in done.report["error"]["message"]
    assert done.report["rolled_back"] is False


def test_the_registry_is_killed_during_the_wait(own_project):
    project = own_project
    project.serve(1)
    project.compose(2, "other name")

    process = project.deploying("--timeout", "12")
    project.until(process, "waiting for")
    project.machine.process.kill()
    done = project.finish(process)

    assert done.code == 4, done.text
    assert "waiting for it to come back" in done.text
    assert "the old containers are back, but not proven: " in done.report["error"]["message"]
    assert len(project.containers(every=True)) == 1


def test_the_engine_goes_away_during_bring_up_and_the_next_deploy_puts_things_in_order(project):
    project.serve(1)
    project.compose(2)
    engine = Forwarder()

    process = project.deploying("--docker-host", engine.address)
    project.until(process, "--no-recreate")
    engine.close()
    done = project.finish(process)

    assert done.code == 4, done.text
    assert "NOT rolled back: " in done.report["error"]["message"]
    assert project.get() == (200, "version 1\n")

    again = project.deploy()
    assert again.code == 0, again.text
    assert "was broken off while proving (rolling)" in again.text
    assert project.get() == (200, "version 2\n")
    assert len(project.containers(every=True)) == 1


@pytest.mark.parametrize(
    "moment", ["* hold ", "--no-recreate", "* verify: GET", "* promote: ", "* probe: GET", "* draining"]
)
def test_killed_at_any_moment_the_next_deploy_ends_in_order(project, moment):
    project.serve(1, checked=True)
    project.compose(2, checked=True)

    process = project.deploying()
    project.until(process, moment)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    with project.users() as failed:
        done = project.deploy()

    assert done.code == 0, done.text
    assert failed == []
    assert project.get() == (200, "version 2\n")
    assert len(project.containers(every=True)) == 1
    assert project.machine.registry.kv_list(f"jenkins-proxy/deploys/{project.name}") == []


def test_a_bug_of_ours_rolls_back_too(project):
    project.serve(1)
    project.compose(2)
    broken = (
        "import sys; from jenkins_proxy.deployment.steps import probe; from jenkins_proxy.cli import main; "
        "asked, probes = probe.until_new, [{}]; "
        "probe.until_new = lambda *words, **more: probes.pop()['no such key'] if probes else asked(*words, **more); "
        "sys.exit(main(sys.argv[1:]))"
    )

    argv = project.argv("deploy", *project.route)
    done = subprocess.run(
        [argv[0], "-c", broken, *argv[3:]],
        env=project.machine.environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    ended = project.ended(done.returncode, done.stderr)

    assert ended.code == 1, ended.text
    assert "a bug: KeyError('no such key'); rolled back to 1 container(s)" in ended.report["error"]["message"]
    assert project.get() == (200, "version 1\n")


def test_a_reader_that_goes_away_does_not_break_a_deploy_off(project):
    project.compose(1)
    process = project.deploying()
    process.stderr.readline()
    process.stderr.close()
    process.stdout.close()

    assert process.wait(timeout=180) == 0
    assert project.get() == (200, "version 1\n")

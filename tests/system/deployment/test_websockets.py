"""A websocket through a rolling deploy: it lives on for its time and is cut, and the next one meets the new release."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

from tests.system.deployment.test_candidates import HEAR, listening

CHAT = (
    HEAR
    + r"""case "$head" in *[Uu]pgrade:*)
printf 'HTTP/1.1 101 Ok\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nversion %s\n' $VERSION; exec /bin/busybox cat;;
*) printf 'HTTP/1.0 200 OK\r\n\r\nversion %s\n' $VERSION;; esac"""
)
SECONDS = 3


@contextlib.contextmanager
def websocket(project) -> Iterator[tuple[socket.socket, str]]:
    """A connection that is upgraded, and what its server has said first."""
    host, _, port = project.machine.entry.partition("//")[2].partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = f"GET /{project.name}/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
        connection.sendall(head.encode())
        with connection.makefile("rb") as reader:
            assert b" 101 " in reader.readline()
            while reader.readline().strip():
                pass
            yield connection, reader.readline().decode().strip()


def echoes(connection: socket.socket) -> bool:
    with contextlib.suppress(OSError):
        connection.sendall(b"still there?")
        return connection.recv(100) == b"still there?"
    return False


def test_a_websocket_lives_on_for_its_time_and_the_next_one_meets_the_new_release(project) -> None:
    project.serve(1, command=listening(CHAT))
    project.compose(2, command=listening(CHAT))
    with websocket(project) as (old, first), project.users() as failed:
        assert first == "version 1"
        with project.deploying("--strategy", "rolling", "--drain-streams", str(SECONDS)) as deploy:
            while project.get() == (200, "version 1\n"):
                assert echoes(old)
                time.sleep(0.05)
            promoted = time.monotonic()
            with websocket(project) as (new, second):
                assert second == "version 2"
                while echoes(old):
                    time.sleep(0.05)
                lived = time.monotonic() - promoted
                done = project.finish(deploy)
                assert echoes(new)
    assert (done.code, failed) == (0, [])
    assert lived > SECONDS - 1
    assert f"1 stream(s) that had not ended after {SECONDS} s cut" in done.text

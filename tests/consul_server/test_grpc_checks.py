"""gRPC's health checks, by the embedded registry and by Consul, of a server that Consul's own library accepts."""

from __future__ import annotations

import socketserver
import threading

import pytest

SERVING, NOT_SERVING = 1, 2
_HEADERS, _DATA, _SETTINGS = 1, 0, 4


class Handler(socketserver.StreamRequestHandler):
    """As much of HTTP/2 as an answer to one call needs."""

    def handle(self) -> None:
        self.rfile.read(24)
        self._send(_SETTINGS, 0, 0, b"")
        while True:
            head = self.rfile.read(9)
            if len(head) < 9:
                return
            content = self.rfile.read(int.from_bytes(head[:3], "big"))
            kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
            if kind == _SETTINGS and not flags & 1:
                self._send(_SETTINGS, 1, 0, b"")
            if kind == _DATA and content:
                self._answer(stream, content[7:].decode())

    def _answer(self, stream: int, service: str) -> None:
        self.server.asked.append(service)
        status = self.server.statuses.get(service)
        kind = b"\x0f\x10\x10application/grpc"
        if status is None:  # no such service: its trailers alone
            self._send(_HEADERS, 5, stream, b"\x88" + kind + b"\x00\x0bgrpc-status\x015")
            return
        self._send(_HEADERS, 4, stream, b"\x88" + kind)
        self._send(_DATA, 0, stream, b"\x00\x00\x00\x00\x02\x08" + bytes((status,)))
        self._send(_HEADERS, 5, stream, b"\x00\x0bgrpc-status\x010")

    def _send(self, kind: int, flags: int, stream: int, content: bytes) -> None:
        self.wfile.write(len(content).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + content)
        self.wfile.flush()


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@pytest.fixture
def grpc():
    """A gRPC server with health; what it answers, by service, and what it was asked."""
    server = Server(("127.0.0.1", 0), Handler)
    server.statuses, server.asked = {"": SERVING, "good": SERVING, "bad": NOT_SERVING}, []
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def status(consul, name: str) -> str:
    return consul.instances(name)[0][0].status


def register(consul, name: str, target: str) -> None:
    # The other way round, so that a check that never runs is seen.
    before = "critical" if target.endswith(("good", "/")) or "/" not in target else "passing"
    check = {"GRPC": target, "Interval": "1s", "Timeout": "1s", "Status": before}
    consul.register({"ID": name, "Name": name, "Port": 1, "Check": check})


@pytest.mark.parametrize(
    ("service", "expected"), [("", "passing"), ("/good", "passing"), ("/bad", "critical"), ("/nope", "critical")]
)
def test_the_status_of_a_service(consul, name, grpc, wait_for, service, expected):
    register(consul, name, f"127.0.0.1:{grpc.server_address[1]}{service}")
    wait_for(lambda: status(consul, name) == expected, "the check to run")
    assert set(grpc.asked) == {service[1:]}


def test_a_change_is_seen(consul, name, grpc, wait_for):
    register(consul, name, f"127.0.0.1:{grpc.server_address[1]}/good")
    wait_for(lambda: status(consul, name) == "passing", "the check to pass")
    grpc.statuses["good"] = NOT_SERVING
    wait_for(lambda: status(consul, name) == "critical", "the check to fail")


@pytest.mark.parametrize("server", ["nobody", "no gRPC"])
def test_what_is_no_grpc_server_fails(consul, url, name, wait_for, free_port, server):
    port = free_port() if server == "nobody" else url.rpartition(":")[2]
    register(consul, name, f"127.0.0.1:{port}/x")
    wait_for(lambda: status(consul, name) == "critical", "the check to fail")

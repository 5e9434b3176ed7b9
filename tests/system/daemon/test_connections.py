"""A route of connections that a deploy holds: the daemon connects to its candidates, and keeps users from them."""

from __future__ import annotations

import hashlib
import http.client
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from jenkins_proxy.clients.proxy import ProxyClient
from jenkins_proxy.deployment.steps import probe
from jenkins_proxy.errors import ProbeFailed
from jenkins_proxy.model import Address, Route
from jenkins_proxy.retry import Deadline

KEY = hashlib.sha256(b"key").hexdigest()
HOLDER = {"name": "me@here:1", "build": "", "kept": False}


@pytest.fixture
def dropping() -> Iterator[int]:
    """The port of what takes connections and drops each at once, as the engine's own proxy does."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_candidates_are_proven_and_meet_no_user_before(make_daemon, backends, free_port, dropping) -> None:
    port = free_port()
    daemon = make_daemon("--tcp-bind", f"127.0.0.1:{port}")
    daemon.start()
    client, context = ProxyClient(daemon.api), SimpleNamespace(proxy=ProxyClient(daemon.api))
    old, new = backends(2)
    route = Route("redis", req_mode="tcp", src_port=str(port))

    def answering() -> set[str]:
        answers = set()
        for _ in range(12):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/")
            answers.add(connection.getresponse().read().decode())
            connection.close()
        return answers

    daemon.register("redis", old)
    client.put_route(route)
    assert answering() == {str(old.port)}
    hold = client.hold(route, key_sha256=KEY, holder=HOLDER)
    daemon.register("redis", new)
    candidate = Address("127.0.0.1", new.port)
    assert probe.until_connected(context, "redis", [candidate], Deadline(20)) == [candidate]
    assert answering() == {str(old.port)}
    daemon.register("redis", SimpleNamespace(port=dropping))
    with pytest.raises(ProbeFailed, match="takes no connection, or drops it at once"):
        probe.until_connected(context, "redis", [Address("127.0.0.1", dropping)], Deadline(1.5))
    client.promote("redis", hold["id"], [candidate])
    assert probe.until_connected(context, "redis", [candidate], Deadline(20), serving=True) == [candidate]
    assert answering() == {str(new.port)}

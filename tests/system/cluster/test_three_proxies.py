"""Three proxies on one Consul: held and promoted on one is held and promoted on all, and who lags is named."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import secrets
import signal
import socket
import time
from collections.abc import Iterator

import pytest
import requests

from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.model import Route
from tests.fixtures.traffic import asking

KEY = "0123456789abcdef0123456789abcdef"
KEYED = {"X-Jenkins-Proxy-Candidate": KEY}
ROUTE = {"service": "books", "paths": ["/books"]}


class Holding:
    """The calls about a hold on ``books``, at one proxy."""

    def __init__(self, daemon) -> None:
        self._url = f"{daemon.api}/v1/routes/books"

    def put(self, key: str = KEY) -> requests.Response:
        body = {
            "route": ROUTE,
            "key_sha256": hashlib.sha256(key.encode()).hexdigest(),
            "timeout": 60,
            "holder": {"name": "tests", "build": "", "kept": False},
        }
        return requests.put(f"{self._url}/hold", json=body, timeout=40)

    def promote(self, identity: str, *addresses: str, timeout: float = 20) -> requests.Response:
        body = {"id": identity, "addresses": list(addresses), "keep": [], "timeout": timeout}
        return requests.post(f"{self._url}/promote", json=body, timeout=timeout + 20)

    def end(self, identity: str) -> requests.Response:
        return requests.delete(f"{self._url}/hold", params={"id": identity}, timeout=40)

    def states(self) -> dict[str, str]:
        """What each instance is to this proxy, by ``host:port``."""
        found = requests.get(self._url, timeout=10).json()["instances"]
        return {f"{instance['address']}:{instance['port']}": instance["state"] for instance in found}


def name(daemon) -> str:
    """What a proxy is called among several."""
    return f"{socket.gethostname()}-{daemon.api.rpartition(':')[2]}"


def answering(daemon, headers: dict[str, str] | None = None) -> set[str]:
    """Who answers the next requests."""
    return {requests.get(daemon.entry + "/books", headers=headers, timeout=10).text for _ in range(8)}


@pytest.fixture
def three(consul_server, start_daemon, origins, wait_for):
    """The registry, three proxies that serve the old instance, and the new one, which nobody knows yet."""
    server = consul_server()
    daemons = [start_daemon("--consul", server.url) for _ in range(3)]
    old, new = origins("old", "new")
    old.register(server.url, "books")
    daemons[0].client.put_route(Route("books", ("/books",)))
    for daemon in daemons:
        wait_for(lambda daemon=daemon: daemon.get("/books") == (200, "old"), f"{daemon.api} to serve")
    return server, daemons, old, new


@pytest.fixture
def held(three, wait_for):
    """The same, held at the first proxy: the new instance is a candidate of all of them."""
    server, daemons, old, new = three
    hold = Holding(daemons[0]).put()
    assert hold.status_code == 200, hold.text
    assert hold.json()["serving"] == [f"127.0.0.1:{old.port}"]
    new.register(server.url, "books")
    for daemon in daemons:
        wait_for(
            lambda daemon=daemon: Holding(daemon).states().get(f"127.0.0.1:{new.port}") == "candidate",
            f"{daemon.api} to have the candidate",
        )
    return daemons, old, new, hold.json()["id"]


def test_held_on_one_is_held_on_all_and_promoted_on_all(held, wait_for):
    daemons, old, new, identity = held
    for daemon in daemons:
        assert answering(daemon) == {"old"}
        wait_for(lambda daemon=daemon: answering(daemon, KEYED) == {"new"}, f"{daemon.api} to take the key")
        assert answering(daemon, {"X-Jenkins-Proxy-Candidate": "another"}) == {"old"}
    second = Holding(daemons[1]).put("the key of another")
    assert second.status_code == 409
    assert "tests" in second.text

    # Promoted at another than where it was held, and at once the same everywhere.
    promoted = Holding(daemons[2]).promote(identity, f"127.0.0.1:{new.port}")
    assert promoted.status_code == 200, promoted.text
    assert promoted.json()["proxies"] == {name(daemon): "serves" for daemon in daemons}
    for daemon in daemons:
        assert answering(daemon) == {"new"}
        assert Holding(daemon).states() == {f"127.0.0.1:{old.port}": "draining", f"127.0.0.1:{new.port}": "serving"}

    ended = Holding(daemons[1]).end(identity)
    assert ended.status_code == 200, ended.text
    assert Holding(daemons[0]).end(identity).status_code == 200


@contextlib.contextmanager
def users(daemons) -> Iterator[set[str]]:
    """A user of each proxy, who asks all the time: who answered them."""
    met: set[str] = set()

    def ask(daemon) -> None:
        met.add(requests.get(daemon.entry + "/books", timeout=10).text)

    with asking(*(functools.partial(ask, daemon) for daemon in daemons)):
        yield met


def test_no_candidate_serves_at_any_of_them_while_it_comes_and_goes(three, wait_for):
    server, daemons, _, new = three
    with users(daemons) as met:
        held = Holding(daemons[0]).put()
        assert held.status_code == 200, held.text
        new.register(server.url, "books")
        for daemon in daemons:
            wait_for(lambda daemon=daemon: len(Holding(daemon).states()) == 2, f"{daemon.api} to have both")
        time.sleep(0.5)
        gone = requests.put(f"{server.url}/v1/agent/service/deregister/new", timeout=10)
        assert gone.status_code == 200
        for daemon in daemons:
            wait_for(lambda daemon=daemon: len(Holding(daemon).states()) == 1, f"{daemon.api} to have one")
        ended = Holding(daemons[1]).end(held.json()["id"])
        assert ended.status_code == 200, ended.text
    assert met == {"old"}


def test_a_proxy_that_lags_is_named_and_follows_when_it_can(held, wait_for):
    daemons, _, new, identity = held
    daemons[2].process.send_signal(signal.SIGSTOP)
    try:
        promoted = Holding(daemons[0]).promote(identity, f"127.0.0.1:{new.port}", timeout=3)
    finally:
        daemons[2].process.send_signal(signal.SIGCONT)

    assert promoted.status_code == 200, promoted.text
    first, second, third = (name(daemon) for daemon in daemons)
    assert promoted.json()["proxies"] == {first: "serves", second: "serves", third: "lags"}
    assert answering(daemons[0]) == answering(daemons[1]) == {"new"}
    wait_for(lambda: answering(daemons[2]) == {"new"}, "the one that slept to follow")


def test_one_that_is_started_during_a_hold_keeps_to_it(three, start_daemon, wait_for):
    server, daemons, _, new = three
    assert Holding(daemons[0]).put().status_code == 200
    new.register(server.url, "books")

    late = start_daemon("--consul", server.url)
    wait_for(lambda: late.get("/books")[0] == 200, "the late one to serve")
    assert answering(late) == {"old"}
    wait_for(lambda: answering(late, KEYED) == {"new"}, "the late one to take the key")


@pytest.fixture(scope="module")
def shared(module_consul_server, module_start_daemon, module_our_agent, docker):
    """The registry and three proxies, and an agent for this machine's engine: take services of your own."""
    server = module_consul_server()
    module_our_agent("unix:///var/run/docker.sock", "127.0.0.1", CONSUL_HTTP_ADDR=server.url)
    return server, [module_start_daemon("--consul", server.url) for _ in range(3)]


@pytest.fixture
def books(shared, delivery, wait_for):
    """Three proxies, and a service on this machine's engine that is deployed at the first of them."""
    server, daemons = shared
    with Consul(server.url) as registry:
        for daemon in daemons:
            wait_for(functools.partial(registry.kv_get, f"jenkins-proxy/proxies/{name(daemon)}"), "all three to live")
    made = delivery(
        f"books-{secrets.token_hex(3)}",
        CONSUL_HTTP_ADDR=server.url,
        JENKINS_PROXY_URL=daemons[0].api,
        JENKINS_PROXY_ENTRY=daemons[0].entry,
        JENKINS_PROXY_CANDIDATE_KEY=KEY,
    )
    made.write(1)
    yield daemons, made
    made.compose("down", "--timeout", "1")
    daemons[0].client.remove_route(made.service)


def test_a_deploy_ends_when_all_have_promoted(books):
    daemons, delivery = books
    assert delivery.deploy().code == 0
    delivery.write(2)

    done = delivery.deploy("--strategy", "rolling")

    assert done.code == 0, done.text
    assert [daemon.get(f"/{delivery.service}/") for daemon in daemons] == [(200, "version 2\n")] * 3


def test_a_deploy_names_the_proxy_that_lags(books, wait_for):
    daemons, delivery = books
    assert delivery.deploy().code == 0
    delivery.write(2)
    held = delivery.deploy("--strategy", "rolling", "--hold")
    assert held.code == 0, held.text

    daemons[2].process.send_signal(signal.SIGSTOP)
    try:
        promoted = delivery.run("promote")
    finally:
        daemons[2].process.send_signal(signal.SIGCONT)

    assert name(daemons[2]) in promoted.text
    for other in daemons[:2]:
        assert name(other) not in promoted.text
    # Whether it was promoted or put back, all of them end with the same.
    path = f"/{delivery.service}/"
    wait_for(lambda: len({daemon.get(path) for daemon in daemons}) == 1, "the one that slept to follow")
    assert daemons[0].get(path)[0] == 200


def test_with_any_a_deploy_goes_on_without_the_proxy_that_lags(books, wait_for):
    daemons, delivery = books
    daemons[2].process.send_signal(signal.SIGSTOP)
    try:
        begin = time.monotonic()
        done = delivery.deploy("--proxies", "any")
        took = time.monotonic() - begin
    finally:
        daemons[2].process.send_signal(signal.SIGCONT)

    assert (done.code, took < 40) == (0, True), done.text
    (line,) = (line for line in done.text.splitlines() if "not yet served by" in line)
    assert name(daemons[2]) in line
    path = f"/{delivery.service}/"
    assert daemons[0].get(path) == (200, "version 1\n")
    wait_for(lambda: daemons[2].get(path) == (200, "version 1\n"), "the one that slept to follow")

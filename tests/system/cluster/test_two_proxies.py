"""Several daemons on one Consul: they agree, and serve through the loss of one of them, of Consul, and of its data."""

from __future__ import annotations

import functools
import os
import re
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.errors import ProxyError
from jenkins_proxy.model import Address, Route
from tests.system.cluster.processes import MODULE

BOOKS = Route("books", ("/books",))
NO_ROUTE = (503, "jenkins-proxy: no route\n")
RECONFIGURE = "/v1/docker-flow-proxy/reconfigure?serviceName=books&servicePath=/books"


def status(daemon, path: str = "/books") -> int:
    return daemon.get(path)[0]


def answering(daemon, path: str = "/books") -> set[str]:
    """Who answers a user's next requests."""
    return {daemon.get(path)[1] for _ in range(6)}


@pytest.fixture
def two(consul_server, start_daemon, wait_for):
    server = consul_server()
    daemons = [start_daemon("--consul", server.url) for _ in range(2)]
    with Consul(server.url) as registry:
        for daemon in daemons:
            key = f"jenkins-proxy/proxies/{socket.gethostname()}-{daemon.api.rpartition(':')[2]}"
            wait_for(functools.partial(registry.kv_get, key), f"{daemon.api} to be one of the live ones")
    return server, *daemons


def test_both_follow_a_route_put_drained_resumed_and_removed_at_either(two, origins, wait_for):
    server, first, second = two
    one, other = origins("one", "other")
    for origin in (one, other):
        origin.register(server.url, "books")

    put = first.client.put_route(BOOKS)
    assert len(put["instances"]) == 2
    wait_for(lambda: status(second) == 200, "the second to serve what the first was told")
    assert second.client.get_route("books")["version"] == put["version"]

    first.client.drain("books", [Address("127.0.0.1", one.port)], timeout=10)
    wait_for(lambda: answering(second) == {"other"}, "the second to drain what the first drained")
    second.client.resume("books", [Address("127.0.0.1", one.port)])
    wait_for(lambda: answering(first) == {"one", "other"}, "the first to resume what the second resumed")

    assert second.client.remove_route("books")
    wait_for(lambda: first.get("/books") == NO_ROUTE, "the first to remove what the second removed")


def test_a_call_ends_when_both_serve_what_it_changes(two, origins):
    server, first, second = two
    one, other = origins("one", "other")
    for origin in (one, other):
        origin.register(server.url, "books")

    for number in range(5):
        put = first.client.put_route(Route("books", (f"/books-{number}",)), proxies=10)
        assert list(put["proxies"].values()) == ["serves", "serves"]
        assert status(second, f"/books-{number}") == 200
    drained = first.client.drain("books", [Address("127.0.0.1", one.port)], timeout=10, proxies=10)
    assert list(drained["proxies"].values()) == ["serves", "serves"]
    assert answering(second, "/books-4") == {"other"}
    second.client.resume("books", [Address("127.0.0.1", one.port)], proxies=10)
    assert answering(first, "/books-4") == {"one", "other"}
    removed = second.client.remove_route("books", proxies=10)
    assert list(removed["proxies"].values()) == ["serves", "serves"]
    assert first.get("/books-4") == NO_ROUTE


@pytest.fixture
def under_way(two, origins, wait_for):
    """``under_way("/books/slow")`` begins a request at the second proxy: its future answer, and the instance."""
    server, first, second = two
    (one,) = origins("one")
    one.register(server.url, "books")
    first.client.put_route(BOOKS, proxies=10)
    with ThreadPoolExecutor() as pool:

        def begin(path: str):
            answer = pool.submit(requests.get, second.entry + path, timeout=30)
            wait_for(lambda: one.asked == [path], "the request to be under way")
            return answer, one

        yield begin
        one.release.set()


def test_a_drain_waits_for_requests_in_flight_at_the_other_proxy(two, under_way):
    _, first, second = two
    answer, one = under_way("/books/slow")
    here = [Address("127.0.0.1", one.port)]
    at = f"{socket.gethostname()}-{second.api.rpartition(':')[2]}"
    with pytest.raises(
        ProxyError, match=f"requests are still in flight on .* of books at the proxies {at} after 0.5 s"
    ):
        first.client.drain("books", here, timeout=0.5, proxies=5)
    with ThreadPoolExecutor() as pool:
        drained = pool.submit(first.client.drain, "books", here, timeout=20, proxies=5)
        assert not drained.done()
        one.release.set()
        assert list(drained.result()["proxies"].values()) == ["serves", "serves"]
    assert (answer.result().status_code, answer.result().text) == (200, "one")


def test_a_drain_waits_for_streams_at_the_other_proxy_for_their_time_only(two, under_way):
    _, first, _ = two
    answer, one = under_way("/books/stream")
    begin = time.monotonic()
    first.client.drain("books", [Address("127.0.0.1", one.port)], timeout=20, stream_timeout=0.5, proxies=5)
    assert 0.5 <= time.monotonic() - begin < 10
    assert not answer.done()


def test_the_one_that_lags_is_named_and_waited_for_as_told(two, origins, wait_for):
    server, first, second = two
    (one,) = origins("one")
    one.register(server.url, "books")
    where = ["--proxy", first.api, "--consul", server.url, "--entry", first.entry]
    sleeper = f"{socket.gethostname()}-{second.api.rpartition(':')[2]}"
    second.process.send_signal(signal.SIGSTOP)
    try:
        assert first.client.put_route(BOOKS, proxies=1)["proxies"][sleeper] == "lags"
        for command in (["reconfigure", "books", "--path", "/books-2"], ["remove", "books"]):
            begin = time.monotonic()
            done = subprocess.run(
                [*MODULE, *command, "--proxies", "any", *where], capture_output=True, text=True, timeout=60, check=False
            )
            assert time.monotonic() - begin < 6, done.stderr
            assert done.returncode == 0, done.stderr
            (line,) = (line for line in done.stderr.splitlines() if "WARNING" in line)
            assert f"not yet served by {sleeper}" in line
    finally:
        second.process.send_signal(signal.SIGCONT)
    wait_for(lambda: second.get("/books") == NO_ROUTE, "the one that slept to follow")


def test_what_the_documentation_puts_in_front_of_them_sees_who_serves_users(start_daemon, repository, wait_for):
    text = (repository / "docs/proxy.md").read_text()
    script = re.search(r'script "(.+)"', text).group(1)
    daemon = start_daemon()
    check = script.replace("http://127.0.0.1/", daemon.entry).split()

    def goes_well() -> bool:
        return subprocess.run(check, timeout=20, check=False).returncode == 0

    assert goes_well()
    # Of two addresses, the first of which refuses, a client of a name with both goes on to the second.
    port = daemon.entry.rpartition(":")[2]
    both = ["--resolve", f"users.test:{port}:127.0.0.9,127.0.0.1", f"http://users.test:{port}/"]
    assert subprocess.run(["curl", "-so", os.devnull, *both], timeout=20, check=False).returncode == 0
    daemon.stop(signal.SIGKILL)
    assert goes_well()
    daemon.start(wait_for)
    daemon.stop()
    assert not goes_well()


def test_users_of_both_are_counted_whichever_is_asked(two, origins, wait_for):
    server, first, second = two
    (one,) = origins("one")
    one.register(server.url, "books")
    first.client.put_route(BOOKS)
    wait_for(lambda: status(second) == 200, "the second to serve")
    first.client.count_users("books", "a")
    for daemon in (first, second, second):
        assert status(daemon) == 200
    wait_for(lambda: first.client.users("books")["requests"] == 3, "the second to publish what it counted")
    users = second.client.stop_counting("books", "a")
    assert (users["requests"], users["failed"], users["exact"]) == (3, 0, True)
    assert first.client.users("books") is None


def test_one_that_was_killed_comes_back_with_what_happened_meanwhile(two, origins, wait_for):
    server, first, second = two
    books, users = origins("books", "users")
    books.register(server.url, "books")
    first.client.put_route(BOOKS)
    wait_for(lambda: status(second) == 200, "the second to serve")

    second.stop(signal.SIGKILL)
    users.register(server.url, "users")
    first.client.put_route(Route("users", ("/users",)))
    first.client.remove_route("books")
    assert first.get("/users") == (200, "users")
    second.start(wait_for)

    # It serves at once what it knew, and then what the registry tells.
    wait_for(lambda: second.get("/users") == (200, "users"), "the second to learn the new route")
    wait_for(lambda: second.get("/books") == NO_ROUTE, "the second to learn that the old one is removed")


@pytest.mark.parametrize("keep", [pytest.param(True, id="data kept"), pytest.param(False, id="data lost")])
def test_both_serve_while_consul_is_away_and_write_again_what_it_lost(
    keep, consul_server, start_daemon, origins, wait_for, curl
):
    server = consul_server(keep=keep)
    daemons = [start_daemon("--consul", server.url) for _ in range(2)]
    (one,) = origins("one")
    one.register(server.url, "books")
    daemons[0].client.put_route(BOOKS)
    for daemon in daemons:
        wait_for(lambda daemon=daemon: status(daemon) == 200, f"{daemon.api} to serve")

    server.stop()
    for daemon in daemons:
        wait_for(lambda daemon=daemon: not daemon.client.health()["registry"]["up"], "the loss to be told")
        assert daemon.client.health()["status"] == "serving"
        assert curl(daemon.api + "/v1/state")[1].count('"lost_since": null') == 0
        assert daemon.get("/books") == (200, "one")
    code, told = curl(daemons[0].api + RECONFIGURE)
    assert (code, "Consul" in told or "registry" in told) == (500, True), told

    server.start(wait_for)
    one.register(server.url, "books")
    for daemon in daemons:
        wait_for(lambda daemon=daemon: daemon.client.health()["registry"]["up"], "its return to be told")
    with Consul(server.url) as registry:
        wait_for(lambda: registry.kv_get("jenkins-proxy/routes/books"), "the route to be written again")
    for daemon in daemons:
        code, told = curl(daemon.api + RECONFIGURE)
        assert code == 200, told
        assert daemon.get("/books") == (200, "one")


def test_a_consul_that_lost_its_data_and_counts_beyond_it_gets_the_routes_back(
    consul_server, start_daemon, origins, wait_for
):
    """Only the lineage tells: other keys have taken the new store's index beyond the old versions."""
    server = consul_server()
    daemon = start_daemon("--consul", server.url)
    (one,) = origins("one")
    one.register(server.url, "books")
    daemon.client.put_route(Route("books", ("/books",)))
    server.stop()
    wait_for(lambda: not daemon.client.health()["registry"]["up"])
    daemon.process.send_signal(signal.SIGSTOP)
    server.start(wait_for)
    one.register(server.url, "books")
    with Consul(server.url) as consul:
        for number in range(60):
            consul.kv_put(f"foreign/{number}", b"x")
        daemon.process.send_signal(signal.SIGCONT)
        wait_for(lambda: consul.kv_get("jenkins-proxy/routes/books"), "the route is written again")
    assert daemon.get("/books")[0] == 200

"""Several daemons on one Consul: they agree, and serve through the loss of one of them, of Consul, and of its data."""

from __future__ import annotations

import signal

import pytest

from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.model import Address, Route

BOOKS = Route("books", ("/books",))
NO_ROUTE = (503, "jenkins-proxy: no route\n")
RECONFIGURE = "/v1/docker-flow-proxy/reconfigure?serviceName=books&servicePath=/books"


def status(daemon, path: str = "/books") -> int:
    return daemon.get(path)[0]


def answering(daemon, path: str = "/books") -> set[str]:
    """Who answers a user's next requests."""
    return {daemon.get(path)[1] for _ in range(6)}


@pytest.fixture
def two(consul_server, start_daemon):
    server = consul_server()
    return server, start_daemon("--consul", server.url), start_daemon("--consul", server.url)


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

"""What is asked of the daemon: the article's own lines, /v1/routes, events."""

from __future__ import annotations

import functools
import json
import subprocess
import threading
import urllib.error
import urllib.request

import pytest

from jenkins_proxy.clients.proxy import ProxyClient
from jenkins_proxy.model import Address, Route

BOOKS = "/api/v1/books"
RECONFIGURE = f"/v1/docker-flow-proxy/reconfigure?serviceName=books-ms&servicePath={BOOKS}"
SIGNS = "/aZ09._~!$&()*+;=:@-%20%C3%BC"


@pytest.fixture(scope="module")
def kept(make_shared_daemon):
    """``kept()`` is the daemon that the tests of this file share, ``kept(consul)`` the one beside that Consul."""

    @functools.cache
    def start(consul: str = ""):
        made = make_shared_daemon(consul=consul)
        made.start()
        return made

    return start


@pytest.fixture(params=[pytest.param("", id="embedded"), pytest.param("consul_url", id="consul")])
def daemon(request, kept):
    """One that serves; each test runs with the embedded registry and with a real Consul."""
    one = kept(request.getfixturevalue(request.param)) if request.param else kept()
    yield one
    one.clear()


@pytest.fixture
def embedded(kept):
    yield kept()
    kept().clear()


def test_the_articles_lines_work_unchanged(daemon, backends, wait_for) -> None:
    (first,) = backends()
    daemon.register("books-ms", first)
    assert daemon.get(BOOKS)[0] == 503, "no route yet"
    code, said = daemon.curl(RECONFIGURE)
    assert (code, json.loads(said)["Status"]) == (0, "OK"), said
    # At once, not soon: the call has answered.
    assert daemon.get(BOOKS) == (200, str(first.port))
    assert daemon.get(BOOKS + "/1") == (200, str(first.port))
    assert daemon.get("/elsewhere")[0] == 503

    second, third = backends(2)
    daemon.register("books-ms", second)
    daemon.register("books-ms", third)
    everyone = {str(one.port) for one in (first, second, third)}
    wait_for(lambda: daemon.answering(BOOKS) == everyone, "a scale to 3 that reaches the proxy by itself")
    daemon.deregister("books-ms", second)
    daemon.deregister("books-ms", third)
    wait_for(lambda: daemon.answering(BOOKS) == {str(first.port)}, "a scale to 1")

    assert daemon.curl("/v1/docker-flow-proxy/remove?serviceName=books-ms")[0] == 0
    assert daemon.get(BOOKS)[0] == 503


def test_the_articles_host_name_works(daemon, backends) -> None:
    daemon.register("books-ms", backends()[0])
    port = daemon.api.rpartition(":")[2]
    argv = ["curl", "-sS", "-f", "--resolve", f"proxy:{port}:127.0.0.1", f"proxy:{port}{RECONFIGURE}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_call_before_registrator_waits_for_the_first_instance(daemon, backends) -> None:
    (backend,) = backends()
    argv = ["curl", "-sS", "-f", daemon.api + RECONFIGURE]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as curl:
        daemon.register("books-ms", backend)
        said, _ = curl.communicate(timeout=30)
    assert (curl.returncode, json.loads(said)["Status"]) == (0, "OK")
    assert daemon.get(BOOKS) == (200, str(backend.port))


def test_without_an_instance_curl_fails_and_nothing_is_routed(daemon, backends) -> None:
    code, said = daemon.curl(RECONFIGURE + "&wait=0.2")
    assert (code, "409" in said) == (22, True)
    failing = {"Check": {"TTL": "60s", "Status": "critical"}}
    daemon.register("books-ms", backends()[0], **failing)
    assert daemon.curl(RECONFIGURE + "&wait=0.2")[0] == 22
    assert daemon.get(BOOKS)[0] == 503
    assert daemon.curl(RECONFIGURE + "&allowEmpty=true")[0] == 0
    assert ProxyClient(daemon.api).get_route("books-ms")["instances"][0]["status"] == "critical"


def test_the_first_instance_is_routed_when_it_answers_and_not_before(daemon, backends) -> None:
    (backend,) = backends()
    backend.status = 500
    daemon.register("books-ms", backend)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(daemon.api + RECONFIGURE + "&wait=0.2", timeout=30)
    answer = json.load(refused.value)
    assert (refused.value.code, answer["Status"]) == (409, "NOK")
    assert f"127.0.0.1:{backend.port} has not answered yet (" in answer["Message"]
    assert f"GET {BOOKS}: HTTP 500" in answer["Message"]
    assert daemon.get(BOOKS)[0] == 503
    argv = ["curl", "-sS", "-f", daemon.api + RECONFIGURE]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as curl:
        backend.status = 200
        said, _ = curl.communicate(timeout=30)
    assert (curl.returncode, json.loads(said)["Status"]) == (0, "OK")
    assert daemon.get(BOOKS) == (200, str(backend.port))


def test_without_a_check_the_first_instance_is_routed_at_once(daemon, backends) -> None:
    (backend,) = backends()
    backend.status = 500
    daemon.register("books-ms", backend)
    code, said = daemon.curl(RECONFIGURE + "&skipCheck=true")
    assert (code, json.loads(said)["Status"]) == (0, "OK"), said
    assert daemon.get(BOOKS)[0] == 500


def test_an_instance_that_waits_is_shown(daemon, backends, wait_for) -> None:
    good, bad = backends(2)
    bad.status = 500
    daemon.register("books-ms", good)
    assert daemon.curl(RECONFIGURE)[0] == 0
    daemon.register("books-ms", bad)

    def waiting() -> dict:
        own = ProxyClient(daemon.api).get_route("books-ms")["instances"]
        return {one["port"]: one["waiting_seconds"] for one in own if one["waiting_seconds"]}

    assert wait_for(waiting).keys() == {bad.port}
    with urllib.request.urlopen(daemon.api + "/metrics", timeout=30) as answer:
        assert 'jenkins_proxy_instances{service="books-ms",state="waiting"} 1.0' in answer.read().decode()


def test_a_bad_route_changes_nothing_for_the_others(daemon, backends) -> None:
    (backend,) = backends()
    daemon.register("books-ms", backend)
    assert daemon.curl(RECONFIGURE)[0] == 0
    before = daemon.curl("/v1/docker-flow-proxy/config")[1]
    for path in ("/a%20b", "/a%0abackend%20evil", "/a%250a", "/a%7B%7B.Stats%7D%7D", "/../etc", "/%22", "/" * 9999):
        code, said = daemon.curl(f"/v1/docker-flow-proxy/reconfigure?serviceName=books-ms&servicePath={path}")
        assert (code, "400" in said) == (22, True), path
    assert daemon.curl("/v1/docker-flow-proxy/config")[1] == before
    assert daemon.get(BOOKS) == (200, str(backend.port))


@pytest.mark.parametrize(
    ("path_type", "path", "asked"),
    [
        ("path", SIGNS, SIGNS),
        ("path_beg", SIGNS, SIGNS + "/more"),
        ("path_end", SIGNS[1:], "/x" + SIGNS[1:]),
        ("path_sub", SIGNS[1:], "/x" + SIGNS[1:] + "/y"),
        ("path_dir", "v1", "/x/v1/y"),
        ("path_reg", "^/[a-z_~!&=:@<>-]+(/v[0-9]|/w){1}[$]*[.]x?$", "/books/v1$$.x"),
    ],
)
def test_every_sign_that_the_grammar_allows_reaches_haproxy(embedded, backends, path_type, path, asked) -> None:
    (backend,) = backends()
    embedded.register("books-ms", backend)
    client = ProxyClient(embedded.api)
    rewrite = {"req_path_search": "^/[a-zA-Z0-9._~!&=:@<>^$*+?()|-]{9}$", "req_path_replace": "/Az09._~!&=:@*+;-"}
    client.put_route(Route("books-ms", (path,), ("*.example.com",), path_type, **rewrite))
    assert embedded.get(asked, "a.example.com") == (200, str(backend.port))
    assert embedded.get("/x", "a.example.com")[0] == 503
    client.close()


def test_two_services_share_the_port_and_neither_takes_the_others_path(daemon, backends) -> None:
    books, users = backends(2)
    daemon.register("books-ms", books)
    daemon.register("users-ms", users)
    client = ProxyClient(daemon.api)
    client.put_route(Route("books-ms", (BOOKS,)))
    planned = client.put_route(Route("users-ms", ("/api/v1/users",)), dry_run=True)
    assert "users-ms" in planned["diff"]
    assert daemon.get("/api/v1/users")[0] == 503
    client.put_route(Route("users-ms", ("/api/v1/users",), ("users.example.com",)))
    assert daemon.get("/api/v1/users", "users.example.com") == (200, str(users.port))
    assert daemon.get(BOOKS, "users.example.com") == (200, str(books.port))
    code, said = daemon.curl(f"/v1/docker-flow-proxy/reconfigure?serviceName=users-ms&servicePath={BOOKS}&wait=0")
    assert (code, "409" in said) == (22, True)
    assert [route["service"] for route in client.routes()] == ["books-ms", "users-ms"]
    assert client.remove_route("users-ms")["removed"] is True
    assert client.remove_route("users-ms") is None
    client.close()


def test_a_put_that_changes_nothing_reloads_nothing(daemon, backends) -> None:
    daemon.register("books-ms", backends()[0])
    client = ProxyClient(daemon.api)
    first = client.put_route(Route("books-ms", (BOOKS,)))
    again = client.put_route(Route("books-ms", (BOOKS,)))
    assert (first["applied"], again["applied"]) == ("reload", "none")
    assert first["version"] == again["version"]
    client.close()


def test_the_probe_key_makes_the_proxy_name_the_instance(daemon, backends) -> None:
    (backend,) = backends()
    daemon.register("books-ms", backend)
    client = ProxyClient(daemon.api)
    probe = client.put_route(Route("books-ms", (BOOKS,)))["probe"]
    url = f"http://127.0.0.1:{daemon.entry}{BOOKS}"
    for key, named in ((probe["key"], f"127.0.0.1:{backend.port}"), ("guess", None)):
        with urllib.request.urlopen(urllib.request.Request(url, headers={probe["header"]: key})) as answer:
            assert answer.headers["X-Jenkins-Proxy-Instance"] == named
    assert probe["key"] not in daemon.curl("/v1/docker-flow-proxy/config")[1]
    assert probe["key"] not in daemon.said
    client.close()


def test_drain_answers_when_the_last_request_has_ended(daemon, backends, wait_for) -> None:
    slow, other = backends(2)
    for backend in (slow, other):
        daemon.register("books-ms", backend)
    client = ProxyClient(daemon.api)
    client.put_route(Route("books-ms", (BOOKS,)))
    wait_for(lambda: len(daemon.answering(BOOKS)) == 2)
    slow.hold()
    other.hold()
    answers: list = []
    users = [threading.Thread(target=lambda: answers.append(daemon.get(BOOKS))) for _ in range(2)]
    for user in users:
        user.start()
    wait_for(lambda: _sessions(daemon) == 2, "both instances to have a request in flight")
    drain = threading.Thread(target=client.drain, args=("books-ms", [Address("127.0.0.1", slow.port)], 20.0))
    drain.start()
    wait_for(lambda: _draining(daemon) == [slow.port], "the instance to take no new requests")
    other.release()
    assert daemon.answering(BOOKS) == {str(other.port)}
    assert drain.is_alive(), "a request is still in flight"
    slow.release()
    drain.join()
    for user in users:
        user.join()
    assert sorted(answers) == sorted([(200, str(slow.port)), (200, str(other.port))]), "no request was lost"
    client.resume("books-ms", [Address("127.0.0.1", slow.port)])
    assert len(daemon.answering(BOOKS)) == 2
    client.close()


def _sessions(daemon) -> int:
    return daemon.told()["totals"]["sessions"]


def _draining(daemon) -> list[int]:
    return [one["port"] for one in daemon.told()["services"][0]["instances"] if one["draining"] and not one["serving"]]

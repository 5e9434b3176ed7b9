"""The client against a small HTTP server: what it sends, what it makes of each answer, and when it tries again."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from jenkins_proxy import settings
from jenkins_proxy.clients.proxy import ProxyClient
from jenkins_proxy.clients.proxy_transport import NO_PATIENCE, Patience
from jenkins_proxy.errors import ProxyError
from jenkins_proxy.model import Address, Route

ROUTE = Route("books-ms", paths=("/api/v1/books",))
HERE = Address("10.0.0.1", 80)
HEALTH = {"status": "serving", "routes": 0, "registry": {"up": True}, "problem": ""}


class Daemon:
    """Answers each request with the next of ``answers`` (status, body), and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict, object]] = []
        self.answers: list[tuple[int, object] | str | None] = []
        daemon = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = json.loads(self.rfile.read(length)) if length else None
                daemon.asked.append((self.command, self.path, dict(self.headers), body))
                given = daemon.answers.pop(0) if daemon.answers else BROKEN_OFF
                if given in (BROKEN_OFF, CUT):
                    self.close_connection = True
                    if given is CUT:
                        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
                    return
                status, data = given
                text = data if isinstance(data, bytes) else json.dumps(data).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.send_header("Location", "http://192.0.2.1/elsewhere")
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def daemon():
    made = Daemon()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def told() -> list[str]:
    """What the client says of its waiting."""
    return []


@pytest.fixture
def client(daemon: Daemon, told):
    made = ProxyClient(daemon.url, token="secret-token", announce=told.append)
    yield made
    made.close()


def refused(message: str, hint: str = "") -> dict:
    return {"error": {"message": message, "hint": hint}}


def test_put_sends_the_whole_route_with_the_token(daemon: Daemon, client: ProxyClient) -> None:
    daemon.answers = [(200, {"service": "books-ms"})]
    assert client.put_route(ROUTE, allow_empty=True, timeout=10) == {"service": "books-ms"}
    method, path, headers, body = daemon.asked[0]
    assert (method, path) == ("PUT", "/v1/routes/books-ms?allowEmpty=true&wait=8&proxies=0")
    assert headers["Authorization"] == "Bearer secret-token"
    assert Route.from_dict(body) == ROUTE


def test_the_calls_of_one_command_have_ids_of_one_kind(daemon: Daemon, client: ProxyClient) -> None:
    daemon.answers = [(200, {}), None, (200, {})]
    client.get_route("books-ms")
    client.get_route("users-ms")  # repeated, as its first answer was lost
    first, second, again = (headers["X-Request-ID"] for _, _, headers, _ in daemon.asked)
    assert (first[-2:], second[-2:], again) == ("-1", "-2", second)
    assert first[:-2] == second[:-2] and len(first) == 14


def test_a_dry_run_asks_for_the_difference(daemon: Daemon, client: ProxyClient) -> None:
    daemon.answers = [(200, {"diff": "+"})]
    client.put_route(ROUTE, dry_run=True, timeout=5)
    assert daemon.asked[0][1] == "/v1/routes/books-ms?dryRun=true&diff=true&wait=4&proxies=0"


def test_what_is_absent_is_an_answer_not_an_error(daemon: Daemon, client: ProxyClient) -> None:
    removed = {"service": "books-ms", "removed": True, "proxies": {"one": "serves"}}
    daemon.answers = [(404, refused("no route")), (404, refused("no route")), (200, removed)]
    assert client.get_route("books-ms") is None
    assert client.remove_route("books-ms") is None
    assert client.remove_route("books-ms", proxies=2) == removed
    assert daemon.asked[-1][:2] == ("DELETE", "/v1/routes/books-ms?proxies=2")


def test_routes_are_a_list(daemon: Daemon, client: ProxyClient) -> None:
    daemon.answers = [(200, {"routes": [{"service": "books-ms"}]}), (200, {"routes": "?"})]
    assert client.routes() == [{"service": "books-ms"}]
    with pytest.raises(ProxyError, match="does not look like"):
        client.routes()


def test_drain_and_resume_name_addresses(daemon: Daemon, client: ProxyClient) -> None:
    daemon.answers = [(200, {"cut": 3}), (200, {})]
    both = [Address("10.0.0.1", 80), Address("::1", 81)]
    assert client.drain("books-ms", both, timeout=7, stream_timeout=2, proxies=0.5) == {"cut": 3}
    client.resume("books-ms", [Address("10.0.0.1", 80)], proxies=10)
    assert daemon.asked[0][1] == "/v1/routes/books-ms/drain?proxies=0.5"
    assert daemon.asked[0][3] == {"addresses": ["10.0.0.1:80", "[::1]:81"], "timeout": 7, "stream_timeout": 2}
    assert daemon.asked[1][1] == "/v1/routes/books-ms/resume?proxies=10"


def test_users_are_counted_by_an_id(daemon: Daemon, client: ProxyClient) -> None:
    users = {"requests": 4812, "failed": 0, "p99_ms": 12.0, "exact": True}
    answer = (200, {"users": users})
    daemon.answers = [answer, answer, (404, refused("not counted")), answer, (404, refused("not counted"))]
    client.count_users("books-ms", "4f1c")
    assert [client.users("books-ms"), client.users("books-ms")] == [users, None]
    assert [client.stop_counting("books-ms", "4f1c"), client.stop_counting("books-ms", "4f1c")] == [users, None]
    assert [(method, path) for method, path, _headers, _body in daemon.asked] == [
        ("POST", "/v1/routes/books-ms/count"),
        *[("GET", "/v1/routes/books-ms/count")] * 2,
        *[("DELETE", "/v1/routes/books-ms/count?id=4f1c")] * 2,
    ]
    assert daemon.asked[0][3] == {"id": "4f1c"}


def test_a_name_stays_one_segment_of_the_url(daemon: Daemon, client: ProxyClient) -> None:
    daemon.answers = [(404, refused("no route"))]
    client.get_route("../../v1/events?x#y")
    assert daemon.asked[0][1] == "/v1/routes/..%2F..%2Fv1%2Fevents%3Fx%23y"


@pytest.mark.parametrize(
    ("answer", "message", "hint"),
    [
        ((401, b""), "wrong token", "JENKINS_PROXY_TOKEN"),
        ((409, refused("no live instance of books-ms", "start it")), "refused .*: no live instance", "start it"),
        ((503, refused("the registry is away")), "could not do .*: the registry is away", ""),
        ((404, b"<html>nginx"), "does not look like", "JENKINS_PROXY_URL"),
        ((302, b""), "HTTP 302", "JENKINS_PROXY_URL"),
        ((200, b"hello"), "not a JSON object", "JENKINS_PROXY_URL"),
        ((200, []), "not a JSON object", "JENKINS_PROXY_URL"),
        ((500, {"error": "text"}), "HTTP 500", "JENKINS_PROXY_URL"),
    ],
)
def test_a_refusal_is_one_line_with_a_next_step(daemon: Daemon, client: ProxyClient, answer, message, hint) -> None:
    daemon.answers = [answer]
    with pytest.raises(ProxyError, match=message) as caught:
        client.put_route(ROUTE)
    assert hint in caught.value.hint
    assert "secret-token" not in caught.value.message + caught.value.hint
    assert len(daemon.asked) == 1, "an answer, even a refusal, is not asked for again"


BROKEN_OFF, CUT = None, "an answer that ends too early"
CALLS = {
    "put_route": lambda client: client.put_route(ROUTE),
    "get_route": lambda client: client.get_route("books-ms"),
    "remove_route": lambda client: client.remove_route("books-ms"),
    "drain": lambda client: client.drain("books-ms", [HERE], timeout=5),
    "resume": lambda client: client.resume("books-ms", [HERE]),
    "hold": lambda client: client.hold(ROUTE, key_sha256="ab" * 32, holder={"name": "me"}),
    "promote": lambda client: client.promote("books-ms", "0123abcd", [HERE]),
    "demote": lambda client: client.demote("books-ms", "0123abcd"),
    "end_hold": lambda client: client.end_hold("books-ms", "0123abcd"),
    "count_users": lambda client: client.count_users("books-ms", "4f1c"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_meets_a_restart_is_made_again_and_that_is_told_once(daemon, client, told, name) -> None:
    daemon.answers = [(200, HEALTH), BROKEN_OFF, CUT, (200, {"service": "books-ms"})]
    client.health()
    assert told == []
    CALLS[name](client)
    assert told == [f"the proxy at {daemon.url} does not answer: waits for it, 10 s at most"]
    assert len({str(asked) for asked in daemon.asked[1:]}) == 1, "the same call, with the same request ID"
    assert len(daemon.asked) == 4


def test_every_call_that_changes_something_is_made_again() -> None:
    names = {name for name, method in vars(ProxyClient).items() if callable(method) and not name.startswith("_")}
    assert names - CALLS.keys() == {"access", "close", "health", "routes", "users", "stop_counting"}


@pytest.mark.parametrize(
    ("patience", "timeout", "says"),
    [
        (Patience(absent=0.2), 5, ["0.2 s at most"]),
        # A call that has less time than that.
        (Patience(absent=5), 0.3, ["0.3 s at most"]),
        (NO_PATIENCE, 5, []),
    ],
)
def test_nobody_there_is_told_with_the_cause_within_the_time(free_port, told, patience, timeout, says) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    client = ProxyClient(url, patience=patience, announce=told.append)
    with pytest.raises(ProxyError, match=f"^no proxy daemon answers at {url}: connection refused$") as caught:
        client.put_route(ROUTE, timeout=timeout)
    assert "jenkins-proxy serve" in caught.value.hint
    assert told == [f"the proxy at {url} does not answer: waits for it, {text}" for text in says]


def test_one_that_is_gone_for_good_is_not_waited_for_as_long_twice(daemon: Daemon, told) -> None:
    client = ProxyClient(daemon.url, patience=Patience(restart=0.2, absent=0.1), announce=told.append)
    daemon.answers = [(200, HEALTH)]
    client.health()
    for _ in range(2):
        with pytest.raises(ProxyError, match="no proxy daemon answers"):
            client.demote("books-ms", "0123abcd")
    assert [text.partition("it, ")[2] for text in told] == ["0.2 s at most", "0.1 s at most"]


def test_a_daemon_that_never_answers_ends_with_the_deadline() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(ProxyError, match="did not answer PUT /v1/routes/books-ms within 0.3 s"):
            ProxyClient(f"http://127.0.0.1:{silent.getsockname()[1]}").put_route(ROUTE, timeout=0.3)


def test_neither_proxies_nor_netrc_of_the_environment_come_between(daemon: Daemon, monkeypatch, tmp_path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:3128")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("JENKINS_PROXY_URL", daemon.url)
    monkeypatch.setenv("JENKINS_PROXY_TOKEN", "from-the-environment")
    daemon.answers = [(200, HEALTH)]
    assert ProxyClient.from_settings(settings.resolve({})).health() == HEALTH
    assert daemon.asked[0][2]["Authorization"] == "Bearer from-the-environment"


def test_health_of_something_else_is_no_daemon(daemon: Daemon) -> None:
    daemon.answers = [(200, {"status": "ok"})]
    with pytest.raises(ProxyError, match="does not look like the proxy daemon's API"):
        ProxyClient(daemon.url).health()


def test_a_hold_is_put_promoted_demoted_and_ended(daemon: Daemon, client: ProxyClient) -> None:
    daemon.answers = [(200, {"id": "0123abcd"})] * 4
    here, old = Address("10.0.0.1", 1), Address("10.0.0.1", 2)
    holder = {"name": "me@host:1", "build": "", "kept": False}
    client.hold(ROUTE, key_sha256="ab" * 32, holder=holder, timeout=60, replace="76543210", before=[old], proxies=10)
    client.promote("books-ms", "0123abcd", [here], keep=[old], timeout=5)
    client.demote("books-ms", "0123abcd", proxies=10)
    assert client.end_hold("books-ms", "0123abcd", proxies=10) == {"id": "0123abcd"}
    path = "/v1/routes/books-ms"
    assert [(method, path, body) for method, path, _headers, body in daemon.asked] == [
        (
            "PUT",
            f"{path}/hold?proxies=10",
            {
                "route": ROUTE.as_dict(),
                "key_sha256": "ab" * 32,
                "holder": holder,
                "timeout": 60,
                "replace": "76543210",
                "before": [str(old)],
            },
        ),
        (
            "POST",
            f"{path}/promote",
            {"id": "0123abcd", "addresses": [str(here)], "keep": [str(old)], "timeout": 5},
        ),
        ("POST", f"{path}/demote?proxies=10", {"id": "0123abcd"}),
        ("DELETE", f"{path}/hold?id=0123abcd&proxies=10", None),
    ]


def test_a_hold_of_somebody_else_is_an_error_with_the_daemons_words(daemon: Daemon, client: ProxyClient) -> None:
    daemon.answers = [(409, refused("books-ms is held by me@host:1 since 14:02", "abort books-ms ends it"))]
    with pytest.raises(ProxyError, match="books-ms is held by me@host:1 since 14:02") as error:
        client.hold(ROUTE, key_sha256="ab" * 32, holder={"name": "x"})
    assert error.value.hint == "abort books-ms ends it"

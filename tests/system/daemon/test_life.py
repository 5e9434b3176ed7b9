"""The daemon starts, is killed, starts again, loses its registry; and who may call it."""

from __future__ import annotations

import contextlib
import datetime
import getpass
import json
import os
import signal
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
import trustme

from jenkins_proxy.clients.proxy import ProxyClient
from jenkins_proxy.model import Route
from tests.fixtures.traffic import asking
from tests.system.daemon.conftest import haproxies

BOOKS = "/api/v1/books"
RECONFIGURE = f"/v1/docker-flow-proxy/reconfigure?serviceName=books-ms&servicePath={BOOKS}"
OLD_AIOHTTP = tuple(map(int, aiohttp.__version__.split(".")[:2])) < (3, 14)


def test_a_restart_serves_at_once_what_was_served(daemon, backends) -> None:
    (backend,) = backends()
    daemon.register("books-ms", backend)
    assert daemon.curl(RECONFIGURE)[0] == 0
    assert len(haproxies(daemon.state)) >= 1
    assert daemon.end() == 143
    assert daemon.said.splitlines()[-1].endswith(" INFO    stopped by SIGTERM")
    assert "ERROR" not in daemon.said
    daemon.start()
    assert daemon.get(BOOKS) == (200, str(backend.port))


def test_whatever_its_files_have_become_it_starts_and_serves(make_daemon, backends, wait_for) -> None:
    daemon, (backend,) = make_daemon(), backends()
    daemon.start()
    daemon.register("books-ms", backend)
    assert daemon.curl(RECONFIGURE)[0] == 0
    wait_for((daemon.state / "routes.json").exists, "the copy of the routes")
    # By Ctrl-C, with HAProxy: what serves then has started from the files.
    assert daemon.end(signal.SIGINT) == 143
    known = (daemon.state / "routes.json").read_bytes()
    for number, path in enumerate(sorted(path for path in daemon.state.rglob("*") if path.is_file())):
        data = path.read_bytes()
        # The registry's own file has lost the end of its last line, as a machine that lost its power leaves it.
        half = len(data) - 3 if path.name == "registry" else len(data) // 2
        path.write_bytes(data[:half] + (b"" if number % 2 or path.name == "registry" else b"\xff" + data[half:]))
    assert (daemon.state / "routes.json").read_bytes() != known
    daemon.start()
    wait_for(lambda: daemon.get(BOOKS) == (200, str(backend.port)), "the route to serve")
    assert daemon.curl(RECONFIGURE)[0] == 0
    assert f"{daemon.state / 'routes.json'} is not used, as it is damaged" in daemon.said
    assert "Traceback" not in daemon.said


def test_what_somebody_edits_is_put_right_told_and_counted(daemon, wait_for) -> None:
    config = daemon.state / "haproxy" / "haproxy.cfg"
    text = config.read_text()
    config.write_text(f"{text}evil\n")
    wait_for(lambda: "drift repaired haproxy.cfg was edited" in daemon.said, "the edit to be found")
    assert config.read_text() == text
    assert "jenkins_proxy_drift_repaired_total 1.0" in daemon.curl("/metrics")[1].splitlines()


def test_a_polite_restart_loses_no_request_and_cuts_no_stream(daemon, backends, wait_for) -> None:
    backend, websocket = backends(2)
    daemon.register("books-ms", backend)
    daemon.register("chat-ms", websocket)
    assert daemon.curl(RECONFIGURE)[0] == 0
    chat = "/v1/docker-flow-proxy/reconfigure?serviceName=chat-ms&servicePath=/chat"
    assert daemon.curl(chat)[0] == 0
    with socket.create_connection(("127.0.0.1", daemon.entry), timeout=10) as stream, users(daemon) as answers:
        stream.sendall(b"GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        assert b" 101 " in stream.recv(1000)
        for _ in range(2):
            assert daemon.end() == 143
            line = [line for line in daemon.said.splitlines() if "goes on serving users" in line][-1]
            assert int(line.rpartition("kill -USR1 ")[2].split("`")[0]) in haproxies(daemon.state)
            assert daemon.get(BOOKS) == (200, str(backend.port)), "served without a daemon"
            daemon.start()
        stream.sendall(b"still there?")
        assert stream.recv(1000) == b"still there?"
    assert answers == {(200, str(backend.port))}
    # A master and its worker.
    wait_for(lambda: len(haproxies(daemon.state)) == 2, "the HAProxy of before to end with its last stream")


@contextlib.contextmanager
def users(daemon) -> Iterator[set[tuple[int, str]]]:
    """Users who ask all the time; the set is of the answers that they got."""
    answers: set[tuple[int, str]] = set()

    def ask() -> None:
        try:
            answers.add(daemon.get(BOOKS))
        except OSError as error:
            answers.add((0, repr(error)))

    with asking(ask, ask):
        yield answers


def test_on_a_full_disk_it_starts_and_serves_and_refuses_changes(make_daemon, backends, wait_for) -> None:
    daemon = make_daemon("--stop-haproxy")
    daemon.take_small_disk()
    (backend,) = backends()
    daemon.start()
    daemon.register("books-ms", backend)
    assert daemon.curl(RECONFIGURE)[0] == 0
    assert daemon.end() == 143
    daemon.fill_disk()
    daemon.start()
    assert daemon.answering(BOOKS, 3) == {str(backend.port)}
    code, said = daemon.curl("/readyz")
    assert code == 22 and "503" in said
    code, said = daemon.curl(RECONFIGURE.replace("/api/v1/books", "/other"))
    assert code == 22 and "500" in said, "Docker Flow: Proxy's status for a failure"
    assert "Traceback" not in daemon.said
    assert "there is no room" in daemon.said or "until there is room" in daemon.said
    assert daemon.end() == 143
    daemon.empty_disk()
    daemon.start()
    assert daemon.answering(BOOKS, 3) == {str(backend.port)}
    wait_for(lambda: daemon.curl("/readyz")[0] == 0, "every part to run")
    assert daemon.curl(RECONFIGURE.replace("/api/v1/books", "/other"))[0] == 0


def test_told_so_it_ends_haproxy_too(make_daemon) -> None:
    daemon = make_daemon("--stop-haproxy")
    daemon.start()
    assert daemon.end() == 143
    assert haproxies(daemon.state) == []


def test_the_haproxy_that_users_meet_is_not_root(daemon) -> None:
    owners = {Path(f"/proc/{pid}").owner() for pid in haproxies(daemon.state)}
    # The master keeps its rights, for ports below 1024 at the next reload; it speaks to nobody.
    assert owners == ({"root", "haproxy"} if os.geteuid() == 0 else {getpass.getuser()})


def session(daemon) -> str:
    """The session that holds this proxy's key; empty where none does."""
    url = f"{daemon.registry}/v1/kv/jenkins-proxy/proxies/?recurse=true"
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(url, timeout=10) as answer:
        return next((key["Session"] for key in json.load(answer) if "Session" in key), "")
    return ""


def test_a_killed_daemon_leaves_no_second_haproxy(daemon, backends, wait_for) -> None:
    (backend,) = backends()
    daemon.register("books-ms", backend)
    assert daemon.curl(RECONFIGURE)[0] == 0
    wait_for(lambda: session(daemon), "the proxy to be among the live ones")
    before = session(daemon)
    assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
    daemon.start()
    # Soon, not at once: the files follow changes of servers, and this one was killed right after such a change.
    wait_for(lambda: daemon.get(BOOKS) == (200, str(backend.port)), "the route to serve again")
    wait_for(lambda: session(daemon) not in ("", before), "its place among the live proxies to be the new daemon's")
    assert daemon.end(signal.SIGINT) == 143
    wait_for(lambda: haproxies(daemon.state) == [], "every HAProxy to end with the daemon")


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /\xe9\xff HTTP/1.1",
        b"\x00\x01",
        pytest.param(
            b"GET http://[ HTTP/1.1",
            marks=pytest.mark.xfail(OLD_AIOHTTP, reason="aiohttp drops the connection, and says so at length"),
        ),
    ],
)
def test_what_is_no_request_is_refused_and_does_not_fill_the_log(make_daemon, request_line) -> None:
    daemon = make_daemon()
    daemon.start()
    for url in (daemon.api, daemon.registry):
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as stranger:
            stranger.sendall(request_line + b"\r\nHost: x\r\n\r\n")
            assert b" 400 " in stranger.recv(1000)
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as stranger:
                stranger.sendall(
                    b"PUT /v1/kv/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"
                )
                stranger.shutdown(socket.SHUT_WR)
                stranger.recv(1000)
    daemon.end()
    assert "Traceback" not in daemon.said


def test_hundreds_who_only_connect_lock_nobody_out(make_daemon, backends) -> None:
    (backend,) = backends()
    daemon = make_daemon("--stop-haproxy")
    daemon.limit_descriptors(512)
    daemon.start()
    with contextlib.ExitStack() as stack:
        for url in (daemon.api, daemon.registry):
            for _ in range(300):
                stack.enter_context(socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=10))
        daemon.register("books-ms", backend)
        assert daemon.curl(RECONFIGURE)[0] == 0
        assert daemon.curl("/healthz")[0] == 0
        assert daemon.get(BOOKS) == (200, str(backend.port))
    daemon.end()
    warnings = [line for line in daemon.said.splitlines() if "ask for nothing are closed" in line]
    assert {name for name in ("the API", "the embedded registry") for line in warnings if name in line} == {
        "the API",
        "the embedded registry",
    }, daemon.said
    assert len(warnings) < 5, "a line a minute, not one for each"
    assert "Traceback" not in daemon.said


def test_ctrl_c_ends_it_in_order(daemon) -> None:
    with urllib.request.urlopen(daemon.api + "/v1/events", timeout=10) as reader:
        assert daemon.end(signal.SIGINT) == 143
        assert b"retry" in reader.read()
    assert haproxies(daemon.state) == []


def test_two_proxies_on_one_registry_serve_the_same(make_daemon, backends, wait_for, consul_url) -> None:
    (backend,) = backends()
    first, second = make_daemon(consul=consul_url), make_daemon(consul=consul_url)
    first.start()
    second.start()
    first.register("twin-ms", backend)
    path = "/v1/docker-flow-proxy/reconfigure?serviceName=twin-ms&servicePath=/twin"
    assert first.curl(path)[0] == 0
    wait_for(lambda: second.get("/twin") == (200, str(backend.port)), "the other proxy to follow")
    assert first.curl("/v1/docker-flow-proxy/remove?serviceName=twin-ms")[0] == 0
    wait_for(lambda: second.get("/twin")[0] == 503)
    first.deregister("twin-ms", backend)


def test_a_registry_that_goes_away_is_told_and_users_go_on(make_daemon, backends, wait_for, start_consul) -> None:
    (backend,) = backends()
    url, consul = start_consul()
    daemon = make_daemon(consul=url)
    daemon.start()
    daemon.register("books-ms", backend)
    assert daemon.curl(RECONFIGURE)[0] == 0
    consul.terminate()
    consul.wait(timeout=20)
    wait_for(lambda: not daemon.told()["registry"]["up"], "the loss to be noticed")
    assert daemon.get(BOOKS) == (200, str(backend.port))
    with urllib.request.urlopen(daemon.api + "/healthz", timeout=10) as answer:
        assert json.load(answer)["registry"]["up"] is False
    code, said = daemon.curl(RECONFIGURE.replace("books", "users"), "--max-time", "20")
    assert (code, "500" in said) == (22, True)
    assert daemon.end() == 143
    daemon.start()
    assert daemon.get(BOOKS) == (200, str(backend.port)), "started without a registry, from what it kept"


def test_a_token_protects_and_never_shows(make_daemon, backends) -> None:
    (backend,) = backends()
    daemon = make_daemon(JENKINS_PROXY_TOKEN="s3cret-t0ken")
    daemon.start()
    daemon.register("books-ms", backend)
    assert "401" in daemon.curl(RECONFIGURE)[1]
    assert "401" in daemon.curl(RECONFIGURE, "-H", "Authorization: Bearer wrong")[1]
    # By the registry's door neither, which the daemon itself goes through.
    evil = urllib.request.Request(
        f"{daemon.registry}/v1/kv/jenkins-proxy/routes/evil", b'{"paths": ["/"]}', method="PUT"
    )
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(evil, timeout=10)
    assert daemon.get(BOOKS)[0] == 503
    assert daemon.curl(RECONFIGURE, "-H", "Authorization: Bearer s3cret-t0ken")[0] == 0
    assert daemon.get(BOOKS) == (200, str(backend.port))
    arguments = Path(f"/proc/{daemon.process.pid}/cmdline").read_text()
    assert "s3cret" not in daemon.said + arguments + daemon.curl("/metrics")[1]


@pytest.mark.parametrize(
    ("token", "warns"),
    [
        ("", ["whoever reaches 0.0.0.0:{} can change where users are led"]),
        ("s3cret", ["callers send the token to 0.0.0.0:{} unencrypted"]),
    ],
)
def test_an_open_door_is_told(make_daemon, free_port, token: str, warns: list) -> None:
    port = free_port()
    daemon = make_daemon("--listen", f"0.0.0.0:{port}", "--insecure", JENKINS_PROXY_TOKEN=token)
    daemon.start()
    warnings = [line for line in daemon.said.splitlines() if " WARNING " in line and "docker" not in line.lower()]
    assert [warning.format(port) in line for warning, line in zip(warns, warnings)] == [True], daemon.said


def test_the_api_speaks_https(make_daemon, tmp_path, backends) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
                   check=True, capture_output=True)  # fmt: skip
    daemon = make_daemon("--tls-cert", str(cert), "--tls-key", str(key), scheme="https", JENKINS_PROXY_TOKEN="s3cret")
    daemon.start()
    (backend,) = backends()
    daemon.register("books-ms", backend)
    client = ProxyClient(daemon.api, "s3cret", str(cert))
    assert client.put_route(Route("books-ms", (BOOKS,)))["instances"][0]["serving"] is True
    client.close()


def test_the_api_takes_no_protocol_before_tls_1_2_and_names_at_the_start_what_has_expired(
    make_daemon, tmp_path
) -> None:
    end = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", not_before=end - datetime.timedelta(days=1), not_after=end)
    both = tmp_path / "both.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(str(both))
    clients = tmp_path / "clients.pem"
    clients.write_bytes(issued.cert_chain_pems[0].bytes())
    daemon = make_daemon(
        *("--tls-cert", str(both), "--tls-client-ca", str(clients)), scheme="https", JENKINS_PROXY_TOKEN="s3cret"
    )
    daemon.start()
    told = f"expired at {end:%Y-%m-%dT%H:%M:%SZ}"
    assert f"the certificate {both} (127.0.0.1) {told}" in daemon.said
    line = next(line for line in daemon.said.splitlines() if f"(--tls-client-ca) {clients}: " in line)
    assert f"{told}: clients whose certificates it has signed are refused" in line
    metrics = daemon.curl("/metrics", "-k")[1]
    assert [f'expiry_timestamp_seconds{{name="{path}"}}' in metrics for path in (both, clients)] == [True, True]
    state = json.loads(daemon.curl("/v1/state", "-k", "-H", "Authorization: Bearer s3cret")[1])
    assert {own["name"]: own["days_left"] for own in state["certificates"]} == {str(both): -1, str(clients): -1}
    port = int(daemon.api.rpartition(":")[2])
    # The server may hang up before what it says of the version has gone out.
    for old in (True, False):
        context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
        context.verify_mode = ssl.VerifyMode.CERT_REQUIRED
        if old:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of the version that is to be refused
                context.set_ciphers("ALL:@SECLEVEL=0")
                context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
            pytest.raises(ssl.SSLError, match="(?i)alert.protocol.version|EOF" if old else "certificate has expired"),
        ):
            context.wrap_socket(connection, server_hostname="127.0.0.1")


def test_events_and_metrics_tell_what_happened(daemon, backends, wait_for) -> None:
    (backend, second) = backends(2)
    daemon.register("books-ms", backend)
    assert daemon.curl(RECONFIGURE)[0] == 0
    daemon.register("books-ms", second)
    wait_for(lambda: len(daemon.answering(BOOKS)) == 2)
    kinds = wait_for(lambda: {event["kind"] for event in daemon.told()["events"]} >= {"route-put", "in-rotation"})
    assert kinds
    metrics = daemon.curl("/metrics")[1]
    assert 'jenkins_proxy_instances{service="books-ms",state="serving"} 2' in metrics
    assert "jenkins_proxy_registry_up 1" in metrics
    assert 'jenkins_proxy_requests_total{code="2xx",service="books-ms"}' in metrics
    assert "jenkins_proxy_change_to_rotation_seconds_count 0" not in metrics

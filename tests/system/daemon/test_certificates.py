"""Users by https: a real HAProxy, an authority of our own, certificates that come, are renewed and go under load."""

from __future__ import annotations

import base64
import functools
import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
import warnings
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from trustme import KeyType

from tests.fixtures.traffic import Echoing, asking

RENEWALS = 20


class Site:
    """A server that answers with the headers that it got, or with ``text``."""

    def __init__(self, text: str = "") -> None:
        class Handler(Echoing):
            def do_GET(self) -> None:  # noqa: N802
                if self.headers.get("Upgrade"):
                    self.echo()
                    return
                body = (text or json.dumps({**self.headers, "path": self.path})).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class FrontDoor:
    """A daemon that serves by https, and what its users and its administrator do."""

    def __init__(self, daemon, port: int, folder: Path, authority) -> None:
        self.daemon, self.port, self.folder = daemon, port, folder
        self._authority, self.ca = authority, authority.ca
        self.keys: list[str] = []
        self.log: Path

    def pem(self, *names: str, **options: object) -> str:
        """A new certificate with its key. The key is remembered as a secret."""
        made = self._authority.certificate(*names, **options)
        key = made.key.read_text()
        self.keys += [line for line in key.splitlines() if "-----" not in line and len(line) > 40]
        return made.cert.read_text() + key

    def write(self, name: str, pem: str) -> None:
        """As certbot and people do it: a new file in the place of the old one."""
        (self.folder / ".new").write_text(pem)
        (self.folder / ".new").rename(self.folder / name)

    def connect(self, server_name: str, **protocol: object) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self._authority.ca))
        context.check_hostname = False
        for name, value in protocol.items():
            setattr(context, name, value)
        return context.wrap_socket(
            socket.create_connection(("127.0.0.1", self.port), timeout=10), server_hostname=server_name
        )

    def names(self, server_name: str) -> set[str]:
        """Whose certificate a client meets that asks for this host."""
        with self.connect(server_name) as connection:
            return {value for _kind, value in connection.getpeercert()["subjectAltName"]}

    def fingerprint(self, server_name: str) -> bytes:
        with self.connect(server_name) as connection:
            return connection.getpeercert(binary_form=True)

    def user(self, failed: list[str], answered: list[int]) -> None:
        """A user who comes once, for a whole page."""
        try:
            with self.connect("one.example.com") as connection:
                connection.sendall(b"GET /load HTTP/1.1\r\nHost: one.example.com\r\nConnection: close\r\n\r\n")
                answer = b""
                while part := connection.recv(65536):
                    answer += part
            assert answer.startswith(b"HTTP/1.1 200 ") and b'"path": "/load"' in answer, answer
            answered[0] += 1
        except Exception as error:
            failed.append(repr(error))

    def certs(self) -> dict[str, dict]:
        return {own["name"]: own for own in json.loads(self.daemon.curl("/v1/certs")[1])["certificates"]}

    def put(self, name: str, pem: str, path: str = "/v1/certs/{}") -> tuple[int, dict]:
        request = urllib.request.Request(self.daemon.api + path.format(name), pem.encode(), method="PUT")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


@pytest.fixture(scope="module")
def front(make_shared_daemon, free_port, authority, tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("certs"), free_port()
    site, challenges = Site(), Site("the-challenge")
    pages = tmp_path_factory.mktemp("pages")
    shared = pages / "shared.key"
    shared.write_bytes(base64.b64encode(b"k" * 32))
    shared.chmod(0o600)
    (pages / "404.http").write_bytes(b"HTTP/1.1 404 Not Found\r\nContent-Length: 8\r\n\r\nnot here")
    daemon = make_shared_daemon(
        *("--tls-bind", f"127.0.0.1:{port}", "--certs", str(folder), "--tls-redirect", "--hsts", "3600"),
        *("--acme", f"127.0.0.1:{challenges.port}", "--trusted", "127.0.0.2", "--no-route-status", "404"),
        *("--share-certs", str(shared), "--error-pages", str(pages)),
        *("--access-log", "json", "--access-log-to", str(pages / "access.log")),
    )
    door = FrontDoor(daemon, port, folder, authority)
    door.log = pages / "access.log"
    door.write("one.pem", door.pem("one.example.com"))
    certbot = authority.certificate("two.example.com", "*.two.example.com")
    (folder / "two").mkdir()
    shutil.copy(certbot.cert, folder / "two" / "fullchain.pem")
    shutil.copy(certbot.key, folder / "two" / "privkey.pem")
    daemon.start()
    daemon.register("books", site)
    daemon.register("inner", site)
    inner = json.dumps({"paths": ["/inner"], "allow_from": ["127.0.0.2"]})
    assert daemon.curl("/v1/routes/inner", "-X", "PUT", "-d", inner)[0] == 0
    assert daemon.curl("/v1/docker-flow-proxy/reconfigure?serviceName=books&servicePath=/a,/load")[0] == 0
    yield door
    for server in (site, challenges):
        server.stop()


@pytest.fixture
def curl(front, tool, authority):
    """``curl("https", "/path", …)``: its output, from one.example.com."""
    tool("curl")

    def run(scheme: str, path: str, *arguments: str) -> str:
        ports = (f"one.example.com:{port}:127.0.0.1" for port in (front.port, front.daemon.entry))
        resolve = [word for one in ports for word in ("--resolve", one)]
        port = front.port if scheme == "https" else front.daemon.entry
        argv = [
            "curl",
            "-sS",
            "--cacert",
            str(authority.ca),
            *resolve,
            *arguments,
            f"{scheme}://one.example.com:{port}{path}",
        ]
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20).stdout

    return run


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("one.example.com", "one.example.com"),
        ("two.example.com", "two.example.com"),
        ("below.two.example.com", "two.example.com"),
        ("stranger.example.org", "one.example.com"),
    ],
)
def test_each_host_gets_its_certificate_and_strangers_the_first(front, asked: str, answered: str) -> None:
    assert answered in front.names(asked)


def test_http_2_is_spoken_and_the_service_knows_that_it_is_https(front, curl) -> None:
    said = curl("https", "/a", "--http2", "-D", "-", "-w", "%{http_version}")
    assert said.endswith("2"), said
    assert "strict-transport-security: max-age=3600" in said
    headers = {name.lower(): value for name, value in json.loads(said.partition("\n\n")[2][:-1]).items()}
    assert headers["x-forwarded-proto"] == "https"
    assert headers["x-forwarded-port"] == str(front.port)
    assert headers["x-forwarded-for"] == "127.0.0.1"


def test_what_a_service_is_told_of_a_request_and_who_may_say_it_instead(front, curl, wait_for) -> None:
    said = {"X-Request-ID": "mine-1", "X-Forwarded-Proto": "gopher", "X-Forwarded-Host": "h", "X-Forwarded-Port": "7"}
    arguments = [word for name, value in said.items() for word in ("-H", f"{name}: {value}")]

    def told(*how: str) -> dict[str, str]:
        headers = {name.lower(): value for name, value in json.loads(curl("https", "/a", *arguments, *how)).items()}
        return {name: headers[name.lower()] for name in said}

    assert told("--interface", "127.0.0.2") == said
    stranger = told()
    assert stranger["X-Forwarded-Proto"] == "https"
    assert stranger["X-Forwarded-Host"] == f"one.example.com:{front.port}"
    assert stranger["X-Forwarded-Port"] == str(front.port)
    assert re.fullmatch(r"[0-9a-f-]{36}", stranger["X-Request-ID"])

    def logged() -> list[dict]:
        lines = front.log.read_text().splitlines(keepends=True)
        found = [json.loads(line) for line in lines if line.endswith("\n")]
        return [line for line in found if line["request_id"] == stranger["X-Request-ID"]]

    # It is written once the answer is sent.
    wait_for(logged, "its line in the access log")
    (line,) = logged()
    assert (line["method"], line["uri"].removeprefix("https://one.example.com").partition("/")[2]) == ("GET", "a")
    assert (line["status"], line["route"], line["termination"]) == (200, "books", "--")
    assert re.fullmatch(r"127\.0\.0\.1:\d+", line["instance"])
    assert line["tls"].startswith("TLSv1.") and line["total_ms"] >= line["response_ms"] >= 0


def test_who_has_no_route_gets_the_own_page(front, curl) -> None:
    assert curl("https", "/nothing", "-w", " %{http_code}") == "not here 404"


def test_only_allowed_networks_reach_a_service(front, curl) -> None:
    assert curl("https", "/inner", "-o", "/dev/null", "-w", "%{http_code}") == "403"
    assert curl("https", "/inner", "-o", "/dev/null", "-w", "%{http_code}", "--interface", "127.0.0.2") == "200"
    key = json.loads(front.daemon.curl("/v1/routes/inner")[1])["probe"]
    probe = ("-H", f"{key['header']}: {key['key']}")
    assert curl("https", "/inner", "-o", "/dev/null", "-w", "%{http_code}", *probe) == "200"


def test_protocols_before_tls_1_2_are_refused(front) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the version that is to be refused
        old = {"minimum_version": ssl.TLSVersion.TLSv1, "maximum_version": ssl.TLSVersion.TLSv1_1}
        context = ssl.create_default_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        for name, value in old.items():
            setattr(context, name, value)
    with (
        pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION|alert protocol version"),
        socket.create_connection(("127.0.0.1", front.port), timeout=10) as connection,
    ):
        context.wrap_socket(connection, server_hostname="one.example.com")


def test_http_leads_to_https_but_for_the_challenges_of_an_authority(front, curl) -> None:
    at = f"https://one.example.com:{front.port}/a?b=c"
    assert curl("http", "/a?b=c", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}") == f"301 {at}"
    assert curl("http", "/a?b=c", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", "-d", "x") == f"308 {at}"
    assert curl("http", "/.well-known/acme-challenge/token") == "the-challenge"
    assert curl("http", "/a", "-0", "-H", "Host:", "-o", "/dev/null", "-w", "%{http_code}") == "400"


def test_twenty_renewals_under_load_lose_nothing_and_reload_nothing(front, until_served) -> None:
    failed, answered = [], [0]
    user = functools.partial(front.user, failed, answered)
    version = front.daemon.told()["version"]
    socket_open = front.connect("one.example.com")
    socket_open.sendall(b"GET /a HTTP/1.1\r\nHost: one.example.com\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    assert socket_open.recv(1000).startswith(b"HTTP/1.1 101 ")
    assert front.put("upload", front.pem("upload.example.com"))[1]["applied"] == "runtime"
    with asking(user, user):
        for number in range(RENEWALS):
            # Every second one by the API: looking at the files takes a second.
            if number % 5 == 0:
                pem = front.pem("one.example.com")
                front.write("one.pem", pem)
                until_served("one.example.com", pem)
            else:
                pem = front.pem("upload.example.com")
                assert front.put("upload", pem)[1]["applied"] == "runtime"
                until_served("upload.example.com", pem)
    with socket_open:
        socket_open.sendall(b"still here")
        assert socket_open.recv(1000) == b"still here"
    assert failed == []
    assert answered[0] > RENEWALS
    assert front.daemon.told()["version"] == version, front.daemon.said


@pytest.fixture
def until_served(front, wait_for):
    def wait(name: str, pem: str) -> None:
        wanted = ssl.PEM_cert_to_DER_cert(pem[: pem.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n")
        wait_for(lambda: front.fingerprint(name) == wanted, f"the new certificate of {name}")

    return wait


def test_what_cannot_be_served_is_named_and_the_old_one_serves_on(front, wait_for) -> None:
    before = front.fingerprint("one.example.com")
    good, other = front.pem("one.example.com"), front.pem("one.example.com")
    cert, key = (
        good.split("-----BEGIN EC PRIVATE")[0],
        "-----BEGIN EC PRIVATE" + other.split("-----BEGIN EC PRIVATE")[1],
    )
    front.write("one.pem", cert + key)
    wait_for(lambda: front.certs()["one"]["problem"], "the refusal")
    wait_for(lambda: "one.pem is refused" in front.daemon.said, "its line in the log")
    assert front.certs()["one"]["problem"] == "the private key does not belong to the certificate"
    assert front.fingerprint("one.example.com") == before
    front.write("one.pem", good)
    wait_for(lambda: not front.certs()["one"]["problem"], "the good one")
    status, answer = front.put("bad", cert)
    assert (status, answer["error"]["message"]) == (400, "the certificate bad is refused: it holds no private key")
    assert front.put("one", good)[0] == 409


def test_certificates_come_and_go_while_it_serves(front, wait_for) -> None:
    front.write("three.pem", front.pem("three.example.com"))
    wait_for(lambda: "three" in front.certs(), "the new file")
    assert front.names("three.example.com") == {"three.example.com"}
    (front.folder / "three.pem").unlink()
    wait_for(lambda: "three" not in front.certs(), "the file's end")
    assert front.names("three.example.com") == {"one.example.com"}
    status, answer = front.put("four.pem", front.pem("four.example.com"), "/v1/docker-flow-proxy/cert?certName={}")
    assert (status, answer) == (200, {"Status": "OK", "Message": "", "Certs": None})
    assert front.names("four.example.com") == {"four.example.com"}
    assert front.daemon.curl("/v1/certs/four", "-X", "DELETE")[0] == 0
    assert front.names("four.example.com") == {"one.example.com"}
    assert "404" in front.daemon.curl("/v1/certs/four", "-X", "DELETE")[1]


def test_of_two_kinds_of_keys_each_client_meets_the_one_that_it_knows(front) -> None:
    for name, kind in (("pair-ecdsa", KeyType.ECDSA), ("pair-rsa", KeyType.RSA)):
        assert front.put(name, front.pem("pair.example.com", key_type=kind))[0] == 200
    met = {}
    for cipher in ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"):
        context = ssl.create_default_context(cafile=str(front.ca))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(cipher)
        with (
            socket.create_connection(("127.0.0.1", front.port), timeout=10) as connection,
            context.wrap_socket(connection, server_hostname="pair.example.com") as tls,
        ):
            met[tls.cipher()[0]] = tls.getpeercert(binary_form=True)
    assert len(set(met.values())) == 2
    assert sorted(met) == ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"]


def test_of_two_for_one_host_the_same_one_serves_whichever_comes_last(front, wait_for) -> None:
    met = []
    for name in ("twice-b", "twice-a", "twice-b"):
        pem = front.pem("twice.example.com")
        assert front.put(name, pem)[0] == 200
        met.append(
            name
            if ssl.PEM_cert_to_DER_cert(pem.partition("-----BEGIN EC")[0]) == front.fingerprint("twice.example.com")
            else ""
        )
    # They end at once: the first by name.
    assert met == ["twice-b", "twice-a", ""]
    line = "the certificates twice-a, twice-b are for the same host"
    wait_for(lambda: line in front.daemon.said, "the line that names both")
    for name in ("twice-a", "twice-b"):
        assert front.daemon.curl(f"/v1/certs/{name}", "-X", "DELETE")[0] == 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL], ids=["politely", "killed"])
def test_a_restart_loses_no_user_by_https_and_takes_what_was_renewed_meanwhile(front, until_served, signum) -> None:
    failed, answered = [], [0]
    user = functools.partial(front.user, failed, answered)
    uploaded, renewed = front.pem("upload.example.com"), front.pem("one.example.com")
    assert front.put("upload", uploaded)[0] == 200
    with front.connect("one.example.com") as upgraded, asking(user, user):
        upgraded.sendall(b"GET /a HTTP/1.1\r\nHost: one.example.com\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        assert upgraded.recv(1000).startswith(b"HTTP/1.1 101 ")
        front.daemon.end(signum)
        until_served("upload.example.com", uploaded)
        front.write("one.pem", renewed)
        front.daemon.start()
        until_served("one.example.com", renewed)
        until_served("upload.example.com", uploaded)
        upgraded.sendall(b"still here")
        assert upgraded.recv(1000) == b"still here"
    assert failed == []
    assert answered[0] > 10


def test_every_line_of_the_access_log_is_json_also_of_what_was_no_request(front) -> None:
    """Of all that has happened before: of clients that are no clients of TLS, too."""
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: plain\r\n\r\n")
        connection.recv(100)
    lines = [json.loads(line) for line in front.log.read_text().splitlines()]
    assert [own for own in lines if own.keys() != lines[0].keys()] == []


def test_no_key_is_told(front) -> None:
    """The last test: of all that has happened before."""
    pem = front.pem("secret.example.com")
    told = [json.dumps(front.put("secret", pem)), json.dumps(front.put("bad", pem + pem)), front.daemon.said]
    told += [json.dumps(front.put("secret", pem, "/v1/docker-flow-proxy/cert?certName={}"))]
    for path in ("/v1/certs", "/v1/docker-flow-proxy/certs", "/v1/state", "/v1/docker-flow-proxy/config", "/metrics"):
        told.append(front.daemon.curl(path)[1])
    with urllib.request.urlopen(front.daemon.registry + "/v1/kv/?recurse", timeout=10) as answer:
        stored = {pair["Key"]: base64.b64decode(pair["Value"] or "") for pair in json.load(answer)}
    assert stored["jenkins-proxy/certificates/secret"]
    told += [value.decode() for value in stored.values()]
    assert '"secret.example.com"' in told[0]
    assert [key for key in front.keys if any(key in text for text in told)] == []
    assert not re.search("PRIVATE KEY", "".join(told))
    for path in front.daemon.state.rglob("*.pem"):
        assert path.stat().st_mode & 0o777 == 0o600, path

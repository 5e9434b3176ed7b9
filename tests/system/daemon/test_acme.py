"""Certificates from an authority: certbot, as docs/proxy.md calls it, asks Pebble, Let's Encrypt's own small one.

`bash tests/run acme` runs this, with both programs on PATH.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import socket
import socketserver
import ssl
import subprocess
import threading
import urllib.request
from pathlib import Path

import pytest

from tests.fixtures.traffic import asking

NAME = "shop.example.com"
_A = 1
# The name of the question, A, IN, a second, four bytes.
_ADDRESS = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1"


class Pebble:
    """The authority. It looks up names at a server of ours, and asks the daemon's entry for challenges.

    :ivar root: the certificate that its own are signed by, as a file.
    """

    def __init__(self, url: str, root: Path, environ: dict[str, str]) -> None:
        self.url, self.root = url, root
        self._environ = environ

    def certbot(self, folder: Path, *arguments: str) -> None:
        """Run certbot with folders of its own. :raises AssertionError: with what it says."""
        own = [word for name in ("config", "work", "logs") for word in (f"--{name}-dir", str(folder / name))]
        argv = ["certbot", *arguments, *own, "--server", self.url, "--non-interactive"]
        done = subprocess.run(argv, env=self._environ, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr


class Names(socketserver.StreamRequestHandler):
    """A name server, by TCP, for which every host is this machine; what is no IPv4 address is not there."""

    def handle(self) -> None:
        while size := self.rfile.read(2):
            query = self.rfile.read(int.from_bytes(size))
            end = query.index(b"\0", 12) + 5
            found = _ADDRESS if int.from_bytes(query[end - 4 : end - 2]) == _A else b""
            counts = bytes((0, 1, 0, bool(found), 0, 0, 0, 0))
            answer = query[:2] + b"\x84\0" + counts + query[12:end] + found
            self.wfile.write(len(answer).to_bytes(2) + answer)


@pytest.fixture
def pebble(acme_programs, authority, free_port, wait_for, tmp_path):
    """``pebble(daemon)`` starts one that finds every host at that daemon's entry."""
    with contextlib.ExitStack() as stack:

        def start(daemon) -> Pebble:
            names = stack.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Names))
            names.daemon_threads = True
            threading.Thread(target=names.serve_forever, daemon=True).start()
            stack.callback(names.shutdown)
            api, management = free_port(), free_port()
            own = authority.certificate("127.0.0.1")
            config = {"listenAddress": f"127.0.0.1:{api}", "managementListenAddress": f"127.0.0.1:{management}",
                      "certificate": str(own.cert), "privateKey": str(own.key), "httpPort": daemon.entry,
                      "tlsPort": free_port(), "profiles": {"default": {"validityPeriod": 7776000}}}  # fmt: skip
            (tmp_path / "pebble.json").write_text(json.dumps({"pebble": config}))
            argv = ["pebble", "-config", str(tmp_path / "pebble.json"), "-strict",
                    "-dnsserver", f"127.0.0.1:{names.server_address[1]}"]  # fmt: skip
            log = stack.enter_context((tmp_path / "pebble.log").open("wb"))
            environ = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "REQUESTS_CA_BUNDLE": str(authority.ca)}
            process = subprocess.Popen(argv, env=environ, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            trusting = ssl.create_default_context(cafile=str(authority.ca))
            root = tmp_path / "pebble-root.pem"

            def answers() -> bool:
                url = f"https://127.0.0.1:{management}/roots/0"
                with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5, context=trusting) as answer:
                    return bool(root.write_bytes(answer.read()))
                return False

            wait_for(answers, "Pebble")
            return Pebble(f"https://127.0.0.1:{api}/dir", root, environ)

        yield start


class Shop:
    """A host's users, who trust the authority and nobody else."""

    def __init__(self, port: int, root: Path) -> None:
        self._port = port
        self._context = ssl.create_default_context(cafile=str(root))
        self.failed: list[str] = []

    def certificate(self) -> bytes:
        """What they meet. :raises OSError: it is not one of the authority's for this host."""
        with self._connect() as connection:
            return connection.getpeercert(binary_form=True) or b""

    def has_one(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.certificate())
        return False

    def ask(self) -> None:
        """A request, for any path: the route has all of them, the challenges' too."""
        try:
            with self._connect() as connection:
                connection.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
                answer = connection.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200 "), answer
        except (OSError, AssertionError) as error:
            self.failed.append(repr(error))

    def _connect(self) -> ssl.SSLSocket:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        return self._context.wrap_socket(connection, server_hostname=NAME)


def documented(repository: Path, daemon, challenges: int, folder: Path) -> tuple[list[str], Path]:
    """What docs/proxy.md says, with this test's ports: the arguments of certbot, and the hook as a file."""
    page = (repository / "docs" / "proxy.md").read_text().partition("### Certificates from Let's Encrypt")[2]
    said = next(line for line in page.splitlines() if line.startswith("certbot certonly "))
    hook = folder / "put-certificate"
    script = re.search(r"```bash\n(#!/bin/sh\n.*?)```", page, re.DOTALL)
    assert script
    hook.write_text(script[1].replace("http://127.0.0.1:8081", daemon.api))
    hook.chmod(0o755)
    assert f" -d {NAME} " in said
    said = said.replace(" 8402 ", f" {challenges} ").replace("/usr/local/bin/put-certificate", str(hook))
    return shlex.split(said)[1:], hook


def version_of(daemon, *token: str) -> int:
    """Of HAProxy's configuration: it counts up with each reload."""
    return json.loads(daemon.curl("/v1/state", *token)[1])["version"]


@pytest.mark.parametrize("way", ["hook", "folder"])
def test_certbot_gets_and_renews_a_certificate_that_users_meet(
    make_daemon, pebble, backends, free_port, wait_for, repository, tmp_path, monkeypatch, way
) -> None:
    https, challenges = free_port(), free_port()
    live = tmp_path / "certbot" / "config" / "live"
    live.mkdir(parents=True)
    options = ("--certs", str(live)) if way == "folder" else ()
    monkeypatch.setenv("JENKINS_PROXY_TOKEN", "token-of-the-hook")
    daemon = make_daemon(
        *("--tls-bind", f"127.0.0.1:{https}", "--tls-redirect", str(https), "--acme", f"127.0.0.1:{challenges}"),
        *options,
    )
    daemon.start()
    (backend,) = backends()
    token = ("-H", "Authorization: Bearer token-of-the-hook")
    entry = {"ID": "shop-1", "Name": "shop", "Address": "127.0.0.1", "Port": backend.port}
    register = f"{daemon.registry}/v1/agent/service/register"
    subprocess.run(["curl", "-fsS", "-X", "PUT", *token, "-d", json.dumps(entry), register], check=True)
    assert daemon.curl("/v1/docker-flow-proxy/reconfigure?serviceName=shop&servicePath=/", *token)[0] == 0
    ca = pebble(daemon)
    shop = Shop(https, ca.root)
    assert not shop.has_one(), "the self-signed one serves meanwhile"

    arguments, hook = documented(repository, daemon, challenges, tmp_path)
    if way == "folder":
        at = arguments.index("--deploy-hook")
        del arguments[at : at + 2]
    ca.certbot(tmp_path / "certbot", *arguments, "--register-unsafely-without-email", "--agree-tos")
    wait_for(shop.has_one, "the new certificate")
    first, version = shop.certificate(), version_of(daemon, *token)
    with asking(shop.ask, shop.ask):
        ca.certbot(tmp_path / "certbot", "renew", "--force-renewal", "--no-random-sleep-on-renew")
        wait_for(lambda: shop.certificate() != first, "the renewed certificate")
    assert shop.failed == []
    assert version_of(daemon, *token) == version, "without a reload"
    listed = {own["name"]: own for own in json.loads(daemon.curl("/v1/certs", *token)[1])["certificates"]}
    assert listed[NAME]["names"] == [NAME]
    assert listed[NAME]["problem"] == ""

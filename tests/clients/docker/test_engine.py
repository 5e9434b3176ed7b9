"""The engine's API on the real engine, and its faults on a server of our own."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import os
import socket
import ssl
import subprocess
import threading
import time

import pytest

from jenkins_proxy import settings
from jenkins_proxy.clients.docker import endpoint, host_addresses
from jenkins_proxy.clients.docker import engine as engine_module
from jenkins_proxy.clients.docker.endpoint import Endpoint
from jenkins_proxy.clients.docker.engine import Engine, demultiplex
from jenkins_proxy.errors import DockerError, UsageError

PLAIN = b"\x01\0\0\0\0\0\0\x04out\n\x02\0\0\0\0\0\0\x04err\n"


def resolve(**environ: str) -> Endpoint:
    return endpoint.resolve(settings.resolve({}, environ), environ)


def test_the_real_engine_answers(engine):
    assert engine.url == "unix:///var/run/docker.sock"
    assert engine.version()["ApiVersion"]
    found = host_addresses.of_engine(engine.endpoint, engine.info())
    assert {"127.0.0.1", *host_addresses.of_host(socket.gethostname())} <= set(found)


@pytest.mark.parametrize(
    ("folder", "reason", "told"),
    [
        ("/c", ": sslv3 alert certificate expired", "the Docker Engine at tcp://e:2376 refuses our certificate: sslv3"),
        (
            "/c",
            ": certificate not trusted: certificate has expired",
            "the Docker Engine at tcp://e:2376 is not trusted: ",
        ),
        ("/c", ": connection refused", "no Docker Engine answers at tcp://e:2376: connection refused"),
        ("", ": connection refused", "no Docker Engine answers at tcp://e:2376: connection refused"),
    ],
)
def test_whose_certificate_is_at_fault(folder: str, reason: str, told: str) -> None:
    error = Endpoint("tcp://e:2376", "DOCKER_HOST", folder).unreachable(reason)
    assert error.message.startswith(told)
    assert ("cert.pem and key.pem in /c must be valid" in error.hint) == ("certificate" in reason)


def test_what_is_not_there(engine):
    assert engine.inspect("f1-nothing") is None
    assert engine.image_id("f1-nothing:1") == ""
    assert engine.logs("/containers/f1-nothing", 5) == []
    engine.stop("f1-nothing")
    engine.remove("f1-nothing")
    with pytest.raises(DockerError, match="POST /containers/f1-nothing/start: No such container: f1-nothing"):
        engine.start("f1-nothing")


@pytest.mark.parametrize(
    "reference, expected",
    [
        ("f1-tagged", "f1-tagged:latest"),
        ("f1-tagged:2", "f1-tagged:2"),
        ("127.0.0.1:9/f1-tagged", "127.0.0.1:9/f1-tagged:latest"),
    ],
)
def test_tag(engine, image, docker, reference, expected):
    engine.tag(engine.image_id(image(1)), reference)
    try:
        assert engine.image_id(expected) == engine.image_id(image(1))
    finally:
        subprocess.run([docker, "rmi", expected], check=True, capture_output=True)


def test_no_engine(free_port, tmp_path):
    url = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(DockerError, match=f"no Docker Engine answers at {url}: connection refused") as caught:
        Engine(Endpoint(url, "test")).version()
    assert "DOCKER_HOST" in caught.value.hint
    with pytest.raises(DockerError, match=f"no Docker Engine answers at unix://{tmp_path}/no.sock: no such file"):
        Engine(Endpoint(f"unix://{tmp_path}/no.sock", "test")).version()


@pytest.fixture
def serve(program, tmp_path):
    """``serve(status, body)`` answers every request so: its ``tcp://``; ``tls=folder`` asks for a certificate.

    To a POST it answers after ``slow`` seconds.
    """
    servers = []

    def start(status: int, body: bytes, tls: str = "", slow: float = 0.0) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                time.sleep(slow)
                with contextlib.suppress(BrokenPipeError):
                    self.do_GET()

            do_DELETE = do_GET

            def log_message(self, *_args):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=f"{tls}/ca.pem")
            context.load_cert_chain(f"{tls}/cert.pem", f"{tls}/key.pem")
            context.verify_mode = ssl.CERT_REQUIRED
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"tcp://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "status, body, message",
    [
        (500, b'{"message": "out of\\n  memory"}', "GET /info: out of memory$"),
        (500, b"No healthy node available\n", "GET /info: No healthy node available$"),
        (503, b"", "GET /info: HTTP 503$"),
        (301, b"", "GET /info: HTTP 301$"),
        (200, b"<html>", "no Docker Engine answers at .*, but something without JSON"),
    ],
)
def test_answers_that_are_errors(serve, status, body, message):
    with pytest.raises(DockerError, match=message):
        Engine(Endpoint(serve(status, body), "test")).info()


@pytest.mark.parametrize(
    "status, text", [(204, ""), (404, "no such container"), (409, "removal is already in progress")]
)
def test_a_container_that_somebody_else_removes_is_gone(serve, status, text):
    Engine(Endpoint(serve(status, json.dumps({"message": text}).encode()), "test")).remove("app")


def test_a_container_that_can_not_be_removed(serve):
    answer = serve(409, b'{"message": "it is in use"}')
    with pytest.raises(DockerError, match="DELETE /containers/app: it is in use"):
        Engine(Endpoint(answer, "test")).remove("app")


def test_a_container_that_ends_slowly_is_waited_for(serve, monkeypatch):
    monkeypatch.setattr(engine_module, "_READ_SECONDS", 0.2)
    Engine(Endpoint(serve(200, b'{"Config": {"StopTimeout": 1}}', slow=0.5), "test")).stop("app")


def test_an_engine_that_does_not_answer_in_time(serve, monkeypatch):
    monkeypatch.setattr(engine_module, "_READ_SECONDS", 0.2)
    with pytest.raises(DockerError, match=r"no Docker Engine answers at tcp://.*: no answer in time \(0.2 s\)$"):
        Engine(Endpoint(serve(200, b'{"Config": {}}', slow=0.5), "test")).stop("app")


def test_http_proxies_of_the_environment_are_not_for_the_engine(serve, monkeypatch, free_port):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    assert Engine(Endpoint(serve(200, b'{"Name": "here"}'), "test")).info() == {"Name": "here"}


@pytest.fixture
def certificates(loopback_certificate) -> str:
    """A folder with an authority and a certificate of it for 127.0.0.1, good for server and client."""
    return str(loopback_certificate.cert.parent)


def test_tls_shows_our_certificate_and_checks_theirs(serve, certificates):
    url = serve(200, b'{"Name": "here"}', tls=certificates)
    found = resolve(DOCKER_HOST=url, DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=certificates)
    assert found.certificates == certificates
    assert Engine(found).info() == {"Name": "here"}
    with pytest.raises(DockerError, match="no Docker Engine answers at"):
        Engine(resolve(DOCKER_HOST=url, DOCKER_CERT_PATH=certificates)).info()


def test_tls_without_certificates(tmp_path):
    with pytest.raises(UsageError, match="DOCKER_TLS_VERIFY is set, but .* lacks ca.pem, cert.pem, key.pem"):
        resolve(DOCKER_HOST="tcp://127.0.0.1:2376", DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=str(tmp_path))


@pytest.mark.parametrize(
    "url, message",
    [
        ("ssh://root@swarm-master", "an engine behind ssh is not supported"),
        ("http://127.0.0.1:2375", "is no Docker Engine address"),
        ("tcp://", "is no Docker Engine address"),
        ("tcp://127.0.0.1:", "is no Docker Engine address"),
        ("tcp://127.0.0.1:port", "is no Docker Engine address"),
        ("tcp://[::1:2375", "is no Docker Engine address"),
        ("unix://", "is no Docker Engine address"),
        ("/var/run/docker.sock", "is no Docker Engine address"),
    ],
)
def test_addresses_that_are_none(url, message):
    with pytest.raises(UsageError, match=message) as caught:
        resolve(DOCKER_HOST=url)
    assert caught.value.hint


@pytest.fixture
def docker_config(tmp_path, docker, monkeypatch):
    """A configuration folder of Docker's CLI with a context ``far``."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    subprocess.run(
        [docker, "context", "create", "far", "--docker", "host=tcp://10.9.8.7:2375"],
        check=True,
        capture_output=True,
        env={**os.environ, "DOCKER_CONFIG": str(tmp_path)},
    )
    return tmp_path


def test_the_current_docker_context(docker_config):
    environ = {"DOCKER_CONFIG": str(docker_config)}
    assert resolve(**environ).url == "unix:///var/run/docker.sock"
    assert resolve(**environ, DOCKER_CONTEXT="far") == Endpoint("tcp://10.9.8.7:2375", "context far")
    (docker_config / "config.json").write_text(json.dumps({"currentContext": "far"}))
    assert resolve(**environ) == Endpoint("tcp://10.9.8.7:2375", "context far")
    assert resolve(**environ, DOCKER_CONTEXT="default").url == "unix:///var/run/docker.sock"
    assert resolve(**environ, DOCKER_HOST="tcp://10.1.1.1:2375").source == "DOCKER_HOST"


@pytest.mark.parametrize(
    ("url", "tls", "expected"),
    [
        ("tcp://manager", "", "tcp://manager:2375"),
        ("tcp://manager", "1", "tcp://manager:2376"),
        ("tcp://manager/", "", "tcp://manager:2375"),
        ("tcp://[::1]", "", "tcp://[::1]:2375"),
        ("tcp://manager:4243", "1", "tcp://manager:4243"),
        ("unix:///run/docker.sock", "", "unix:///run/docker.sock"),
    ],
)
def test_the_port_that_docker_takes_where_none_is_named(certificates, url, tls, expected):
    found = resolve(DOCKER_HOST=url, DOCKER_TLS_VERIFY=tls, DOCKER_CERT_PATH=str(certificates))
    assert found.url == expected
    # Compose v1 refuses an address without a port.
    assert found.environment({"DOCKER_HOST": url, "A": "b"}, contexts=False) == {"DOCKER_HOST": expected, "A": "b"}


@pytest.mark.parametrize(
    ("url", "command"),
    [
        ("ssh://root@swarm-master", "ssh -fnNT -L /tmp/docker.sock:/var/run/docker.sock root@swarm-master,"),
        ("ssh://far:2222", "ssh -fnNT -p 2222 -L /tmp/docker.sock:/var/run/docker.sock far,"),
        ("ssh://far/run/user/1/docker.sock", "ssh -fnNT -L /tmp/docker.sock:/run/user/1/docker.sock far,"),
        ("ssh://far;reboot", "ssh -fnNT -L /tmp/docker.sock:/var/run/docker.sock HOST,"),
    ],
)
def test_an_engine_behind_ssh_is_a_command_away(url, command):
    with pytest.raises(UsageError, match="an engine behind ssh is not supported") as caught:
        resolve(DOCKER_HOST=url)
    assert command in caught.value.hint
    assert "--ip" in caught.value.hint


def test_what_a_context_names_is_where_composes_go(docker_config):
    """Compose v1 does not read DOCKER_CONTEXT, and would deploy to the engine of this machine."""
    environ = {"DOCKER_CONFIG": str(docker_config), "DOCKER_CONTEXT": "far"}
    far = resolve(**environ)
    assert far.environment(environ, contexts=True) == environ
    v1 = far.environment(environ, contexts=False)
    assert v1 == {"DOCKER_CONFIG": str(docker_config), "DOCKER_HOST": "tcp://10.9.8.7:2375"}
    secured = dataclasses.replace(far, certificates="/certs").environment({}, contexts=False)
    assert (secured["DOCKER_TLS_VERIFY"], secured["DOCKER_CERT_PATH"]) == ("1", "/certs")
    here = resolve()
    assert here.environment({"A": "b"}, contexts=False) == {"A": "b"}


def test_without_a_home_there_is_no_docker_configuration(homeless):
    assert resolve().url == "unix:///var/run/docker.sock"
    with pytest.raises(UsageError, match="DOCKER_TLS_VERIFY is set, but .* lacks ca.pem") as caught:
        resolve(DOCKER_HOST="tcp://127.0.0.1:2376", DOCKER_TLS_VERIFY="1")
    assert "DOCKER_CERT_PATH" in caught.value.hint


def test_a_docker_context_that_is_none(docker_config):
    with pytest.raises(UsageError, match="Docker context 'near': .*not found"):
        resolve(DOCKER_CONFIG=str(docker_config), DOCKER_CONTEXT="near")
    (docker_config / "config.json").write_text("{")
    with pytest.raises(UsageError, match="cannot read Docker's own configuration .*/config.json"):
        resolve(DOCKER_CONFIG=str(docker_config))


def test_a_docker_context_that_is_not_told_in_time(tmp_path, monkeypatch, program):
    (tmp_path / "docker").write_text(f"#!/bin/sh\nexec {program('sleep')} 1000\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(endpoint, "_SECONDS", 0.2)
    with pytest.raises(UsageError, match="^docker context inspect .* -- far did not end within 0.2 s$"):
        resolve(DOCKER_CONTEXT="far")


@pytest.mark.parametrize(
    "data, expected",
    [
        (PLAIN, b"out\nerr\n"),
        (PLAIN[:-2], b"out\ner"),
        (b"from a terminal\r\n", b"from a terminal\r\n"),
        (b"", b""),
    ],
)
def test_demultiplex(data, expected):
    assert demultiplex(data) == expected


@pytest.mark.parametrize(
    "url, name, expected",
    [
        ("unix:///var/run/docker.sock", "another-host.invalid", set()),
        ("tcp://10.9.8.7:2375", "another-host.invalid", {"10.9.8.7"}),
    ],
)
def test_addresses_of_an_engine_elsewhere(url, name, expected):
    assert set(host_addresses.of_engine(Endpoint(url, "test"), {"Name": name})) == expected


def test_addresses_of_an_engine_here():
    info = {"Name": "another-host.invalid", "Swarm": {"NodeAddr": "10.9.8.7"}}
    found = host_addresses.of_engine(Endpoint("tcp://127.0.0.1:2375", "test"), info)
    assert set(found) == host_addresses.of_this_machine() | {"10.9.8.7"}

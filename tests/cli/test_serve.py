"""``serve`` refuses what cannot work in one line with code 2, before it leaves anything behind."""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys

import pytest

from jenkins_proxy import settings
from jenkins_proxy.cli import dispatch, main
from jenkins_proxy.cli import serve as command
from jenkins_proxy.console import Console
from jenkins_proxy.errors import UsageError


@pytest.fixture
def words(tmp_path, free_port):
    """``words("--insecure", …)``: arguments of ``serve``. It has free ports and a directory unless others are given, or
    it is to ``leave`` them out."""

    def made(*arguments: str, leave: tuple[str, ...] = ()) -> list[str]:
        usual = {
            "--listen": f"127.0.0.1:{free_port()}",
            "--bind": f"127.0.0.1:{free_port()}",
            "--state-dir": str(tmp_path / "state"),
            "--registry-listen": f"127.0.0.1:{free_port()}",
        }
        given = [
            word for option, value in usual.items() if option not in (*arguments, *leave) for word in (option, value)
        ]
        return ["serve", *given, *arguments]

    return made


@pytest.fixture
def serve(words):
    """``serve("--insecure", …)``: how the process ended that could not start."""

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess:
        argv = [sys.executable, "-m", "jenkins_proxy", *words(*arguments)]
        env = {**os.environ, **environ}
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture
def asked(words, capsys):
    """The same without a process of its own: for what is refused before anything is started."""

    def run(*arguments: str, leave: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
        argv = words(*arguments, leave=leave)
        return subprocess.CompletedProcess(argv, main(argv), *capsys.readouterr())

    return run


def refused(done: subprocess.CompletedProcess, says: str, hint: str = "") -> None:
    lines = done.stderr.splitlines()
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert lines[-2 if hint else -1].startswith("[jenkins-proxy] ERROR: "), done.stderr
    assert says in lines[-2 if hint else -1]
    assert hint in lines[-1]
    assert "Traceback" not in done.stderr


@pytest.fixture
def taken():
    """A port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(("option", "hint"), [("--listen", "HINT"), ("--registry-listen", "HINT"), ("--bind", "")])
def test_a_taken_port_is_named(serve, haproxy: str, taken: int, option: str, hint: str) -> None:
    refused(serve(option, f"127.0.0.1:{taken}"), f"127.0.0.1:{taken}", hint)


@pytest.mark.parametrize(
    ("arguments", "says", "hint"),
    [
        (["--listen", "0.0.0.0:8081"], "--listen 0.0.0.0:8081 is open to other machines", "JENKINS_PROXY_TOKEN"),
        (["--registry-listen", "*:8500"], "--registry-listen 0.0.0.0:8500 is open", "CONSUL_HTTP_TOKEN"),
        (["--listen", "8081"], "--listen '8081' is not allowed", ""),
        (["--bind", "*:80 ssl crt /etc/passwd"], "--bind '*:80 ssl crt /etc/passwd' is not allowed", ""),
        (["--allow-host", "a b"], "--allow-host 'a b' is not allowed", ""),
        (["--ip", "0.0.0.0"], "argument --ip: '0.0.0.0' is not an address", "--help"),
        (["--connections", "3"], "--connections 3 is too few", ""),
        (["--tls-cert", "/absent.pem"], "cannot use the certificate /absent.pem", ""),
        (["--consul", "ftp://x"], "--consul: 'ftp://x' is not an http:// or https:// address", ""),
        (["--max-header", "16383"], "--max-header 16383 is not a number of bytes from 16384 to 1048576", "two buffers"),
        (["--max-header", "1048577"], "--max-header 1048577 is not a number of bytes", "two buffers"),
        (["--max-header", "64k"], "argument --max-header: '64k' is not a whole number", "--help"),
        (["--hard-stop-after", "soon"], "--hard-stop-after: 'soon' is not a number of seconds", "--help"),
    ],
)
def test_a_bad_option_is_named(asked, arguments: list, says: str, hint: str) -> None:
    refused(asked(*arguments), says, hint)


@pytest.mark.parametrize(("option", "value"), [("--registry-listen", "127.0.0.1:8500"), ("--ip", "10.0.0.1")])
def test_what_is_for_the_embedded_registry_is_refused_beside_a_consul(
    asked, monkeypatch, option: str, value: str
) -> None:
    monkeypatch.setenv("CONSUL_HTTP_ADDR", "127.0.0.1:8500")
    done = asked(option, value, leave=("--registry-listen",))
    refused(done, f"{option} is for the embedded registry, but CONSUL_HTTP_ADDR names a Consul", "leave out")


@pytest.mark.parametrize(
    ("arguments", "engine", "ip", "host_ip"),
    [
        ([], "unix:///var/run/docker.sock", "", "127.0.0.1"),
        (["--ip", "10.0.0.1"], "unix:///var/run/docker.sock", "10.0.0.1", "127.0.0.1"),
        ([], "tcp://10.0.0.2:2375", "", ""),
    ],
)
def test_only_a_given_address_is_every_entrys(arguments: list, engine: str, ip: str, host_ip: str) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    made = command._embedded(parser.parse_args(arguments), settings.resolve({"docker_host": engine}, {}))
    assert (made.ip, made.host_ip) == (ip, host_ip)


def test_a_state_directory_that_cannot_be_written(serve, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    refused(serve("--state-dir", str(tmp_path / "file" / "state")), "cannot write the state directory", "--state-dir")


def test_without_a_home_the_state_directory_has_to_be_given(homeless) -> None:
    with pytest.raises(UsageError, match="there is no home folder to keep the state in") as caught:
        dispatch(["serve"], Console())
    assert "--state-dir" in caught.value.hint


def test_a_haproxy_that_is_too_old(serve, tmp_path) -> None:
    old = tmp_path / "haproxy"
    old.write_text("#!/bin/sh\necho HA-Proxy version 1.8.30 2021/04/12\n")
    old.chmod(0o755)
    refused(serve(PATH=f"{tmp_path}:{os.environ['PATH']}"), f"{old} is version 1.8", "install HAProxy 2.6 or later")


def test_without_the_extra(serve, tmp_path) -> None:
    (tmp_path / "aiohttp.py").write_text("raise ModuleNotFoundError(\"No module named 'aiohttp'\", name='aiohttp')\n")
    refused(serve(PYTHONPATH=str(tmp_path)), "serve needs aiohttp", "pip install 'jenkins-proxy[serve]'")


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        (None, "", 0),
        (65_536, "", 65_536),
        (None, "32768", 32_768),
        (65_536, "32768", 65_536),
        (0, "", "--max-header 0"),
        (None, "64k", "JENKINS_PROXY_MAX_HEADER='64k'"),
        (None, "-1", "JENKINS_PROXY_MAX_HEADER='-1'"),
    ],
)
def test_how_long_headers_may_be(given, environ, expected) -> None:
    def asked() -> int:
        return command._max_header(given, {"JENKINS_PROXY_MAX_HEADER": environ})

    if isinstance(expected, int):
        assert asked() == expected
        return
    with pytest.raises(UsageError, match=f"^{expected} is not a number of bytes from 16384 to 1048576$"):
        asked()


@pytest.mark.parametrize("ports", [("*:80", "127.0.0.1:80"), ("*:81", "*:6379", "*:6379")])
def test_a_port_is_of_http_or_of_connections(ports, tmp_path):
    bind, *tcp = ports
    argv = ["serve", "--state-dir", str(tmp_path), "--bind", bind, *(f"--tcp-bind={port}" for port in tcp)]
    with pytest.raises(UsageError, match="--tcp-bind: port [0-9]+ is given twice"):
        dispatch(argv, Console())

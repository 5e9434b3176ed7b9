"""Where the daemon listens: the options' forms, taken ports, open doors, certificates, and one daemon a directory."""

from __future__ import annotations

import os
import re
import socket

import pytest

from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Address
from jenkins_proxy.proxy.api import sockets


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8081", Address("127.0.0.1", 8081)),
        ("*:80", Address("0.0.0.0", 80)),
        (":80", Address("0.0.0.0", 80)),
        ("[::]:80", Address("::", 80)),
        ("localhost:8500", Address("localhost", 8500)),
    ],
)
def test_an_address_to_listen_on(text: str, address: Address) -> None:
    assert sockets.parse_listen(text, "--listen") == address


@pytest.mark.parametrize("text", ["", "8081", "127.0.0.1", "*:0", ":65536", "*:80 ssl", "*:80\nx", "a b:80", "**:80"])
def test_what_is_no_address_to_listen_on(text: str) -> None:
    with pytest.raises(UsageError, match="^--listen "):
        sockets.parse_listen(text, "--listen")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "proxy"])
def test_an_open_door_without_a_token_must_be_meant(host: str) -> None:
    with pytest.raises(UsageError, match=re.escape("--listen")) as caught:
        sockets.check_exposure(Address(host, 8081), "--listen", "JENKINS_PROXY_TOKEN", safe=False)
    assert "JENKINS_PROXY_TOKEN" in caught.value.hint
    assert "--insecure" in caught.value.hint
    sockets.check_exposure(Address(host, 8081), "--listen", "JENKINS_PROXY_TOKEN", safe=True)
    sockets.check_exposure(Address("127.0.0.1", 8081), "--listen", "JENKINS_PROXY_TOKEN", safe=False)


def test_a_taken_port_is_named() -> None:
    with sockets.take_port(Address("127.0.0.1", 0), "--listen") as first:
        port = first.getsockname()[1]
        with pytest.raises(UsageError, match=f"^cannot listen on --listen 127.0.0.1:{port}: it is in use$"):
            sockets.take_port(Address("127.0.0.1", port), "--listen")
    sockets.take_port(Address("127.0.0.1", port), "--listen").close()


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(UsageError, match="^cannot listen on --listen 192.0.2.1:8081: cannot assign"):
        sockets.take_port(Address("192.0.2.1", 8081), "--listen")
    with pytest.raises(UsageError, match="^cannot listen on --listen no-such-host.invalid:8081: "):
        sockets.take_port(Address("no-such-host.invalid", 8081), "--listen")


def test_ipv6() -> None:
    with sockets.take_port(Address("::1", 0), "--listen") as taken:
        assert taken.family == socket.AF_INET6


def test_certificates(loopback_certificate) -> None:
    assert sockets.tls_context("", "") is None
    assert sockets.tls_context(str(loopback_certificate.cert), str(loopback_certificate.key))
    for arguments, says in (
        (("", "key.pem"), "--tls-key is given without --tls-cert"),
        (("/absent.pem", ""), "cannot use the certificate /absent.pem"),
        ((str(loopback_certificate.cert), ""), "cannot use the certificate"),
        ((str(loopback_certificate.key), str(loopback_certificate.cert)), "cannot use the certificate"),
    ):
        with pytest.raises(UsageError, match=says) as caught:
            sockets.tls_context(*arguments)
        assert caught.value.message.isprintable()


def test_a_state_directory_is_made_and_belongs_to_one_daemon(tmp_path) -> None:
    path = tmp_path / "a" / "b"
    with sockets.own_directory(path):
        assert path.stat().st_mode & 0o777 == 0o700
        with (
            pytest.raises(UsageError, match=rf"^another daemon \(process {os.getpid()}\) uses the state directory"),
            sockets.own_directory(path),
        ):
            pass
    with sockets.own_directory(path):
        pass


def test_a_state_directory_that_cannot_be_written_is_named(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    said = "^cannot write the state directory .*/file/state: Not a directory$"
    with pytest.raises(UsageError, match=said) as caught, sockets.own_directory(tmp_path / "file" / "state"):
        pass
    assert "--state-dir" in caught.value.hint

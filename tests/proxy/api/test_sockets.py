"""What the daemon holds alone: its port and its state directory."""

from __future__ import annotations

import os
import socket

import pytest

from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Address
from jenkins_proxy.proxy.api import sockets


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

"""The port that the daemon listens on."""

from __future__ import annotations

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

"""The arguments that name an address: their forms, open doors and certificates."""

from __future__ import annotations

import argparse
import re

import pytest

from jenkins_proxy.cli.arguments import daemon as daemon_arguments
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Address


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
    assert daemon_arguments.parse_listen(text, "--listen") == address


@pytest.mark.parametrize("text", ["", "8081", "127.0.0.1", "*:0", ":65536", "*:80 ssl", "*:80\nx", "a b:80", "**:80"])
def test_what_is_no_address_to_listen_on(text: str) -> None:
    with pytest.raises(UsageError, match="^--listen "):
        daemon_arguments.parse_listen(text, "--listen")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "proxy"])
def test_an_open_door_without_a_token_must_be_meant(host: str) -> None:
    with pytest.raises(UsageError, match=re.escape("--listen")) as caught:
        daemon_arguments.check_exposure(Address(host, 8081), "--listen", "JENKINS_PROXY_TOKEN", safe=False)
    assert "JENKINS_PROXY_TOKEN" in caught.value.hint
    assert "--insecure" in caught.value.hint
    daemon_arguments.check_exposure(Address(host, 8081), "--listen", "JENKINS_PROXY_TOKEN", safe=True)
    daemon_arguments.check_exposure(Address("127.0.0.1", 8081), "--listen", "JENKINS_PROXY_TOKEN", safe=False)


@pytest.mark.parametrize(
    ("text", "bind"), [("*:80", "*:80"), (":80", "*:80"), ("127.0.0.1:80", "127.0.0.1:80"), ("[::]:80", "[::]:80")]
)
def test_an_address_that_users_enter_at(text: str, bind: str) -> None:
    assert daemon_arguments.bind(text) == bind


@pytest.mark.parametrize("text", ["10.0.0.1", "127.0.0.1", "fd00::1"])
def test_an_address_of_containers(text: str) -> None:
    assert daemon_arguments.reachable_ip(text) == text


@pytest.mark.parametrize("text", ["", "0.0.0.0", "::", "host", "10.0.0.1:80"])
def test_what_is_no_address_of_containers(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not an address under which containers can be reached"):
        daemon_arguments.reachable_ip(text)

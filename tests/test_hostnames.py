"""Host names: strangers' and loopback's."""

from __future__ import annotations

import pytest

from jenkins_proxy.hostnames import in_header, is_loopback


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("proxy", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("a.example:8500", "a.example"),
        ("A.example", "a.example"),
        ("[::1]:8500", "::1"),
        ("[::1]", "::1"),
        ("10.0.0.1:80", "10.0.0.1"),
        ("", ""),
    ],
)
def test_the_name_in_a_header(header: str, name: str) -> None:
    assert in_header(header) == name

"""The arguments for what users meet at the entry: what they become, and what is refused."""

from __future__ import annotations

import argparse

import pytest

from jenkins_proxy.cli import entry_arguments
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Address
from jenkins_proxy.proxy.haproxy.entry.options import Entry, Tls


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    entry_arguments.add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("arguments", "entry"),
    [
        ([], Entry()),
        (["--tls-bind", "*:443", "--tls-bind", "[::1]:8443"], Entry(tls=Tls(("*:443", "[::1]:8443")))),
        (["--tls-bind", ":8443", "--tls-redirect"], Entry(tls=Tls(("*:8443",), redirect_port=8443))),
        (["--tls-bind", "*:8443", "--tls-redirect", "443"], Entry(tls=Tls(("*:8443",), redirect_port=443))),
        (["--tls-bind", "*:443", "--hsts", "60"], Entry(tls=Tls(("*:443",), hsts=60))),
        (["--acme", "127.0.0.1:8402"], Entry(acme=Address("127.0.0.1", 8402))),
    ],
)
def test_what_they_become(arguments: list[str], entry: Entry) -> None:
    assert entry_arguments.entry(parsed(*arguments)) == entry


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--certs", "."], "--certs is given without --tls-bind"),
        (["--hsts", "60"], "--hsts is given without --tls-bind"),
        (["--tls-redirect"], "--tls-redirect is given without --tls-bind"),
        (["--tls-bind", "*:443 ssl"], "--tls-bind '*:443 ssl' is not allowed"),
        (["--tls-bind", "*:443", "--certs", "/absent"], "--certs /absent cannot be read: No such file"),
        (["--tls-bind", "*:443", "--certs", __file__], f"--certs {__file__} cannot be read: Not a directory"),
        (["--tls-bind", "*:443", "--tls-redirect", "65536"], "--tls-redirect 65536 is no port"),
        (["--tls-bind", "*:443", "--hsts", "63072001"], "--hsts 63072001 is more than two years"),
        (["--acme", "8402"], "--acme '8402' is not allowed"),
        (["--acme", "a b:80"], "--acme 'a b:80' is not allowed"),
    ],
)
def test_what_is_refused(arguments: list[str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        entry_arguments.entry(parsed(*arguments))
        entry_arguments.certificates(parsed(*arguments))
    assert caught.value.message.startswith(says)

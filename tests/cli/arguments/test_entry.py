"""The arguments for what users meet at the entry: what they become, and what is refused."""

from __future__ import annotations

import argparse

import pytest

from jenkins_proxy.cli.arguments import entry as entry_arguments
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Address
from jenkins_proxy.proxy.haproxy.entry.access_log import AccessLog
from jenkins_proxy.proxy.haproxy.entry.options import Entry, Tls


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    entry_arguments.add_arguments(parser)
    parser.set_defaults(tls_cert="", tls_key="")
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
        (["--forwarded", "--request-id"], Entry(forwarded=True, request_id=True)),
        (
            ["--trusted", "10.0.0.0/8,::1", "--trusted", "192.0.2.7"],
            Entry(trusted=("10.0.0.0/8", "::1/128", "192.0.2.7/32")),
        ),
        (["--access-log", "off"], Entry()),
        (["--access-log", "clf"], Entry(request_id=True, access_log=AccessLog("clf"))),
        (["--access-log", "json", "--access-log-to", "stdout"], Entry(request_id=True, access_log=AccessLog("json"))),
        (
            ["--access-log", "json", "--access-log-to", "syslog://10.0.0.1:514"],
            Entry(request_id=True, access_log=AccessLog("json", syslog=Address("10.0.0.1", 514))),
        ),
        (["--no-route-status", "404"], Entry(no_route_status=404)),
    ],
)
def test_what_they_become(arguments: list[str], entry: Entry) -> None:
    assert entry_arguments.entry(parsed(*arguments)) == entry


@pytest.mark.parametrize(
    ("arguments", "environ", "binds"),
    [
        ([], [], []),
        ([], ["*:443", "*:8443"], ["*:443", "*:8443"]),
        (["--tls-bind", "*:444"], ["*:443"], ["*:444"]),
    ],
)
def test_what_no_argument_says_is_the_environments(arguments: list[str], environ: list[str], binds: list[str]) -> None:
    args = parsed(*arguments)
    entry_arguments.complete(args, environ)
    assert args.tls_bind == binds


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--certs", "."], "--certs is given without --tls-bind"),
        (["--share-certs", "key"], "--share-certs is given without --tls-bind"),
        (["--hsts", "60"], "--hsts is given without --tls-bind"),
        (["--tls-redirect"], "--tls-redirect is given without --tls-bind"),
        (["--tls-bind", "*:443 ssl"], "--tls-bind '*:443 ssl' is not allowed"),
        (["--tls-bind", "*:443", "--certs", "/absent"], "--certs /absent cannot be read: No such file"),
        (["--tls-bind", "*:443", "--certs", __file__], f"--certs {__file__} cannot be read: Not a directory"),
        (["--tls-bind", "*:443", "--tls-redirect", "65536"], "--tls-redirect 65536 is no port"),
        (["--tls-bind", "*:443", "--hsts", "63072001"], "--hsts 63072001 is more than two years"),
        (
            ["--trusted", "10.0.0.1/8"],
            "--trusted '10.0.0.1/8' is not allowed: it must be the network's own address: 10",
        ),
        (["--trusted", "everyone"], "--trusted 'everyone' is not allowed: it must be a network such as 10.0.0.0/8"),
        (["--access-log-to", "/tmp/log"], "--access-log-to /tmp/log is given without --access-log"),
        (["--access-log", "clf", "--access-log-to", "/absent/log"], "--access-log-to /absent/log cannot be written"),
        (["--access-log", "clf", "--access-log-to", "syslog://x"], "--access-log-to syslog:// 'x' is not allowed"),
        (["--error-pages", "/absent"], "--error-pages /absent has no page"),
        (["--acme", "8402"], "--acme '8402' is not allowed"),
        (["--acme", "a b:80"], "--acme 'a b:80' is not allowed"),
    ],
)
def test_what_is_refused(arguments: list[str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        entry_arguments.entry(parsed(*arguments))
        entry_arguments.certificates(parsed(*arguments))
    assert caught.value.message.startswith(says)


def test_error_pages_are_read_as_they_are(tmp_path) -> None:
    page = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 6\r\n\r\nl\u00e4ter"
    (tmp_path / "503.http").write_bytes(page.encode())
    assert entry_arguments.entry(parsed("--error-pages", str(tmp_path))) == Entry(error_pages={503: page})
    (tmp_path / "299.http").write_text(page)
    with pytest.raises(UsageError, match="299.http is for no status that HAProxy answers with"):
        entry_arguments.entry(parsed("--error-pages", str(tmp_path)))


def test_a_log_file_is_made(tmp_path) -> None:
    file = tmp_path / "access.log"
    made = entry_arguments.entry(parsed("--access-log", "json", "--access-log-to", str(file)))
    assert made.access_log == AccessLog("json", file=str(file))
    assert file.exists()

"""Who may call the API, from the options and settings of ``serve``."""

from __future__ import annotations

import argparse
import ssl
from pathlib import Path

import pytest

from jenkins_proxy import settings
from jenkins_proxy.cli.arguments import access as access_arguments
from jenkins_proxy.errors import UsageError

CHANGE = "c0ffee" * 4


def resolve(*words: str, **environ: str) -> access_arguments.Access:
    parser = argparse.ArgumentParser()
    access_arguments.add_arguments(parser)
    return access_arguments.resolve(parser.parse_args(words), settings.resolve({}, environ))


def test_tokens_come_from_files_and_from_the_environment(tmp_path: Path, monkeypatch) -> None:
    tokens, single = tmp_path / "tokens", tmp_path / "single"
    tokens.write_text(f"change {CHANGE} ci\n")
    tokens.chmod(0o600)
    single.write_text("one-token")
    assert not resolve().guarded
    assert resolve("--token-file", str(tokens)).tokens.may_change(CHANGE)
    both = resolve("--token-file", str(tokens), JENKINS_PROXY_TOKEN="fixed").tokens
    assert both.may_change(CHANGE) and both.may_change("fixed")
    monkeypatch.setenv("JENKINS_PROXY_TOKEN_FILE", str(single))
    followed = resolve(JENKINS_PROXY_TOKEN_FILE=str(single)).tokens
    assert followed.may_change("one-token")
    single.write_text("another-token")
    assert followed.may_change("another-token") and not followed.may_change("one-token")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--token-file", "/absent"], "cannot read the tokens in /absent"),
        (["--tls-key", "k.pem"], "--tls-key is given without --tls-cert"),
        (["--tls-client-ca", "ca.pem"], "--tls-client-ca is given without --tls-cert"),
        (["--client-role", "ci=change"], "--client-role is given without --tls-client-ca"),
        (["--allow-host", "a b"], "--allow-host 'a b' is not allowed"),
    ],
)
def test_what_cannot_work_is_named(words: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        resolve(*words)


def test_certificates(loopback_certificate) -> None:
    cert, key, ca = (
        str(file) for file in (loopback_certificate.cert, loopback_certificate.key, loopback_certificate.ca)
    )
    assert resolve().tls is None
    assert resolve("--tls-cert", cert, "--tls-key", key).tls.verify_mode == ssl.CERT_NONE
    asking = resolve("--tls-cert", cert, "--tls-key", key, "--tls-client-ca", ca, "--client-role", "ci=read")
    assert (asking.tls.verify_mode, asking.certificates.roles, asking.guarded) == (
        ssl.CERT_OPTIONAL,
        {"ci": "read"},
        True,
    )
    for words, says in (
        (["--tls-cert", "/absent.pem"], "cannot use the certificate /absent.pem"),
        (["--tls-cert", cert], "cannot use the certificate"),
        (["--tls-cert", key, "--tls-key", cert], "cannot use the certificate"),
        (["--tls-cert", cert, "--tls-key", key, "--tls-client-ca", key], "cannot use the clients' authority"),
    ):
        with pytest.raises(UsageError, match=says) as caught:
            resolve(*words)
        assert caught.value.message.isprintable()

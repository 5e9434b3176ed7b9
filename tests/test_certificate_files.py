"""Files with certificates that users do not meet: those whose time is not now are named, with what to do about it."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from jenkins_proxy.certificate_dates import DAY
from jenkins_proxy.certificate_files import CertificateFile, CertificateFiles
from jenkins_proxy.clients.docker.endpoint import Endpoint
from jenkins_proxy.proxy.certificates import compose
from jenkins_proxy.proxy.certificates.compose import CertificateOptions
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.settings import resolve

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in "ab"}


def authority(name: str, first: float, last: float) -> bytes:
    """A certificate of the authority ``name``, valid between these days from now."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, KEYS[name].public_key(), x509.random_serial_number())
    begin, end = (NOW + datetime.timedelta(days=days) for days in (first, last))
    made = builder.not_valid_before(begin).not_valid_after(end).add_extension(x509.BasicConstraints(True, None), True)
    return made.sign(KEYS[name], hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    ("pem", "told"),
    [
        (authority("a", -9, -1), ["'CN=a' expired at 2026-05-31T00:00:00Z"]),
        (authority("a", -9, 6), ["'CN=a' expires at 2026-06-07T00:00:00Z"]),
        (authority("a", 1, 99), ["'CN=a' is not valid before 2026-06-02T00:00:00Z"]),
        (authority("a", -9, -1) + authority("b", -9, -1), ["'CN=a', 'CN=b' expired at 2026-05-31T00:00:00Z"]),
        (authority("a", -9, -1) + authority("b", -9, 99), ["'CN=a' expired at 2026-05-31T00:00:00Z"]),
        (authority("a", -9, 99), []),
        # Renewed with its key: clients of the old one are let in by the new one.
        (authority("a", -9, -1) + authority("a", -2, 99), []),
        (authority("a", -9, 3) + authority("a", 2, 99), ["'CN=a' expires at 2026-06-04T00:00:00Z"]),
        (authority("a", -9, 99).replace(b"MII", b"AAA", 1) + b"-----BEGIN CERTIFICATE-----", []),
    ],
)
def test_who_is_named_at_the_start(tmp_path, caplog, pem: bytes, told: list[str]) -> None:
    (tmp_path / "ca.pem").write_bytes(pem)
    ended: list[str] = []
    file = CertificateFile(str(tmp_path / "ca.pem"), "the authority of clients", "put a valid one there")
    files = CertificateFiles([file], ended=ended.append, clock=NOW.timestamp)
    files.look()
    files.look()
    lines = [f"the authority of clients {tmp_path}/ca.pem: {line}: put a valid one there" for line in told]
    assert [record.getMessage() for record in caplog.records] == ended == lines


def test_each_stage_is_named_once_and_a_renewal_when_the_file_is_followed(tmp_path, caplog) -> None:
    now = [NOW.timestamp()]
    paths = tmp_path / "followed.pem", tmp_path / "read-once.pem"
    for path in paths:
        path.write_bytes(authority("a", -9, 40))
    files = CertificateFiles(
        [CertificateFile(str(path), "an authority", "", followed=path == paths[0]) for path in paths],
        clock=lambda: now[0],
    )
    for days in (0, 11, 20, 39.5):
        now[0] = NOW.timestamp() + days * DAY
        files.look()
    assert len(caplog.records) == 4
    for path in paths:
        path.write_bytes(b"half written")
    files.look()
    assert {own.subject for own in files.first_ends().values()} == {"CN=a"}
    for path in paths:
        path.write_bytes(authority("b", -9, 400))
    now[0] = NOW.timestamp() + 41 * DAY
    files.look()
    assert [record.getMessage().split(" ")[2:6] for record in caplog.records[4:]] == [
        [f"{paths[1]}:", "'CN=a'", "expired", "at"]
    ]
    assert [own.subject for own in files.first_ends().values()] == ["CN=b", "CN=a"]


@pytest.mark.parametrize(
    ("options", "registry", "engine", "expected"),
    [
        (CertificateOptions(), "http://consul:8500", None, []),
        (CertificateOptions(own=("cert", "key")), "http://consul:8500", None, ["cert"]),
        (CertificateOptions(own=("cert", "key"), client_ca="ca"), "http://consul:8500", None, ["cert", "ca"]),
        (CertificateOptions(), "https://consul:8501", None, ["r-ca", "r-cert"]),
        (CertificateOptions(), "", Endpoint("tcp://engine:2376", "DOCKER_HOST", "d"), ["d/ca.pem", "d/cert.pem"]),
        (CertificateOptions(), "", Endpoint("unix:///run/docker.sock", "DOCKER_HOST"), []),
    ],
)
def test_which_files_a_daemon_looks_at(tmp_path, monkeypatch, caplog, options, registry, engine, expected) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d").mkdir()
    for name in ("cert", "ca", "r-ca", "r-cert", "r-key", "d/ca.pem", "d/cert.pem"):
        (tmp_path / name).write_bytes(authority("a", -9, -1))
    environ = {"CONSUL_CACERT": "r-ca", "CONSUL_CLIENT_CERT": "r-cert", "CONSUL_CLIENT_KEY": "r-key"}
    settings = resolve({}, {"CONSUL_HTTP_ADDR": registry, **environ})
    files = compose.files(options, settings, engine, events=EventBus())
    assert list(files.first_ends()) == expected
    files.look()
    # Of the API's own certificate somebody else says it, with its names.
    named = [record.getMessage().partition(": 'CN=a' expired at 2026-05-31T00:00:00Z: ") for record in caplog.records]
    assert [line[0].rpartition(" ")[2] for line in named] == [path for path in expected if path != "cert"]
    assert all(line[2] for line in named)

"""What a certificate is read as, and what is refused with which reason."""

from __future__ import annotations

import datetime
import os
import random
import ssl
import warnings
from dataclasses import dataclass

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from jenkins_proxy.certificate_dates import DAY, warning_stage, when
from jenkins_proxy.errors import UsageError
from jenkins_proxy.proxy.certificates.certificate import (
    Certificate,
    contested,
    default_of,
    parse,
    ranked,
    self_signed,
)
from jenkins_proxy.proxy.certificates.commands import Result, addition, list_text, removal, renewal, result
from jenkins_proxy.proxy.certificates.sources import sources

AUTHORITY = trustme.CA()


@dataclass
class Made:
    cert: bytes
    key: bytes


def made(*names: str, **options) -> Made:
    issued = AUTHORITY.issue_cert(*names, **options)
    return Made(issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes())


@pytest.fixture(scope="module")
def pair() -> Made:
    return made("a.example.com", "10.0.0.1")


def test_chain_and_key_may_stand_in_any_order(pair):
    authority = AUTHORITY.cert_pem.bytes()
    read = [
        parse("a", [pair.cert + authority + pair.key]),
        parse("a", [pair.key + authority + pair.cert]),
        parse("a", [pair.cert + authority, pair.key]),
        parse("a", [b"Bag Attributes\r\n" + pair.key.replace(b"\n", b"\r\n"), pair.key, pair.cert, authority]),
    ]
    assert read[0].names == ("a.example.com", "10.0.0.1")
    assert [one.pem for one in read] == [read[0].pem] * 3 + [read[3].pem]
    # The certificate itself stands first, and no empty line ends HAProxy's command early.
    assert read[0].pem.startswith(pair.cert.decode())
    assert "\n\n" not in read[0].pem
    assert read[0].pem not in repr(read[0])
    assert "PRIVATE KEY" not in repr(read[0])


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (lambda a, b: [a.cert], "it holds no private key"),
        (lambda a, b: [a.key], "it holds no certificate in PEM"),
        (lambda a, b: [b""], "it holds no certificate in PEM"),
        (lambda a, b: [b"\x00\xff-----BEGIN CERTIFICATE-----"], "it holds no certificate in PEM"),
        (lambda a, b: [a.cert + b.key], "the private key does not belong to the certificate"),
        (lambda a, b: [a.cert + a.key + b.key], "it holds 2 private keys"),
        (lambda a, b: [a.cert.replace(b"MII", b"AAA", 1) + a.key], "a certificate in it cannot be read"),
        (lambda a, b: [a.cert + a.key.replace(b"MH", b"AA", 1)], "its private key cannot be read"),
        (lambda a, b: [a.cert + encrypted(a.key)], "its private key is encrypted, and nobody is there"),
        (lambda a, b: [a.cert[: len(a.cert) // 2] + a.key], "it holds no certificate in PEM"),
    ],
)
def test_what_cannot_be_served_is_refused_with_its_reason(pair, texts, reason: str):
    with pytest.raises(UsageError) as caught:
        parse("a", texts(pair, made("b.example.com")))
    assert caught.value.message.startswith(reason)


def test_whatever_is_wrong_in_one_is_a_reason_and_no_bug(pair):
    chance = random.Random(7)
    good, refused = ssl.PEM_cert_to_DER_cert(pair.cert.decode()), 0
    for _ in range(1000):
        broken = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the library takes although it should not be
            try:
                parse("a", [ssl.DER_cert_to_PEM_cert(bytes(broken)).encode(), pair.key])
            except UsageError:
                refused += 1
    assert refused > 300


def encrypted(key: bytes) -> bytes:
    return serialization.load_pem_private_key(key, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )


def test_a_self_signed_one_is_one_that_openssl_takes(tmp_path):
    certificate = self_signed("_default", 1_800_000_000)
    (tmp_path / "own.pem").write_text(certificate.pem)
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(tmp_path / "own.pem")
    assert when(certificate.not_after) == "2028-01-15T08:00:00Z"


@pytest.mark.parametrize(
    ("days", "stage"), [(31, None), (30, 30), (8, 30), (7, 7), (1.5, 7), (1, 1), (0.1, 1), (0, 0), (-5, 0)]
)
def test_warnings_come_thirty_seven_and_one_day_before_the_end(days: float, stage: int | None):
    assert warning_stage(1000 * DAY, (1000 - days) * DAY) == stage


def test_an_expired_one_is_still_read_and_says_so():
    end = datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC)
    old = made("a.example.com", not_before=end - datetime.timedelta(days=1), not_after=end)
    certificate = parse("a", [old.cert, old.key])
    assert certificate.expired(end.timestamp()) and not certificate.expired(end.timestamp() - 1)


@pytest.mark.parametrize(
    ("names", "default"), [(["b", "a"], "a"), (["a", "default"], "default"), (["b"], "b"), ([], None)]
)
def test_strangers_meet_the_one_named_default_else_the_first(names: list[str], default: str | None):
    certificates = {name: Certificate(name, "", "", "", (), 0, 0, "") for name in names}
    chosen = default_of(certificates)
    assert (chosen.name if chosen else None) == default


def test_a_folder_holds_files_pairs_and_certbots_folders(tmp_path, pair):
    whole = pair.cert + pair.key
    for name, content in {
        "whole.pem": whole,
        "pair.crt": pair.cert, "pair.key": pair.key,
        "other.pem": pair.cert, "other.pem.key": pair.key,
        "certbot/fullchain.pem": pair.cert, "certbot/privkey.pem": pair.key, "certbot/cert.pem": pair.cert,
        ".hidden.pem": whole, "README": b"", "whole.pem.bak": whole, "empty/x.pem": whole,
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    found = {source.name: source for source in sources(tmp_path)}
    assert sorted(found) == ["certbot", "other", "pair", "whole"]
    assert {source.read().names for source in found.values()} == {("a.example.com", "10.0.0.1")}
    before = found["certbot"].signature
    (tmp_path / "certbot/privkey.pem").write_bytes(pair.key + b"\n")
    assert found["certbot"].signature != before


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.mkdir(), "x.pem is no file"),
        (os.mkfifo, "x.pem is no file"),
        (lambda path: path.symlink_to("/nowhere"), "x.pem cannot be read: No such file or directory"),
        (lambda path: path.symlink_to(path.name), "x.pem cannot be read: Too many levels of symbolic links"),
        (lambda path: path.write_bytes(b"0" * 300_000), "x.pem has more than 262144 bytes"),
        (lambda path: path.write_bytes(bytes(range(256))), "it holds no certificate in PEM"),
        (lambda path: path.write_bytes(b""), "it holds no certificate in PEM"),
    ],
    ids=["a folder", "a pipe", "a dangling link", "a link to itself", "too long", "no text", "empty"],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, make, reason: str):
    make(tmp_path / "x.pem")
    (source,) = sources(tmp_path)
    with pytest.raises(UsageError) as caught:
        source.read()
    assert caught.value.message == reason


@pytest.mark.parametrize("there", ["fullchain.pem", "privkey.pem"])
def test_half_of_certbots_pair_is_named(tmp_path, pair, there: str):
    folder = tmp_path / "shop"
    folder.mkdir()
    # As where only /etc/letsencrypt/live is mounted, and not what its links lead to.
    (folder / there).symlink_to(f"../../archive/shop/{there}")
    (source,) = sources(tmp_path)
    assert (source.name, source.path) == ("shop", folder)
    with pytest.raises(UsageError, match=r"fullchain.pem cannot be read: No such file"):
        source.read()


def test_a_name_that_is_too_long_for_a_key_beside_it_keeps_no_other_from_serving(tmp_path, pair):
    for name in ("x" * 251, "good"):
        (tmp_path / f"{name}.pem").write_bytes(pair.cert + pair.key)
    assert [source.name[:4] for source in sources(tmp_path)] == ["good", "xxxx"]


def test_whether_the_signer_is_in_it(pair):
    middle = AUTHORITY.create_child_ca()
    leaf = middle.issue_cert("leaf.example.com")
    own, above = (pem.bytes() for pem in leaf.cert_chain_pems)
    key = leaf.private_key_pem.bytes()
    # An authority with the name of another is another one all the same.
    stranger = trustme.CA().cert_pem.bytes()
    assert [
        parse("a", texts).chained
        for texts in (
            [own, key],
            [own, above, key],
            [above, key, own],
            [own, stranger, key],
            [own + AUTHORITY.cert_pem.bytes(), key],
        )
    ] == [False, True, True, False, False]
    assert self_signed("a", 0).chained


def for_hosts(*names: str, end: float = 0, kind: str = "ec") -> Certificate:
    return Certificate("", "", "", "", names, 0, end, "", kind)


@pytest.mark.parametrize(
    ("certificates", "expected"),
    [
        ({"a": for_hosts("x"), "b": for_hosts("y")}, {}),
        ({"a": for_hosts("x", "z"), "b": for_hosts("X", end=9)}, {("b", "a"): ("x",)}),
        ({"b": for_hosts("x", "y"), "a": for_hosts("x", "y")}, {("a", "b"): ("x", "y")}),
        ({"a": for_hosts("x", kind="ec"), "b": for_hosts("x", kind="rsa")}, {}),
        ({"a": for_hosts("x.y"), "b": for_hosts("*.y")}, {}),
        ({"a": for_hosts("x", "x")}, {}),
    ],
)
def test_for_which_hosts_there_are_several(certificates, expected):
    assert contested(certificates) == expected


def test_those_that_end_later_come_first():
    ends = {"a": 1, "c": 5, "b": 5}
    assert ranked({name: for_hosts("x", end=end) for name, end in ends.items()}) == ["b", "c", "a"]


@pytest.mark.parametrize("name", ["*.example.com", "a b", "_default"])
def test_a_file_whose_name_is_none_for_haproxy_is_refused(tmp_path, pair, name: str):
    (tmp_path / f"{name}.pem").write_bytes(pair.cert + pair.key)
    (source,) = sources(tmp_path)
    with pytest.raises(UsageError, match="its name "):
        source.read()


ADDED = ["New empty certificate store 'x'!", "+ + Transaction created for certificate x!", "Success!", "Success!"]


@pytest.mark.parametrize(
    ("steps", "answers", "expected"),
    [
        (addition("a", "PEM\n"), ADDED, Result.DONE),
        (addition("a", "PEM\n"), ["Certificate 'certs/a.pem' already exists!", *ADDED[1:]], Result.IMPOSSIBLE),
        (renewal("a", "PEM\n"), ["+ Transaction updated for certificate x!", "Committing x.\nSuccess!"], Result.DONE),
        (renewal("a", "PEM\n"), ["+ unable to load certificate from file 'x'.", "No ongoing"], Result.REFUSED),
        (renewal("a", "PEM\n"), ["The ongoing transaction is about 'b' but you are", ""], Result.IMPOSSIBLE),
        (removal("a"), ["Entry 'x' deleted in crtlist 'certs.list'!", "Certificate 'x' deleted!"], Result.DONE),
        (removal("a"), ["Can't delete the entry", ""], Result.IMPOSSIBLE),
    ],
)
def test_how_haproxy_has_answered(steps, answers, expected: Result):
    assert result(steps, answers) is expected


def test_the_list_begins_with_the_default_that_is_for_no_host():
    assert list_text("_default", ["b", "a"]) == "certs/_default.pem !*\ncerts/b.pem\ncerts/a.pem\n"

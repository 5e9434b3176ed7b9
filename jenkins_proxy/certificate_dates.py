"""When certificates are valid: those of a file in PEM, and what a person has to hear of their time. Needs the extra
``serve``."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization

DAY = 86400.0
WARNING_DAYS = (30, 7, 1)
"""How many days before its end a certificate is warned of."""
BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----.*?-----END \1-----", re.DOTALL)
"""A block of PEM; its first group is the label."""
LABELS = ("CERTIFICATE", "X509 CERTIFICATE")
"""Of blocks that are certificates."""
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for what is no certificate after all: it reads most of it only when it is asked for."""


@dataclass(frozen=True)
class Validity:
    """The time of one certificate.

    :ivar key: the same for a certificate and its renewal, where that has the same subject and key.
    :ivar not_before: seconds since 1970; ``not_after`` likewise.
    :ivar fingerprint: SHA-256 of the certificate, in hexadecimal digits.
    """

    subject: str
    issuer: str
    key: bytes
    not_before: float
    not_after: float
    fingerprint: str


@dataclass(frozen=True)
class Untimely:
    """Certificates whose time is nearly over, over, or has not come.

    :ivar stage: as :func:`warning_stage` gives it; None for those whose time has not come.
    :ivar told: what is said of their time: ``expired at 2026-11-27T10:02:41Z``.
    """

    subjects: tuple[str, ...]
    stage: int | None
    told: str
    fingerprints: frozenset[str]


def read(pem: bytes) -> tuple[Validity, ...]:
    """The certificates in a text. Whatever else is in it, or cannot be read, is passed over: who uses it says so."""
    return tuple(_read(pem))


def current(validities: Iterable[Validity], now: float) -> list[Validity]:
    """Without those that have been renewed under the same subject and key: of these, TLS takes the valid one.

    :param now: seconds since 1970.
    """
    chosen: dict[bytes, Validity] = {}
    for own in validities:
        before = chosen.get(own.key)
        if before is None or _rank(own, now) > _rank(before, now):
            chosen[own.key] = own
    return list(chosen.values())


def untimely(validities: Iterable[Validity], now: float) -> list[Untimely]:
    """What has to be said of them: one for all whose time is the same.

    :param now: seconds since 1970.
    """
    found: dict[tuple[int | None, str], list[Validity]] = {}
    for own in sorted(validities, key=lambda own: own.not_after):
        left = warning_stage(own.not_after, now)
        if left is not None:
            verb = "expires" if left else "expired"
            found.setdefault((left, f"{verb} at {when(own.not_after)}"), []).append(own)
        elif now < own.not_before:
            found.setdefault((None, f"is not valid before {when(own.not_before)}"), []).append(own)
    return [
        Untimely(tuple(own.subject for own in group), left, told, frozenset(own.fingerprint for own in group))
        for (left, told), group in found.items()
    ]


def warning_stage(not_after: float, now: float) -> int | None:
    """How near its end a certificate is: the smallest of :data:`WARNING_DAYS` that it is within, 0 when it is over,
    None while it is far.

    :param not_after: its end, in seconds since 1970, as ``now``.
    """
    if now >= not_after:
        return 0
    return min((days for days in WARNING_DAYS if not_after - now <= days * DAY), default=None)


def when(seconds: float) -> str:
    """A moment as people and programs read it: ``2026-11-27T10:02:41Z``.

    :param seconds: since 1970.
    """
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _rank(own: Validity, now: float) -> tuple[bool, float]:
    return own.not_before <= now < own.not_after, own.not_after


def _read(pem: bytes) -> Iterator[Validity]:
    for match in BLOCK.finditer(pem):
        if match[1].decode() not in LABELS:
            continue
        try:
            own = x509.load_pem_x509_certificate(match[0])
            public = own.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            yield Validity(
                own.subject.rfc4514_string(),
                own.issuer.rfc4514_string(),
                own.subject.public_bytes() + public,
                own.not_valid_before_utc.timestamp(),
                own.not_valid_after_utc.timestamp(),
                own.fingerprint(hashes.SHA256()).hex(),
            )
        except UNREADABLE:
            continue

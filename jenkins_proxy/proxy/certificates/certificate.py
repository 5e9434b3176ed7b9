"""A certificate with its chain and its private key, read from PEM. Pure.

What HAProxy could not serve is refused here, with its reason, before any file of it is touched.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.x509.oid import NameOID

from jenkins_proxy.certificate_dates import BLOCK, LABELS, UNREADABLE
from jenkins_proxy.errors import UsageError

SELF_SIGNED = "jenkins-proxy self-signed"


@dataclass(frozen=True)
class Certificate:
    """A certificate as HAProxy gets it.

    :ivar pem: the certificate, its chain and its key. Secret: it stands in no answer, no log and no ``repr``.
    :ivar names: the host names and addresses that it is for.
    :ivar not_before: seconds since 1970; ``not_after`` likewise.
    :ivar fingerprint: SHA-256 of the certificate, in hexadecimal digits.
    :ivar kind: of its key. Of two that are for one host and differ in it, each client meets the one that it knows.
    :ivar chained: whether whoever has signed it is in it, or itself has.
    """

    name: str
    pem: str = field(repr=False)
    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: float
    not_after: float
    fingerprint: str
    kind: str = ""
    chained: bool = True

    def expired(self, now: float) -> bool:
        """Whether its time is over.

        :param now: seconds since 1970.
        """
        return now >= self.not_after


def parse(name: str, texts: Iterable[bytes]) -> Certificate:
    """Read a certificate.

    :param texts: PEM; the certificate, its chain and its key in any order, in one text or several.
    :raises UsageError: when it is none that HAProxy can serve. Its text is the reason alone.
    """
    blocks = [(match[1].decode(), match[0]) for text in texts for match in BLOCK.finditer(text)]
    chain = [_certificate(block) for label, block in blocks if label in LABELS]
    found = [_key(text) for label, text in blocks if label.endswith("PRIVATE KEY")]
    if not chain:
        raise UsageError("it holds no certificate in PEM")
    try:
        # By its other half, as a file beside the certificate may repeat it.
        keys = {_public(key.public_key()): key for key in found}
        if len(keys) != 1:
            raise UsageError(f"it holds {len(keys)} private keys" if keys else "it holds no private key")
        ((public, key),) = keys.items()
        own = [certificate for certificate in chain if _public(certificate.public_key()) == public]
        if not own:
            raise UsageError("the private key does not belong to the certificate")
        # The order of TLS: the certificate itself first.
        ordered = [own[0], *(certificate for certificate in chain if certificate != own[0])]
        return _described(name, ordered, key)
    except UNREADABLE as error:
        raise UsageError("a certificate in it cannot be read") from error


def _described(name: str, ordered: Sequence[x509.Certificate], key: PrivateKeyTypes) -> Certificate:
    own = ordered[0]
    return Certificate(
        name,
        "".join(map(_pem, ordered)) + _key_pem(key),
        own.subject.rfc4514_string(),
        own.issuer.rfc4514_string(),
        _names(own),
        own.not_valid_before_utc.timestamp(),
        own.not_valid_after_utc.timestamp(),
        own.fingerprint(hashes.SHA256()).hex(),
        kind=type(key).__name__,
        chained=any(_signed(own, other) for other in ordered),
    )


def self_signed(name: str, now: float) -> Certificate:
    """A certificate that no client trusts, so that there is one where nobody gave any.

    :param now: seconds since 1970; it is good for a year.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SELF_SIGNED)])
    begin = datetime.datetime.fromtimestamp(now, datetime.UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(begin - datetime.timedelta(days=1))
        .not_valid_after(begin + datetime.timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    return parse(name, [_pem(made).encode(), _key_pem(key).encode()])


def default_of(certificates: Mapping[str, Certificate]) -> Certificate | None:
    """Whom clients meet that name no host, or one that no certificate is for: the one named ``default``, else the
    first by name. None when there is none."""
    return certificates.get("default") or next((certificates[name] for name in sorted(certificates)), None)


def ranked(certificates: Mapping[str, Certificate]) -> list[str]:
    """Their names; those that end later come first: of several that are for one host, HAProxy serves the first."""
    return sorted(certificates, key=lambda name: (-certificates[name].not_after, name))


def contested(certificates: Mapping[str, Certificate]) -> Mapping[tuple[str, ...], tuple[str, ...]]:
    """Hosts for which there are several with keys of one kind: by the names of these, the one that serves first."""
    owners: dict[tuple[str, str], list[str]] = {}
    for name in ranked(certificates):
        for host in dict.fromkeys(host.lower() for host in certificates[name].names):
            owners.setdefault((host, certificates[name].kind), []).append(name)
    found: dict[tuple[str, ...], list[str]] = {}
    for (host, _kind), names in owners.items():
        if len(names) > 1:
            found.setdefault(tuple(names), []).append(host)
    return {names: tuple(hosts) for names, hosts in found.items()}


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: PrivateKeyTypes) -> str:
    form, secret = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, secret).decode()


def _certificate(block: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(block)
    except UNREADABLE as error:
        raise UsageError("a certificate in it cannot be read") from error


def _key(block: bytes) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(block, password=None)
    except TypeError as error:
        raise UsageError("its private key is encrypted, and nobody is there to type the password") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        # Not the library's text: it may show what it has read.
        raise UsageError("its private key cannot be read") from error


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The alternative names; of a certificate without any its common name, as HAProxy takes it."""
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return tuple(str(own.value) for own in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    addresses = (str(address) for address in alternative.get_values_for_type(x509.IPAddress))
    return (*alternative.get_values_for_type(x509.DNSName), *addresses)

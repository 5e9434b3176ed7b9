"""Passwords as crypt(3) hashes them, which is what HAProxy compares with."""

from __future__ import annotations

import base64
import hashlib

from jenkins_proxy.errors import UsageError

ROUNDS = 5000
"""Of SHA-512: crypt's own default, and so of ``mkpasswd -m sha-512``, which Docker Flow: Proxy's users know."""


def sha512_hash(password: str, service: str, user: str) -> str:
    """The hash of a password.

    The salt is made from the names: the same call again changes nothing, and so HAProxy is not reloaded for it. It is
    not made from the password, which a cheap hash of it would give away.

    :raises UsageError: where the library that hashes is not installed.
    """
    try:
        from passlib.hash import sha512_crypt  # here, as only few calls need it
    except ImportError as error:
        raise UsageError("passwords in clear need the library libpass", "pip install 'jenkins-proxy[serve]'") from error
    digest = hashlib.sha256(f"{service}\0{user}".encode()).digest()
    salt = base64.b64encode(digest, altchars=b"./").decode()[:16]
    return str(sha512_crypt.using(rounds=ROUNDS, salt=salt).hash(password))  # type: ignore[no-untyped-call]

"""Certificates that several proxies share, through the registry's key-value store.

    jenkins-proxy/certificates/<name>   the certificate with its key, encrypted; empty: it was taken away

They are encrypted by a key that is not in the registry: whoever reads the store has none of them, and what somebody
writes there who has not the key is no certificate (Fernet: AES-128-CBC with HMAC-SHA256). Only what comes by the API is
shared; a folder is each proxy's own.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from jenkins_proxy import validation
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.models import KvPair
from jenkins_proxy.errors import ProxyError, RegistryError, UsageError
from jenkins_proxy.proxy.certificates.service import CertificateService
from jenkins_proxy.proxy.models import ConflictError, NotCertifiedError

SHARED = "jenkins-proxy/certificates/"
_HINT = "make one for all proxies: (umask 077; openssl rand -base64 32 > KEYFILE)"
_LOG = logging.getLogger(__name__)


class Cipher:
    """Encrypts certificates and decrypts them.

    :param key: 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def encrypt(self, name: str, pem: bytes) -> bytes:
        """A certificate as it is stored. Its name is in it: one cannot be put in the place of another."""
        return self._fernet.encrypt(json.dumps({"name": name, "pem": pem.decode()}).encode())

    def decrypt(self, name: str, stored: bytes) -> bytes:
        """The opposite.

        :raises UsageError: when it was not encrypted by this key, or not for this name.
        """
        try:
            data = json.loads(self._fernet.decrypt(stored))
        except (InvalidToken, ValueError) as error:
            raise UsageError("it is not encrypted by the key of --share-certs") from error
        if data["name"] != name:
            raise UsageError(f"it is that of {validation.shown(data['name'])}")
        return str(data["pem"]).encode()


def read_key(path: str) -> bytes:
    """The key in a file: 32 bytes in Base64.

    :raises UsageError: when there is none, or others can read it.
    """
    file = Path(path)
    try:
        text, mode = file.read_text(encoding="ascii").strip(), file.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--share-certs {path} cannot be read: {error}", _HINT) from error
    if mode & 0o077:
        raise UsageError(f"--share-certs {path} can be read by others than its owner", f"chmod 600 {path}")
    try:
        key = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 32:
        raise UsageError(f"--share-certs {path} holds no key: 32 bytes in Base64", _HINT)
    return key


class SharedCertificates(CertificateService):
    """A :class:`CertificateService` whose certificates of the API are those of every proxy with the same key.

    :param registry: where they are shared.
    """

    def __init__(self, *arguments: Any, registry: AsyncConsul, cipher: Cipher, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._registry = registry
        self._cipher = cipher
        self._complained: dict[str, int] = {}

    async def put(self, name: str, pem: bytes) -> str:
        """As :meth:`CertificateService.put`, for every proxy.

        :raises ProxyError: the registry does not answer: this proxy serves it, and the others do not.
        """
        applied = await super().put(name, pem)
        await self._publish(name, self._cipher.encrypt(name, self.stored()[name]))
        return applied

    async def remove(self, name: str) -> None:
        """As :meth:`CertificateService.remove`, for every proxy."""
        await super().remove(name)
        await self._publish(name, b"")

    async def follow(self) -> None:
        """Take what other proxies share, until cancelled."""
        index = 0
        while True:
            try:
                pairs, index = await self._registry.kv_watch(SHARED, index=index, wait=self._timing.blocking_query)
                await self.take(pairs)
            except (RegistryError, ProxyError) as error:
                _LOG.warning("certificates of other proxies are asked for again: %s", error.message)
                index = 0
                await asyncio.sleep(self._timing.registry_retry_max)

    async def take(self, pairs: Sequence[KvPair]) -> None:
        """Come to serve what is stored, and store what is served here alone.

        :raises RegistryError: when the registry does not answer. ProxyError: when HAProxy does not.
        """
        stored = {pair.key.removeprefix(SHARED): pair for pair in pairs}
        for name, pair in stored.items():
            try:
                if pair.value:
                    validation.check(validation.NAME, "its name", name)
                    await super().put(name, self._cipher.decrypt(name, pair.value))
                else:
                    await super().remove(name)
            except NotCertifiedError:
                continue
            except (UsageError, ConflictError) as error:
                if self._complained.get(name) != pair.modify_index:
                    self._complained[name] = pair.modify_index
                    _LOG.error("the shared certificate %s is not served: %s", validation.shown(name), error.message)
        for name, pem in self.stored().items():
            if name not in stored:
                await self._registry.kv_put(SHARED + name, self._cipher.encrypt(name, pem), cas=0)

    async def _publish(self, name: str, value: bytes) -> None:
        try:
            await self._registry.kv_put(SHARED + name, value)
        except RegistryError as error:
            raise ProxyError(f"{name} is as told in this proxy, but not in the others: {error.message}") from error

"""The certificates of the entry: from a folder and from the API, into HAProxy while it serves.

A renewed file, a new one and one that is gone are seen within a second, and handed to HAProxy by its Runtime API, so
that no connection meets a reload. What cannot be served is named, with its reason, and the one of before serves on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jenkins_proxy import validation
from jenkins_proxy.certificate_dates import when
from jenkins_proxy.errors import JenkinsProxyError, ProxyError, UsageError
from jenkins_proxy.files import atomic_write
from jenkins_proxy.proxy.certificates.certificate import Certificate, parse
from jenkins_proxy.proxy.certificates.certificate_warnings import CertificateWarnings
from jenkins_proxy.proxy.certificates.folders import Folders
from jenkins_proxy.proxy.certificates.loader import CertificateLoader
from jenkins_proxy.proxy.certificates.sources import Signature, Source
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.proxy.models import ConflictError, NotCertifiedError
from jenkins_proxy.proxy.timing import DEFAULT, Timing

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class CertificateState:
    """A certificate as callers see it.

    :ivar certificate: what HAProxy serves; None where there is only a file that it cannot serve.
    :ivar source: the file or folder that it is from; empty for one that came by the API.
    :ivar default: whether clients meet it that no other is for.
    :ivar problem: why what lies at the source is not what is served; empty when it is.
    """

    name: str
    certificate: Certificate | None
    source: str = ""
    default: bool = False
    problem: str = ""


class CertificateService:
    """Keeps HAProxy at the certificates that are there.

    :param folder: whose files are served; None: only those that come by the API.
    :param store: where those of the API are kept.
    :param reload: brings HAProxy to its files by a reload, for what its Runtime API cannot do.
    :param clock: seconds since 1970.
    """

    def __init__(
        self,
        haproxy: HAProxy,
        *,
        folder: Path | None,
        store: Path,
        events: EventBus,
        reload: Callable[[], Awaitable[None]],
        timing: Timing = DEFAULT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._loader = CertificateLoader(haproxy, reload, clock)
        self._enabled = haproxy.options.entry.tls is not None
        self._folders = Folders(folder, store)
        self._store = store
        self._events = events
        self._timing = timing
        self._clock = clock
        self._lock = asyncio.Lock()
        self._sources: dict[str, Source] = {}
        self._signatures: dict[str, Signature] = {}
        self._problems: dict[str, tuple[Signature, str]] = {}
        self._warnings = CertificateWarnings(events, clock)

    def prepare(self) -> None:
        """Write what HAProxy starts with: a certificate that cannot be served is named, and left out.

        :raises UsageError: when a folder cannot be read, or the files cannot be written.
        """
        if not self._enabled:
            return
        certificates = {}
        try:
            self._loader.files.prepare()
            self._sources = self._folders.look()
            for name, source in self._sources.items():
                before, signature = self._loader.files.read(name), source.signature
                certificate = self._read(source, signature, before, final=True) or before
                if certificate:
                    certificates[name] = certificate
                    self._signatures[name] = signature
            self._loader.prepare(certificates)
        except ProxyError as error:
            raise UsageError(error.message, error.hint) from error
        if not certificates:
            _LOG.warning("there is no certificate yet: clients by https meet a self-signed one")
        self._warnings.warn(self._loader.served)

    async def run(self) -> None:
        """Follow the files and the calendar, until cancelled."""
        while self._enabled:
            await asyncio.sleep(self._timing.certificates_poll)
            try:
                await self.look()
            except JenkinsProxyError as error:
                _LOG.warning("certificates are as before, and tried again: %s", error.message)
            self._warnings.warn(self._loader.served)

    async def look(self) -> None:
        """Take in what has changed in the folders.

        :raises ProxyError: when HAProxy does not take it; it is tried again at the next look.
        """
        async with self._lock:
            try:
                self._sources = self._folders.look()
            except UsageError as error:
                raise ProxyError(error.message) from error
            for name, source in self._sources.items():
                if self._signatures.get(name) != source.signature:
                    await self._take(source)
            for name in sorted(self._loader.served.keys() - self._sources.keys()):
                await self._change(name, None)
            for known in (self._signatures, self._problems):
                for name in known.keys() - self._sources.keys():
                    known.pop(name, None)

    async def put(self, name: str, pem: bytes) -> str:
        """Serve a certificate that came by the API, and keep it for the next start.

        :return: how HAProxy came to serve it: ``runtime``, ``reload`` or ``none`` when it did already.
        :raises UsageError: when it cannot be served (400).
        :raises ConflictError: users are not served by https, or a file has the name (409).
        :raises ProxyError: HAProxy does not answer (503).
        """
        validation.check(validation.NAME, "the certificate's name", name)
        self._refuse_foreign(name)
        try:
            certificate = parse(name, [pem])
            if certificate.expired(self._clock()):
                raise UsageError(f"it expired at {when(certificate.not_after)}")
            self._loader.files.check(certificate)
        except UsageError as error:
            raise UsageError(f"the certificate {name} is refused: {error.message}") from error
        async with self._lock:
            source = self._stored(name)
            before = source.path.read_bytes() if source.path.exists() else None
            _keep(source.path, certificate.pem.encode())
            try:
                applied = await self._change(name, certificate)
            except BaseException:
                _keep(source.path, before)
                raise
            self._sources[name], self._signatures[name] = source, source.signature
            self._problems.pop(name, None)
        return applied

    async def remove(self, name: str) -> None:
        """Serve one no longer that came by the API.

        :raises NotCertifiedError: there is none (404). ConflictError: it is a file's (409).
        """
        self._refuse_foreign(name)
        async with self._lock:
            if name not in self._sources:
                raise NotCertifiedError(f"there is no certificate {name}", "GET /v1/certs lists them")
            _keep(self._sources[name].path, None)
            await self._change(name, None)
            for known in (self._sources, self._signatures, self._problems):
                known.pop(name, None)

    def states(self) -> Sequence[CertificateState]:
        """All of them, by name."""
        return [self.state(name) for name in sorted(self._loader.served.keys() | self._problems.keys())]

    def stored(self) -> Mapping[str, bytes]:
        """Those that came by the API, with their keys, by name."""
        own = (source for source in self._sources.values() if source.path.parent == self._store)
        return {one.name: self._loader.served[one.name].pem.encode() for one in own if one.name in self._loader.served}

    def ends(self) -> Mapping[str, float]:
        """When each one that is served ends, in seconds since 1970, by its name."""
        return {name: certificate.not_after for name, certificate in self._loader.served.items()}

    def state(self, name: str) -> CertificateState:
        """One that is there."""
        source, served, default = self._sources.get(name), self._loader.served.get(name), self._loader.default
        return CertificateState(
            name,
            served,
            source="" if source is None or source.path.parent == self._store else str(source.path),
            default=bool(served and default and served.fingerprint == default.fingerprint),
            problem=self._problems[name][1] if name in self._problems else "",
        )

    async def _take(self, source: Source) -> None:
        """Serve what has changed, unless it cannot be served."""
        signature = source.signature
        known = self._problems.get(source.name)
        # A file may be half written: it is bad when it is the same at the next look.
        final = known is not None and known[0] == signature
        certificate = self._read(source, signature, self._loader.served.get(source.name), final=final)
        if certificate is None:
            return
        try:
            await self._change(source.name, certificate)
        except UsageError as error:
            self._refuse(source, signature, error.message, final=True)
            return
        self._signatures[source.name] = signature
        self._problems.pop(source.name, None)

    def _read(
        self, source: Source, signature: Signature, before: Certificate | None, *, final: bool
    ) -> Certificate | None:
        """What lies there, if it can be served.

        :param before: what is served by that name.
        :param final: whether to name what is wrong; else it is looked at once more.
        """
        now = self._clock()
        try:
            certificate = source.read()
            # Where nothing else serves, one that has expired is better than that of a stranger.
            if before and certificate.expired(now) and not before.expired(now):
                raise UsageError(f"it expired at {when(certificate.not_after)}")
            self._loader.files.check(certificate)
        except UsageError as error:
            self._refuse(source, signature, error.message, final=final, serves_on=before is not None)
            return None
        return certificate

    def _refuse(
        self, source: Source, signature: Signature, reason: str, *, final: bool, serves_on: bool = True
    ) -> None:
        self._problems[source.name] = (signature, reason)
        if final:
            self._signatures[source.name] = signature
            rest = "the one of before serves on" if serves_on else "it is not served"
            _LOG.error("the certificate %s is refused: %s; %s", source.path, reason, rest)
            self._events.publish("certificate-refused", detail=f"{source.path}: {reason}")

    def _refuse_foreign(self, name: str) -> None:
        """:raises ConflictError: when the API does not rule over this name."""
        if not self._enabled:
            raise ConflictError("users are not served by https here", "start serve with --tls-bind")
        source = self._sources.get(name)
        if source and source.path.parent != self._store:
            raise ConflictError(f"the certificate {name} is {source.path}", "change that file, or take another name")

    def _stored(self, name: str) -> Source:
        path = self._store / f"{name}.pem"
        return Source(name, path, (path,))

    async def _change(self, name: str, certificate: Certificate | None) -> str:
        applied = await self._loader.change(name, certificate)
        if certificate:
            told = f"{name}: {validation.few(certificate.names)}, until {when(certificate.not_after)}"
            self._events.publish("certificate-put", detail=told)
        else:
            self._events.publish("certificate-removed", detail=name)
        return applied


def _keep(path: Path, content: bytes | None) -> None:
    """Write a file, or remove it. :raises ProxyError: when the disk refuses."""
    try:
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            atomic_write(path, content, mode=0o600, fsync=True)
    except OSError as error:
        raise ProxyError(f"cannot write {path}: {error.strerror}") from error

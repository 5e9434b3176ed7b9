"""The certificates of the daemon's own API, its own and the authorities of its clients: renewed files are for the
connections to come, without a restart."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from jenkins_proxy import tls
from jenkins_proxy.errors import UsageError
from jenkins_proxy.proxy.certificates.certificate import Certificate
from jenkins_proxy.proxy.certificates.certificate_warnings import CertificateWarnings
from jenkins_proxy.proxy.certificates.sources import Source
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.timing import DEFAULT, Timing

_LOG = logging.getLogger(__name__)


class OwnCertificate:
    """Follows the files of the API's certificates.

    :param context: of the API; it gets what the files come to hold.
    :param cert: the file of the certificate.
    :param key: that of its key; empty when the certificate's file holds it, too.
    :param client_ca: that of the authorities whose certificates clients may show; empty: they are not asked.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        cert: str,
        key: str,
        client_ca: str = "",
        *,
        events: EventBus,
        timing: Timing = DEFAULT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._context = context
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._source = Source("api", Path(cert), tuple(Path(file) for file in (cert, key) if file))
        self._files = Source("api", Path(cert), tuple(Path(file) for file in (cert, key, client_ca) if file))
        self._signature = self._files.signature
        self._suspect = self._signature
        self._timing = timing
        self._warnings = CertificateWarnings(events, clock)

    async def run(self) -> None:
        """Follow them, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(self._timing.certificates_poll)

    def look(self) -> None:
        """Take what has changed, and warn of what ends."""
        signature = self._files.signature
        if signature != self._signature:
            self._take(signature)
        served = self._read()
        if served:
            self._warnings.warn({self._cert: served})

    def _take(self, signature: tuple[tuple[str, int, int, int], ...]) -> None:
        try:
            # First into another one: half of a pair would leave the API's own without a certificate.
            tls.server_context(self._cert, self._key, self._client_ca)
            self._context.load_cert_chain(self._cert, self._key or None, password="")
            if self._client_ca:
                # It adds to those of before: one that is taken out of the file is trusted until a restart.
                self._context.load_verify_locations(self._client_ca)
        except (UsageError, OSError, ssl.SSLError) as error:
            # A file may be half written: it is bad when it is the same at the next look.
            if signature == self._suspect:
                _LOG.error("the API serves on with the certificates of before: %s", error)
                self._signature = signature
            self._suspect = signature
            return
        self._signature = signature
        _LOG.info("the API has what %s hold now", " and ".join(filter(None, (self._cert, self._client_ca))))

    def _read(self) -> Certificate | None:
        try:
            return self._source.read()
        except UsageError:
            return None

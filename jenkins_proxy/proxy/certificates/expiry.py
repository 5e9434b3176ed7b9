"""Warnings of certificates that end: 30 days, 7 days and one day before, and once they have."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from jenkins_proxy import validation
from jenkins_proxy.proxy.certificates.certificate import Certificate, warning_stage, when
from jenkins_proxy.proxy.events import EventBus

_LOG = logging.getLogger(__name__)


class ExpiryWarnings:
    """Warns once for each stage of each certificate.

    :param clock: seconds since 1970.
    """

    def __init__(self, events: EventBus, clock: Callable[[], float] = time.time) -> None:
        self._events = events
        self._clock = clock
        self._warned: dict[str, tuple[str, int]] = {}

    def warn(self, certificates: Mapping[str, Certificate]) -> None:
        """Say which of these end, in the log and as events.

        :param certificates: by what people know them by.
        """
        for name, certificate in sorted(certificates.items()):
            stage = warning_stage(certificate, self._clock())
            if stage is None or self._warned.get(name) == (certificate.fingerprint, stage):
                continue
            self._warned[name] = (certificate.fingerprint, stage)
            verb = "expires" if stage else "expired"
            told = f"{name} ({validation.few(certificate.names)}) {verb} at {when(certificate.not_after)}"
            _LOG.warning("the certificate %s", told)
            self._events.publish("certificate-expires", detail=told)

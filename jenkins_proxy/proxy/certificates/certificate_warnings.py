"""Warnings of certificates: 30 days, 7 days and one day before they end, once they have, and of those that clients may
refuse or not meet."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping

from jenkins_proxy import validation
from jenkins_proxy.certificate_dates import warning_stage, when
from jenkins_proxy.proxy.certificates.certificate import Certificate, contested
from jenkins_proxy.proxy.events import EventBus

_LOG = logging.getLogger(__name__)


class CertificateWarnings:
    """Warns once for each stage of each certificate, and once of what else is odd with it.

    :param clock: seconds since 1970.
    """

    def __init__(self, events: EventBus, clock: Callable[[], float] = time.time) -> None:
        self._events = events
        self._clock = clock
        self._warned: dict[str, tuple[str, int]] = {}
        self._seen: Mapping[str, Certificate] = {}
        self._said: frozenset[tuple[str, str]] = frozenset()

    def warn(self, certificates: Mapping[str, Certificate]) -> None:
        """Say which of these end, in the log and as events, and, in the log alone, what else may be wrong with them.

        :param certificates: by what people know them by.
        """
        self._warn_of_clients(certificates)
        for name, certificate in sorted(certificates.items()):
            stage = warning_stage(certificate.not_after, self._clock())
            if stage is None or self._warned.get(name) == (certificate.fingerprint, stage):
                continue
            self._warned[name] = (certificate.fingerprint, stage)
            verb = "expires" if stage else "expired"
            told = f"{_described(name, certificate)} {verb} at {when(certificate.not_after)}"
            _LOG.warning("the certificate %s", told)
            self._events.publish("certificate-expires", detail=told)

    def _warn_of_clients(self, certificates: Mapping[str, Certificate]) -> None:
        if certificates == self._seen:
            return
        self._seen = certificates
        odd = dict(_odd(certificates, self._clock()))
        for key, told in odd.items():
            if key not in self._said:
                _LOG.warning("%s", told)
        self._said = frozenset(odd)


def _odd(certificates: Mapping[str, Certificate], now: float) -> Iterator[tuple[tuple[str, str], str]]:
    """What clients may refuse or not meet, each with what makes it another."""
    for name, own in sorted(certificates.items()):
        told = f"the certificate {_described(name, own)}"
        if not own.chained:
            yield (
                (own.fingerprint, "chain"),
                f"{told} comes without its chain: clients that do not know {validation.shown(own.issuer)}, its issuer, "
                "refuse it; put the issuer's certificate behind it, as in certbot's fullchain.pem",
            )
        if now < own.not_before:
            yield (own.fingerprint, "early"), f"{told} is refused by clients until {when(own.not_before)}"
    for names, hosts in contested(certificates).items():
        yield (
            (" ".join(certificates[name].fingerprint for name in names), "same"),
            f"the certificates {validation.few(names)} are for the same host: clients of {validation.few(hosts)} meet "
            f"{names[0]}, the one that ends last",
        )


def _described(name: str, certificate: Certificate) -> str:
    return f"{name} ({validation.few(certificate.names)})"

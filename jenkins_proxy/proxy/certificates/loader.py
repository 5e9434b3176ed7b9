"""Brings HAProxy to other certificates: by its Runtime API, and where that cannot be by a reload."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from jenkins_proxy.errors import ProxyError, UsageError
from jenkins_proxy.proxy.certificates import commands
from jenkins_proxy.proxy.certificates.certificate import Certificate, contested, default_of, self_signed
from jenkins_proxy.proxy.certificates.commands import Result, Step
from jenkins_proxy.proxy.certificates.live import DEFAULT, LiveFiles
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.proxy.models import NONE, RELOAD, RUNTIME

# Bytes of a command that HAProxy takes: its buffer, less what else stands in it. More comes by a reload.
_MAX_COMMAND = 15_000


class CertificateLoader:
    """The one who changes HAProxy's certificates. Its calls must not overlap.

    :param reload: brings HAProxy to its files by a reload.
    :param clock: seconds since 1970.
    :ivar served: what HAProxy serves, by name.
    :ivar files: its copies of them.
    """

    def __init__(
        self, haproxy: HAProxy, reload: Callable[[], Awaitable[None]], clock: Callable[[], float] = time.time
    ) -> None:
        self.served: Mapping[str, Certificate] = {}
        self.files = LiveFiles(haproxy.files.folder)
        self._haproxy = haproxy
        self._reload = reload
        self._clock = clock
        self._default: Certificate | None = None
        self._self_signed: Certificate | None = None

    @property
    def default(self) -> Certificate | None:
        """Whom clients meet that no other is for; None while that is one that is self-signed."""
        return None if self._default is self._self_signed else self._default

    def prepare(self, certificates: Mapping[str, Certificate]) -> None:
        """Write what HAProxy starts with. :raises ProxyError: when the disk refuses."""
        default = self._choose_default(certificates)
        self.files.write([*certificates.values(), default])
        self.files.write_list(certificates)
        self.served, self._default = certificates, default

    async def change(self, name: str, certificate: Certificate | None) -> str:
        """Let HAProxy serve a certificate, or none by that name any more.

        :return: how it came to do so: ``runtime``, ``reload``, or ``none`` when it did already.
        :raises UsageError: HAProxy refuses it. ProxyError: it does not answer, or the disk refuses.
        """
        before = self.served.get(name)
        if (before.pem if before else "") == (certificate.pem if certificate else ""):
            return NONE
        served = {key: one for key, one in self.served.items() if key != name}
        if certificate:
            served[name] = certificate
        default = self._choose_default(served)
        steps = [*_steps(name, before, certificate), *self._default_steps(default)]
        done = False
        # While it runs, HAProxy adds each change behind the others: the one of before, or a third, would come to serve.
        if not _shares(name, self.served) and not _shares(name, served):
            async with self._haproxy.replacing:
                done = await self._converse(name, steps, added=before is None)
                if done:
                    self._write(served, default, certificate)
        if not done:
            await self._change_by_reload(served, default, certificate)
        return RUNTIME if done else RELOAD

    def _default_steps(self, default: Certificate) -> tuple[Step, ...]:
        unchanged = self._default and self._default.pem == default.pem
        return () if unchanged else commands.renewal(DEFAULT, default.pem)

    async def _converse(self, name: str, steps: Sequence[Step], *, added: bool) -> bool:
        """Whether HAProxy has done all of it. :raises UsageError: it refuses it. ProxyError: it does not answer."""
        if any(len(step.command) > _MAX_COMMAND for step in steps):
            return False
        answers = await self._haproxy.runtime.ask(*(step.command for step in steps))
        result = commands.result(steps, answers)
        if result is not Result.DONE:
            await self._haproxy.runtime.ask(*commands.undo(name, added=added), *commands.undo(DEFAULT, added=False))
        if result is Result.REFUSED:
            raise UsageError("HAProxy cannot load it")
        return result is Result.DONE

    async def _change_by_reload(
        self, served: Mapping[str, Certificate], default: Certificate, certificate: Certificate | None
    ) -> None:
        before, default_before = self.served, self._default
        self._write(served, default, certificate)
        try:
            await self._reload()
        except ProxyError:
            if default_before:
                self.files.write(before.values())
                self._write(before, default_before, None)
            raise

    def _write(self, served: Mapping[str, Certificate], default: Certificate, certificate: Certificate | None) -> None:
        """What a HAProxy that starts serves from now on. :raises ProxyError: when the disk refuses."""
        self.files.write([*([certificate] if certificate else []), default])
        self.files.write_list(served)
        self.served, self._default = served, default

    def _choose_default(self, served: Mapping[str, Certificate]) -> Certificate:
        """Under the name of its own copy."""
        chosen = default_of(served)
        if chosen:
            return dataclasses.replace(chosen, name=DEFAULT)
        self._self_signed = self._self_signed or self_signed(DEFAULT, self._clock())
        return self._self_signed


def _shares(name: str, served: Mapping[str, Certificate]) -> bool:
    """Whether another one is for the same host."""
    return any(name in names for names in contested(served))


def _steps(name: str, before: Certificate | None, after: Certificate | None) -> tuple[Step, ...]:
    if after is None:
        return commands.removal(name)
    return commands.renewal(name, after.pem) if before else commands.addition(name, after.pem)

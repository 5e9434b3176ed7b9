"""Looks now and then whether HAProxy and its files are as the daemon made them, and puts right what is changed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping

from jenkins_proxy.errors import JenkinsProxyError
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.haproxy.applier import Applier
from jenkins_proxy.proxy.haproxy.backend import Backend
from jenkins_proxy.proxy.haproxy.config import candidate_map
from jenkins_proxy.proxy.haproxy.config.render import PROBE_FILE
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.proxy.reconcile import drift
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.timing import DEFAULT, Timing
from jenkins_proxy.validation import few

_AT_ONCE = 20
"""Backends that are asked for at once: changes wait meanwhile, and the answer has to be held."""


class DriftMonitor:
    """A file that differs is written again; what HAProxy has otherwise is put right by a reload.

    :param share: the part of the time that looking may take, however many servers there are.
    """

    def __init__(
        self,
        loop: ReconcileLoop,
        applier: Applier,
        haproxy: HAProxy,
        *,
        events: EventBus,
        timing: Timing = DEFAULT,
        share: float = 0.01,
    ) -> None:
        self._loop = loop
        self._applier = applier
        self._haproxy = haproxy
        self._events = events
        self._pause = timing.drift_poll
        self._share = share

    async def run(self) -> None:
        """Look, until cancelled."""
        took = 0.0
        while True:
            await asyncio.sleep(max(self._pause, took / self._share))
            # While HAProxy is started again it says nothing, and what could not be repaired is found again.
            with contextlib.suppress(JenkinsProxyError):
                took = await self._look()

    async def _look(self) -> float:
        """Look, and put right. :return: how many seconds it took to look."""
        begin = time.monotonic()
        edited = await self._applier.edited_files()
        took = time.monotonic() - begin
        if edited:
            # Also while HAProxy does not run: it shall start from what was good.
            await self._applier.flush()
            self._repaired(f"{name} was edited" for name in edited)
        # What is about to be mended for another reason is no news.
        if not self._loop.settled:
            return took
        begin = time.monotonic()
        changed = await self._changed()
        took += time.monotonic() - begin
        if changed and self._loop.settled:
            self._loop.force()
            await self._loop.reconcile()
            self._repaired(changed)
        return took

    def _repaired(self, what: Iterable[str]) -> None:
        self._events.publish("drift-repaired", detail=few(what))

    async def _changed(self) -> list[str]:
        """What differs in the HAProxy that runs, in words."""
        found = list(await self._applier.inspect(self._process))
        services = list(self._applier.running)
        for start in range(0, len(services), _AT_ONCE):
            found += await self._servers(services[start : start + _AT_ONCE])
        return found

    async def _process(self, running: Mapping[str, Backend]) -> list[str]:
        if await self._haproxy.master.replaced():
            return ["HAProxy was reloaded"]
        found = [] if await self._haproxy.master.open() else ["the frontend was disabled"]
        maps = {**self._applier.maps, candidate_map.FILE: candidate_map.text(running.values())}
        commands = [*(f"show map {name}" for name in maps), f"show acl {PROBE_FILE}"]
        answers = await self._haproxy.runtime.ask(*commands)
        expected = {**maps, PROBE_FILE: self._haproxy.probe_key}
        for (name, text), answer in zip(expected.items(), answers, strict=True):
            if drift.entries_differ(text, answer):
                found.append(f"{name} was changed in HAProxy")
        return found

    async def _servers(self, services: list[str]) -> list[str]:
        async def look(running: Mapping[str, Backend]) -> list[str]:
            there = [name for name in services if name in running]
            answers = await self._haproxy.runtime.ask(*map(drift.show, there)) if there else []
            return [
                what
                for name, answer in zip(there, answers, strict=True)
                for what in drift.servers(running[name], drift.parse_servers(answer))
            ]

        return await self._applier.inspect(look)

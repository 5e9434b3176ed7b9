"""Asks HAProxy which servers of held services are down: when no proven one can serve, candidates shall."""

from __future__ import annotations

import asyncio
import contextlib

from jenkins_proxy.errors import ProxyError
from jenkins_proxy.proxy.haproxy.backend import ServerState
from jenkins_proxy.proxy.haproxy.names import backend_name, server_name
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.timing import DEFAULT, Timing


class HoldMonitor:
    """Looks about once a second, and only while there are holds."""

    def __init__(self, desired: DesiredState, loop: ReconcileLoop, haproxy: HAProxy, timing: Timing = DEFAULT) -> None:
        self._desired = desired
        self._loop = loop
        self._haproxy = haproxy
        self._pause = timing.hold_poll

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            await asyncio.sleep(self._pause)
            # While HAProxy is started again it says nothing; the next time will do.
            with contextlib.suppress(ProxyError):
                for service in list(self._desired.holds.all):
                    await self._look(service)

    async def _look(self, service: str) -> None:
        running = self._loop.running(service)
        if running is None:
            return
        name = backend_name(service)
        down = await self._haproxy.runtime.down(name)
        serving = running.addresses(ServerState.SERVING)
        if self._desired.holds.set_down(service, {own for own in serving if f"{name}/{server_name(own)}" in down}):
            self._loop.enqueue([service])

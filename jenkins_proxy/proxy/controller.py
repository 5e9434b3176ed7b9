"""The parts of a proxy put together, and their life: a change runs through them from the top to the bottom.

Discovery, ProxyService      what the registry reports, what callers ask for
     |  write, enqueue
DesiredState, ReconcileLoop  what should serve, round after round
     |
Applier                      the least change
     |
HAProxy                      by its Runtime API, or a reload
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from jenkins_proxy.aio import TaskGroup
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.errors import JenkinsProxyError
from jenkins_proxy.proxy.discovery.discovery import Discovery
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.haproxy import names, output
from jenkins_proxy.proxy.haproxy.applier import Applier
from jenkins_proxy.proxy.haproxy.config_dir import read_probe_key
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.proxy.hold_store import HoldStore
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.drain_monitor import DrainMonitor
from jenkins_proxy.proxy.reconcile.drift_monitor import DriftMonitor
from jenkins_proxy.proxy.reconcile.heartbeat import Heartbeat
from jenkins_proxy.proxy.reconcile.hold_monitor import HoldMonitor
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.reconcile.peers import Peers
from jenkins_proxy.proxy.reconcile.persistence import Persistence
from jenkins_proxy.proxy.route_cache import RouteCache
from jenkins_proxy.proxy.route_store import RouteStore
from jenkins_proxy.proxy.service.counting import Counting
from jenkins_proxy.proxy.service.hold_service import HoldService
from jenkins_proxy.proxy.service.proxy_service import ProxyService
from jenkins_proxy.proxy.telemetry.user_counter import UserCounter
from jenkins_proxy.proxy.timing import DEFAULT, Timing

_LOG = logging.getLogger(__name__)


class Controller:
    """Holds HAProxy at what the routes and the registry say.

    :param registry: the registry's client; it is closed by whoever made it.
    :param haproxy: started and stopped by the controller.
    :param state_dir: where routes and the probe key are kept for a start without the registry.
    :param name: this proxy's name among several, for ``jenkins-proxy/proxies/<name>``.
    :ivar service: what the API calls for routes; ``holds`` likewise for holds, ``counting`` for the users of a service.
    :ivar tasks: what runs in the background.
    :ivar events: what happens, for whoever subscribes.
    :raises UsageError: when the probe key can neither be read nor written.
    """

    def __init__(
        self,
        registry: AsyncConsul,
        haproxy: HAProxy,
        *,
        state_dir: Path,
        name: str,
        timing: Timing = DEFAULT,
    ) -> None:
        self.events = EventBus()
        self.tasks = TaskGroup(self._task_failed, min_pause=timing.restart_min, max_pause=timing.restart_max)
        self._haproxy = haproxy
        self._store = RouteStore(registry)
        hold_store = HoldStore(registry)
        cache = RouteCache(state_dir / "routes.json")
        self._desired = _restored(cache, haproxy)
        self._applier = Applier(haproxy, timing)
        self._heartbeat = Heartbeat(registry, self._store, name, timing)
        self._loop = ReconcileLoop(
            self._desired, self._applier, events=self.events, heartbeat=self._heartbeat, timing=timing
        )
        self._hold_monitor = HoldMonitor(self._desired, self._loop, haproxy, timing)
        self._drain_monitor = DrainMonitor(self._desired, self._loop, haproxy, self._heartbeat, timing)
        self._drift_monitor = DriftMonitor(self._loop, self._applier, haproxy, events=self.events, timing=timing)
        self._persistence = Persistence(self._desired, cache)
        self._discovery = Discovery(
            registry,
            self._desired,
            self._loop,
            store=self._store,
            hold_store=hold_store,
            persistence=self._persistence,
            events=self.events,
            tasks=self.tasks,
            timing=timing,
        )
        peers = Peers(hold_store, name)
        self._counter = UserCounter(haproxy, self.tasks, timing)
        self.counting = Counting(
            registry,
            self._counter,
            self._heartbeat,
            events=self.events,
            reachability=self._discovery.reachability,
            name=name,
            timing=timing,
        )
        self.service = ProxyService(
            self._desired,
            self._loop,
            store=self._store,
            hold_store=hold_store,
            discovery=self._discovery,
            persistence=self._persistence,
            applier=self._applier,
            haproxy=haproxy,
            tasks=self.tasks,
            peers=peers,
            probe_key=read_probe_key(state_dir / "probe.key"),
            timing=timing,
        )
        self.holds = HoldService(
            self._desired,
            self._loop,
            routes=self._store,
            store=hold_store,
            discovery=self._discovery,
            applier=self._applier,
            peers=peers,
            route_defaults=haproxy.options.route_defaults,
            timing=timing,
        )

    async def start(self) -> None:
        """Serve what the state directory knows at once, then follow the registry.

        :raises UsageError: when HAProxy is missing, too old, or cannot bind.
        """
        self._haproxy.on_death = self._loop.haproxy_died
        self._haproxy.before_restart = self._applier.before_restart
        self._haproxy.on_worker = self._counter.on_worker
        await self._loop.start(output.version(self._haproxy.files.read()) + 1, self.service.probe_key)
        # Where the files could not be written, HAProxy has begun with those of before.
        if output.version(self._haproxy.files.read()) != self._applier.version:
            self._loop.force()
        self._discovery.start()
        for work in (
            self._loop.run,
            self._applier.run_reaper,
            self._applier.run_writer,
            self._persistence.run,
            self._heartbeat.run,
            self._hold_monitor.run,
            self._drain_monitor.run,
            self._drift_monitor.run,
            self.counting.run,
        ):
            self.tasks.keep(work.__qualname__, work)

    async def stop(self) -> None:
        """End HAProxy and every task. Requests in flight get a few seconds."""
        await self._end_tasks()
        await asyncio.gather(self._heartbeat.end(), self._haproxy.stop())

    async def leave(self) -> None:
        """End every task; HAProxy goes on serving what it serves, for the next daemon to take over.

        This proxy stays among the live ones until its session's time is over: users are still led by it, and a deploy
        that stops instances meanwhile has to know that it lags.
        """
        try:
            # The next daemon starts from the files.
            await self._applier.flush()
            await self._persistence.flush()
        except (JenkinsProxyError, OSError) as error:
            _LOG.warning("what HAProxy serves could not be written: %s", error)
        await self._end_tasks()
        pid = await self._haproxy.leave()
        if pid:
            _LOG.info("HAProxy goes on serving users: the next start takes it over, and `kill -USR1 %d` ends it", pid)

    async def _end_tasks(self) -> None:
        # HAProxy's workers live as long as they are followed.
        self._counter.close()
        await self.tasks.cancel_all()

    def _task_failed(self, name: str, error: BaseException) -> None:
        if isinstance(error, JenkinsProxyError):
            _LOG.error("%s", error.message, extra={"hint": error.hint})
        else:
            _LOG.error("a bug ended %s", name or "a part of the daemon", exc_info=error)
        if name:
            self.events.publish("part-died", detail=f"{name}, which is started again: {error!r}")
            self._discovery.refresh()
        else:
            self.service.report_bug(error)


def _restored(cache: RouteCache, haproxy: HAProxy) -> DesiredState:
    """What the state directory says: the routes, and the servers that were behind each."""
    stored, drains, holds = cache.read()
    servers = output.servers(haproxy.files.read())
    services = stored.routes.keys() | holds.holds.keys()
    before = {name: servers.get(names.backend_name(name), {}) for name in services}
    return DesiredState(stored, drains, before, holds)

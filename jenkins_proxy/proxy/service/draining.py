"""Takes instances of a route out of service and back, in every live proxy."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence

from jenkins_proxy.errors import ProxyError
from jenkins_proxy.model import Address
from jenkins_proxy.proxy.haproxy.applier import Applier
from jenkins_proxy.proxy.haproxy.diff import means
from jenkins_proxy.proxy.models import RUNTIME, Progress, RouteState
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.reconcile.peers import Drained, Goal, Peers
from jenkins_proxy.proxy.route_store import RouteStore
from jenkins_proxy.proxy.timing import DEFAULT, Timing
from jenkins_proxy.retry import Deadline
from jenkins_proxy.validation import few


class Draining:
    """Drains and resumes.

    :param check: raises NotRoutedError for a service without a route.
    :param state: gives a service's route and what is behind it.
    """

    def __init__(
        self,
        desired: DesiredState,
        loop: ReconcileLoop,
        *,
        store: RouteStore,
        applier: Applier,
        peers: Peers,
        check: Callable[[str], None],
        state: Callable[[str], RouteState],
        timing: Timing = DEFAULT,
    ) -> None:
        self._desired = desired
        self._loop = loop
        self._store = store
        self._applier = applier
        self._peers = peers
        self._check = check
        self._state = state
        self._proxies_wait = timing.proxies_wait

    async def drain(
        self,
        service: str,
        addresses: Sequence[Address],
        timeout: float,
        stream_timeout: float,
        proxies: float | None = None,
    ) -> RouteState:
        """No new requests to these instances, from any live proxy that does not lag; answers when none of these has one
        in flight on them.

        :param timeout: seconds to wait for that.
        :param stream_timeout: seconds to wait for streams: upgraded connections, and answers without a length; then
            those of this proxy are cut.
        :param proxies: seconds to wait for the other proxies; None: ``timing.proxies_wait``.
        :raises ProxyError: requests are still in flight after that time; the instances stay drained.
        :raises NotRoutedError: there is no such route (404).
        """
        self._check(service)
        deadline, streams = Deadline(timeout), Deadline(stream_timeout)
        drained_ids = {
            instance.address: instance.id
            for instance in self._desired.instances_of(service) or ()
            if instance.address in set(addresses)
        }
        all_drained, index = await self._store.change_drains(service, add=drained_ids)
        self._desired.put_drains(service, all_drained, index)
        await self._loop.reconcile([service])
        numeric = [number for address in addresses for number in self._desired.hosts.resolve(address)]
        # Side by side: a proxy that lags takes no time from the requests in flight.
        cut, progress = await asyncio.gather(
            self._applier.wait_idle(service, numeric, deadline, streams),
            self._wait_peers_idle(Drained(service, frozenset(addresses)), index, proxies, deadline, streams),
        )
        timings = {"drain": deadline.elapsed}
        return dataclasses.replace(self._state(service), applied=RUNTIME, timings=timings, cut=cut, proxies=progress)

    async def _wait_peers_idle(
        self, drained: Drained, index: int, proxies: float | None, deadline: Deadline, streams: Deadline
    ) -> Mapping[str, Progress]:
        progress = await self._wait_peers(Goal(drains=index), proxies)
        busy = await self._peers.wait_idle(drained, progress, deadline, streams)
        if busy:
            raise ProxyError(
                f"requests are still in flight on {few(sorted(drained.addresses))} of {drained.service} at the proxies "
                f"{few(busy)} after {deadline.seconds:g} s",
                "they get no new ones; drain again to wait longer",
            )
        return progress

    async def resume(self, service: str, addresses: Sequence[Address], proxies: float | None = None) -> RouteState:
        """The opposite of drain.

        :param proxies: seconds to wait for the other proxies; None: ``timing.proxies_wait``.
        :raises NotRoutedError: there is no such route (404).
        """
        self._check(service)
        before = self._applier.running.get(service)
        drained_ids, index = await self._store.change_drains(service, remove=addresses)
        self._desired.put_drains(service, drained_ids, index)
        await self._loop.reconcile([service])
        applied = means(before, self._applier.running.get(service))
        progress = await self._wait_peers(Goal(drains=index), proxies)
        return dataclasses.replace(self._state(service), applied=applied, proxies=progress)

    async def _wait_peers(self, goal: Goal, seconds: float | None) -> Mapping[str, Progress]:
        return await self._peers.wait(goal, self._proxies_wait if seconds is None else seconds)

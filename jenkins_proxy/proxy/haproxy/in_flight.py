"""What is in flight in the workers of one HAProxy, those of before a reload included."""

from __future__ import annotations

import contextlib
from collections.abc import Collection

from jenkins_proxy.errors import ProxyError
from jenkins_proxy.proxy.haproxy.master import Master
from jenkins_proxy.proxy.haproxy.runtime_api import RuntimeAPI


class InFlight:
    """Requests and streams in flight to servers.

    :param runtime: the sockets of HAProxy.
    :param master: which knows its workers.
    """

    def __init__(self, runtime: RuntimeAPI, master: Master) -> None:
        self._runtime = runtime
        self._master = master

    async def idle(self, backend: str, servers: Collection[str]) -> bool:
        """Whether no request is in flight to these servers, nor can still come.

        They are drained or gone in the current worker already. A worker of before a reload finishes what it began, and
        each client that is idle there may send one request more, to the servers of then.

        :param servers: as ``<backend>/<server>``.
        :raises ProxyError: when HAProxy does not answer.
        """
        load = await self._runtime.load(backend)
        if any(load.get(name) for name in servers):
            return False
        for pid in (await self._master.workers()).old:
            try:
                left = await self._runtime.leftover(pid, backend)
            except (ProxyError, ValueError):
                # It has ended in between, unless the master still knows it.
                if pid in (await self._master.workers()).old:
                    return False
                continue
            if any(left.servers[name] or not left.quiet for name in servers if name in left.servers):
                return False
        return True

    async def only_streams(self, backend: str, servers: Collection[str]) -> bool:
        """Whether nothing but streams is in flight to these servers, nor can come: see :mod:`.sessions`. Parameters
        and errors as of :meth:`idle`."""
        workers = await self._master.workers()
        load = await self._runtime.load(backend)
        left = sum(load.get(name, 0) for name in servers)
        for pid in workers.old:
            with contextlib.suppress(ProxyError, ValueError):
                old = await self._runtime.leftover(pid, backend)
                if not old.quiet:
                    return False
                left += sum(old.servers.get(name, 0) for name in servers)
        for pid in (workers.current, *workers.old):
            with contextlib.suppress(ProxyError):
                left -= await self._runtime.count_streams(pid, servers)
        return left <= 0

    async def cut_streams(self, servers: Collection[str]) -> int:
        """End the streams that are under way to these servers, in the workers of before a reload too.

        :param servers: as ``<backend>/<server>``.
        :return: how many.
        :raises ProxyError: when the master does not answer.
        """
        workers = await self._master.workers()
        cut = 0
        for pid in (workers.current, *workers.old):
            # One that does not answer has ended in between, or is asked again by the next call.
            with contextlib.suppress(ProxyError):
                cut += await self._runtime.cut_streams(pid, servers)
        return cut

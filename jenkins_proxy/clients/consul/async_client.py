"""The asynchronous driver of Consul's HTTP API, for the daemon and the registrator.

A call that may block takes ``index`` and ``wait`` (seconds) and gives its result with the index to ask with next. A
watch is a loop around such a call; it begins with index 0.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from jenkins_proxy import tls
from jenkins_proxy.aio import with_timeout
from jenkins_proxy.clients.consul import calls, pipelining, requests, rights
from jenkins_proxy.clients.consul.answers import TooLongError
from jenkins_proxy.clients.consul.connections import Connections
from jenkins_proxy.clients.consul.requests import Call, Pace
from jenkins_proxy.clients.consul.streams import Streams
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.retry import Backoff
from jenkins_proxy.settings import Settings

_LOG = logging.getLogger(__name__)

Params = ParamSpec("Params")
Result = TypeVar("Result")

SWEEPERS = 2
"""Connections of one :meth:`AsyncConsul.service_indexes`."""

_SWEEP_SECONDS = 60.0
# So many calls that do not wait are under way: thousands of watches that begin would hold all their answers together.
_AT_ONCE = 64


def _method(
    build: Callable[Params, Call[Result]],
) -> Callable[Concatenate[AsyncConsul, Params], Coroutine[Any, Any, Result]]:
    """A method that sends the call that ``build`` makes: arguments, docstring and result are those of the call."""

    # Not async itself: of thousands of calls that wait each would hold one coroutine more.
    @functools.wraps(build)
    def method(self: AsyncConsul, /, *args: Params.args, **kwargs: Params.kwargs) -> Coroutine[Any, Any, Result]:
        return self.call(build(*args, **kwargs))

    return method


class AsyncConsul:
    """A registry. Every method raises RegistryError when it cannot be reached or refuses.

    :param url: ``http://10.100.192.200:8500``.
    :param token: an ACL token, sent in the header ``X-Consul-Token`` only.
    :param tls: makes a context for an ``https://`` registry with an authority or a client certificate of its own.
    :param connections: how many are open at the most; a call past that waits for one, so that blocking queries of one
        client cannot go over the registry's limit a client address (Consul: 200). Where the registry speaks HTTP/2,
        most of them have room for hundreds of calls each.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        connections: int = 100,
    ) -> None:
        self.url = url.rstrip("/")
        # An agent stands next to its clients: to compress takes both longer than to send.
        self._headers = {**requests.headers(token), "Accept-Encoding": "identity"}
        self._streams: Streams | None = None
        secure = None
        if self.url.startswith("https:"):
            secure = tls()
            # Beside them, what has a body takes connections of its own.
            self._streams = Streams(self.url, self._headers, tls=tls(), limit=max(1, connections - _AT_ONCE))
            connections -= 1
        self._connections = Connections(self.url, self._headers, tls=secure, limit=connections)
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._pace = Pace()

    @classmethod
    def from_settings(cls, settings: Settings, *, connections: int = 100) -> Self:
        """The registry of the settings ``consul`` and ``consul_*``.

        :raises UsageError: when a certificate file cannot be read.
        """
        return cls(settings.consul, settings.consul_token, tls=_tls(settings), connections=connections)

    async def close(self) -> None:
        """Close the connections; calls under way fail."""
        await self._connections.close()
        if self._streams:
            await self._streams.close()

    async def capacity(self) -> int:
        """How many calls may be under way at once, which depends on what the registry speaks."""
        try:
            if self._streams and await self._streams.offered():
                return self._streams.capacity
        except (TimeoutError, OSError, EOFError) as error:
            raise requests.unreachable(self.url, error) from error
        return self._connections.limit

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def service_indexes(self, services: Sequence[str], on_index: Callable[[str, int], None]) -> None:
        """Ask for the index of each service, as :meth:`instances` gives it: at little cost it says which one changed.

        It takes :data:`SWEEPERS` connections beside the others.

        :param on_index: called with each service and its index, as soon as it is there.
        """
        asked = [calls.service_index(name) for name in services]
        sweep = pipelining.ask(
            self.url,
            [call.target for call in asked],
            lambda number, reply: on_index(services[number], asked[number].result(self.url, reply)),
            headers=self._headers,
            tls=self._connections.tls,
            connections=SWEEPERS,
        )
        try:
            await with_timeout(sweep, _SWEEP_SECONDS)
        except (TimeoutError, OSError, EOFError) as error:
            raise requests.unreachable(self.url, error) from error
        except ValueError as error:
            raise requests.RegistryRefused(
                f"{self.url} does not answer as Consul does: {error!r}", requests.IS_CONSUL
            ) from error

    async def call(self, call: Call[Result]) -> Result:
        """Send one call and give its result."""
        begin = asyncio.get_running_loop().time()
        try:
            if call.index:
                reply = await (await self._way(call)).ask(call)
            else:
                async with self._at_once:
                    reply = await (await self._way(call)).ask(call)
        except (TimeoutError, OSError, EOFError) as error:
            raise requests.unreachable(self.url, error) from error
        except TooLongError as error:
            raise requests.endless(self.url, call, f"is longer than {call.max_bytes >> 20} MiB") from error
        except ValueError as error:
            raise requests.RegistryRefused(
                f"{self.url} does not answer {call.path} as Consul does: {error!r}", requests.IS_CONSUL
            ) from error
        result = call.result(self.url, reply)
        pause = self._pace.pause(call, reply.index, asyncio.get_running_loop().time() - begin)
        if pause:
            await asyncio.sleep(pause)
        again = call.again(reply)
        return await self.call(again) if again else result

    async def _way(self, call: Call[Any]) -> Streams | Connections:
        if self._streams and call.method == "GET" and await self._streams.offered():
            return self._streams
        return self._connections

    watch_services = _method(calls.watch_services)
    nodes = _method(calls.nodes)
    node = _method(calls.node)
    catalog_node = _method(calls.catalog_node)
    agent_node = _method(calls.agent_node)
    instances = _method(calls.instances)
    health_state = _method(calls.health_state)
    missing_rights = _method(calls.missing_rights)
    leader = _method(calls.leader)
    kv_get = _method(calls.kv_get)
    kv_watch = _method(calls.kv_watch)
    kv_put = _method(calls.kv_put)
    kv_delete = _method(calls.kv_delete)
    session_create = _method(calls.session_create)
    session_renew = _method(calls.session_renew)
    session_destroy = _method(calls.session_destroy)
    register = _method(calls.register)
    deregister = _method(calls.deregister)
    agent_services = _method(calls.agent_services)
    agent_checks = _method(calls.agent_checks)
    update_check = _method(calls.update_check)


async def warn_of_missing_rights(registry: AsyncConsul, part: str, options: Sequence[str] = ()) -> None:
    """Say in the log what the token lacks for a part of :data:`rights.RIGHTS`, as soon as the registry answers.

    :param options: those of its options that it runs with.
    """
    backoff = Backoff()
    while True:
        try:
            lacking = await registry.missing_rights(part, options)
        except requests.RegistryRefused as error:
            _LOG.warning("%s", error.message, extra={"hint": error.hint})
            return
        except RegistryError:
            await asyncio.sleep(backoff.next_pause())
        else:
            break
    if lacking:
        message, hint = rights.lack(part, lacking)
        _LOG.warning("%s", message, extra={"hint": hint})


def _tls(settings: Settings) -> Callable[[], ssl.SSLContext]:
    if not (settings.consul_cacert or settings.consul_client_cert):
        return ssl.create_default_context
    make = functools.partial(
        tls.client_context,
        settings.consul_cacert,
        settings.consul_client_cert,
        settings.consul_client_key,
        what="the registry's certificates",
        hint="CONSUL_CACERT, CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY name PEM files",
    )
    make()  # what cannot be used is said at the start, also where the address is http
    return make

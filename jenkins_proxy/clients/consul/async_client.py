"""The registry's client for the daemon and the agent: the verbs of ``consul.py`` as coroutines, and the watches.

Whatever may block takes ``index`` and ``wait`` (seconds) and gives its result with the index to ask with next. A watch
is a loop around such a call, which begins with index 0.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from jenkins_proxy.aio import with_timeout
from jenkins_proxy.clients.consul import pipelining, requests
from jenkins_proxy.clients.consul.models import Check, KvPair
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Instance
from jenkins_proxy.settings import Settings

Result = TypeVar("Result")

SWEEPERS = 2
"""Connections of one :meth:`AsyncConsul.service_indexes`."""

_SWEEP_SECONDS = 60.0


class AsyncConsul:
    """A registry. Every method raises RegistryError when it cannot be reached or refuses.

    :param url: ``http://10.100.192.200:8500``.
    :param token: an ACL token, sent in the header ``X-Consul-Token`` only.
    :param tls: for an ``https://`` registry with an authority or a client certificate of its own.
    :param connections: how many are open at the most; a call past that waits for one, so that blocking queries of one
        client cannot go over the registry's limit a client address (Consul: 200).
    """

    def __init__(self, url: str, token: str = "", *, tls: ssl.SSLContext | None = None, connections: int = 100) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._tls = tls
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_settings(cls, settings: Settings, *, connections: int = 100) -> AsyncConsul:
        """The registry of the settings ``consul`` and ``consul_*``.

        :raises UsageError: when a certificate file cannot be read.
        """
        return cls(settings.consul, settings.consul_token, tls=_tls(settings), connections=connections)

    async def close(self) -> None:
        """Close the connections; calls under way fail."""
        if self._session:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> AsyncConsul:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def services(self, *, index: int = 0, wait: float = 0.0) -> tuple[dict[str, list[str]], int]:
        """All services by name, each with all the tags that its instances have."""
        return await self._do(requests.services(index, wait))

    async def instances(self, service: str, *, index: int = 0, wait: float = 0.0) -> tuple[list[Instance], int]:
        """All instances of a service, whatever their status."""
        return await self._do(requests.instances(service, index, wait))

    async def health_state(self, state: str = "any", *, index: int = 0, wait: float = 0.0) -> tuple[list[Check], int]:
        """All checks in a state: ``any``, ``passing``, ``warning`` or ``critical``."""
        return await self._do(requests.health_state(state, index, wait))

    async def service_indexes(self, services: Sequence[str], told: Callable[[str, int], None]) -> None:
        """Ask for the index of each service, as :meth:`instances` would give it: which changed since, at little cost.

        It takes :data:`SWEEPERS` connections beside the others.

        :param told: called with each service and its index, as soon as it is there.
        """
        asked = [requests.service_index(name) for name in services]
        sweep = pipelining.ask(
            self.url,
            [call.target for call in asked],
            lambda number, reply: told(services[number], asked[number].result(self.url, reply)),
            headers=requests.headers(self._token),
            tls=self._tls,
            connections=SWEEPERS,
        )
        try:
            await with_timeout(sweep, _SWEEP_SECONDS)
        except (TimeoutError, OSError, EOFError) as error:
            raise requests.unreachable(self.url, error) from error
        except (ValueError, IndexError) as error:
            raise requests.RegistryRefused(
                f"{self.url} does not answer as Consul does: {error!r}", "is that address Consul's HTTP API?"
            ) from error

    async def leader(self) -> str:
        """The address of the leading server; empty without one."""
        return await self._do(requests.leader())

    async def kv_get(self, key: str) -> KvPair | None:
        """One key, or None."""
        return await self._do(requests.kv_get(key))

    async def kv_watch(self, prefix: str, *, index: int = 0, wait: float = 0.0) -> tuple[list[KvPair], int]:
        """All keys that begin with the prefix."""
        return await self._do(requests.kv_list(prefix, index, wait))

    async def kv_put(
        self, key: str, value: bytes, *, cas: int | None = None, acquire: str = "", release: str = ""
    ) -> bool:
        """Write a key, as :meth:`Consul.kv_put` does."""
        return await self._do(requests.kv_put(key, value, cas, acquire, release))

    async def kv_delete(self, key: str, *, cas: int | None = None, recurse: bool = False) -> bool:
        """Delete a key, as :meth:`Consul.kv_delete` does."""
        return await self._do(requests.kv_delete(key, cas, recurse))

    async def session_create(self, name: str, ttl: float, *, behavior: str = "delete", lock_delay: float = 0.0) -> str:
        """Make a session, as :meth:`Consul.session_create` does."""
        return await self._do(requests.session_create(name, ttl, behavior, lock_delay))

    async def session_renew(self, session_id: str) -> bool:
        """Start the session's time to live again; False when it is gone."""
        return await self._do(requests.session_renew(session_id))

    async def session_destroy(self, session_id: str) -> None:
        """End a session, which releases or deletes what it holds."""
        await self._do(requests.session_destroy(session_id))

    async def register(self, service: Mapping[str, Any]) -> None:
        """Register with the agent at this address, as :meth:`Consul.register` does."""
        await self._do(requests.register(service))

    async def deregister(self, service_id: str) -> None:
        """Take an entry of this agent away; one that is not there is no error."""
        await self._do(requests.deregister(service_id))

    async def agent_services(self) -> dict[str, dict[str, Any]]:
        """The entries of this agent by ID, in Consul's JSON."""
        return await self._do(requests.agent_services())

    async def agent_checks(self) -> dict[str, dict[str, Any]]:
        """The checks of this agent by ID, in Consul's JSON."""
        return await self._do(requests.agent_checks())

    async def update_check(self, check_id: str, status: str, output: str = "") -> None:
        """Say how a TTL check stands: ``passing``, ``warning`` or ``critical``."""
        await self._do(requests.update_check(check_id, status, output))

    async def _do(self, call: requests.Call[Result]) -> Result:
        url = URL(self.url + call.target, encoded=True)
        try:
            async with self._open().request(
                call.method,
                url,
                data=call.body,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=requests.TIMEOUT, sock_read=call.timeout),
            ) as answer:
                reply = requests.Reply(answer.status, await answer.read(), requests.reply_index(answer.headers))
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise requests.unreachable(self.url, error) from error
        return call.result(self.url, reply)

    def _open(self) -> aiohttp.ClientSession:
        # Made at the first call: aiohttp wants a running event loop around it.
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections, ssl=self._tls or True)
            self._session = aiohttp.ClientSession(connector=connector, headers=requests.headers(self._token))
        return self._session


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if not (settings.consul_cacert or settings.consul_client_cert):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.consul_cacert or None)
        if settings.consul_client_cert:
            context.load_cert_chain(settings.consul_client_cert, settings.consul_client_key or None)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"cannot use the registry's certificates: {error}",
            "CONSUL_CACERT, CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY name PEM files",
        ) from error
    return context

"""The embedded registry: the part of Consul 1.8's HTTP API that a machine by itself needs, in one asyncio process.

    registry = EmbeddedRegistry(Path("registry.state"), token="")
    await registry.start("127.0.0.1", 8500)
    …                               # registry.url, registry.port
    await registry.stop()

Keys, sessions, services and checks are kept in the state file. Services too, though containers are found again by
the registrator agent: entries that somebody else made are found by nobody (gliderlabs/registrator#81), and a proxy
whose daemon starts again must not see an empty registry first. ``tests/consul_server/test_contract.py`` runs the same
tests against it and against a real Consul.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import uuid
from collections.abc import Iterable
from pathlib import Path

from aiohttp import web

from jenkins_proxy import connection_limit
from jenkins_proxy.connection_limit import ConnectionLimit
from jenkins_proxy.consul_server.agent import Agent
from jenkins_proxy.consul_server.api import absent
from jenkins_proxy.consul_server.api.about import AboutApi
from jenkins_proxy.consul_server.api.access import Access, Owner
from jenkins_proxy.consul_server.api.agent_api import AgentApi
from jenkins_proxy.consul_server.api.catalog_api import CatalogApi
from jenkins_proxy.consul_server.api.http import KV_MAX, middleware, with_redirects
from jenkins_proxy.consul_server.api.kv_api import KvApi, SessionApi
from jenkins_proxy.consul_server.catalog import Catalog
from jenkins_proxy.consul_server.kv import Keys
from jenkins_proxy.consul_server.records import check_row, node_row
from jenkins_proxy.consul_server.sessions import Sessions
from jenkins_proxy.consul_server.state.append_log import AppendLog
from jenkins_proxy.consul_server.state.state_store import Row, Store, Timing
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import PASSING

__all__ = ["EmbeddedRegistry", "Owner"]


class EmbeddedRegistry:
    """A registry in this process.

    :param state_file: what outlives a restart; None keeps nothing.
    :param token: what calls must present, as Consul's ACL token; empty asks for none.
    :param names: domains by which it may be called on loopback without a token.
    :param owner: the keys that some callers alone may write.
    :param limit: of its connections; None means what the process may have.
    :ivar url: ``http://127.0.0.1:8500``, once started.
    """

    def __init__(
        self,
        state_file: Path | None = None,
        token: str = "",
        *,
        names: Iterable[str] = (),
        owner: Owner | None = None,
        limit: ConnectionLimit | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._state_file = state_file
        self._token = token
        self._names = tuple(names)
        self._owner = owner
        self._timing = timing or Timing()
        self._runner: web.AppRunner | None = None
        self._limit = limit or ConnectionLimit("the embedded registry", connection_limit.share(1))
        self._server: asyncio.Server | None = None
        self.url = ""
        self.port = 0

    async def start(self, host: str = "127.0.0.1", port: int = 8500) -> None:
        """Load the state and listen.

        :param port: 0 takes a free one.
        :raises UsageError: when the port is taken or the state file is not usable.
        """
        # The port first: a second registry must not touch the state file of the one that runs.
        listener = _listen(host, port)
        self.port = listener.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.port}"
        try:
            self._runner = web.AppRunner(
                self._application(f"{shown}:{self.port}", host),
                access_log=None,
                handler_cancellation=True,
                # Consul takes a body as it comes, whatever its Content-Encoding.
                auto_decompress=False,
                keepalive_timeout=self._timing.idle_within,
                shutdown_timeout=self._timing.stop_within,
            )
        except BaseException:
            listener.close()
            raise
        await self._runner.setup()
        self._server = await connection_limit.listen(self._runner, listener, self._limit)
        self._sessions.start()
        self._agent.start()

    async def stop(self) -> None:
        """Stop listening; blocking queries under way end without an answer."""
        if self._runner:
            await self._agent.stop()
            self._sessions.stop()
            if self._server:
                self._server.close()
            await self._runner.cleanup()
            self._store.close()
            self._runner = None

    @property
    def waiting(self) -> int:
        """How many blocking queries wait."""
        return self._store.waiting

    def _application(self, address: str, host: str) -> web.Application:
        store = self._store = Store(AppendLog(self._state_file))
        catalog = Catalog(store)
        keys = Keys(store)
        node = socket.gethostname()
        self._sessions = Sessions(store, catalog, keys, self._timing)
        self._agent = Agent(store, catalog, node, self._timing)
        own_node = self._register_self(catalog, node, host)
        # One more than the limit: whether a body may reach it differs between versions of aiohttp.
        app = web.Application(
            middlewares=[
                middleware(Access(self._token, host, self._names, self._owner), self._timing.body_within),
            ],
            client_max_size=KV_MAX + 1,
        )
        app.add_routes(
            with_redirects(
                [
                    *AboutApi(store, self._agent, own_node, address).routes(),
                    *AgentApi(store, self._agent).routes(),
                    *CatalogApi(store, catalog).routes(),
                    *KvApi(store, keys, self._sessions).routes(),
                    *SessionApi(store, self._sessions, node).routes(),
                    *absent.routes(),
                ]
            )
        )
        return app

    def _register_self(self, catalog: Catalog, node: str, host: str) -> Row:
        address = "127.0.0.1" if host in ("0.0.0.0", "::", "localhost") else host  # noqa: S104 - compared, not bound
        # The same name has the same ID after a restart, without a file for it.
        node_id = str(uuid.uuid5(uuid.NAMESPACE_DNS, node))
        self._store.advance()
        family = "ipv6" if ":" in address else "ipv4"
        tagged = {name: address for name in ("lan", f"lan_{family}", "wan", f"wan_{family}")}
        row = node_row(node_id, node, address, tagged, {"consul-network-segment": ""})
        catalog.put_node(row)
        catalog.put_check(
            check_row(node, "serfHealth", name="Serf Health Status", status=PASSING, output="Agent alive and reachable")
        )
        return row


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(connection_limit.BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        hint = "another registry or Consul listens there" if error.errno == errno.EADDRINUSE else ""
        raise UsageError(f"the embedded registry cannot listen on {host}:{port}: {error.strerror}", hint) from error
    return listener

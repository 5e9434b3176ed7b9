"""The Docker Engine's HTTP API on asyncio, as far as the registrator needs it: containers and the event stream.

Source: the Engine API (https://docs.docker.com/reference/api/engine/), paths without a version: the engine's newest.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from jenkins_proxy import tls
from jenkins_proxy.clients.docker.endpoint import Endpoint
from jenkins_proxy.errors import root_cause

_TIMEOUT = 30.0
# Without the filter, each run of each HEALTHCHECK would be an event, too.
_EVENTS = ("start", "kill", "die", "destroy", "rename", "health_status")
_MAX_LINE = 4 * 2**20


class AsyncEngine:
    """An engine. Every method raises DockerError when it cannot be reached or refuses.

    :param endpoint: where it is.
    :raises UsageError: when the client's certificates cannot be read.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._tls = (
            tls.client_context(
                endpoint.cacert,
                endpoint.cert,
                endpoint.key,
                what=f"the Docker certificates in {endpoint.certificates}",
                hint="DOCKER_CERT_PATH names the folder with ca.pem, cert.pem and key.pem",
            )
            if endpoint.certificates
            else None
        )
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    async def containers(self) -> list[dict[str, Any]]:
        """The running containers: ``/containers/json``."""
        containers: list[dict[str, Any]] = await self._get("/containers/json")
        return containers

    async def inspect(self, container_id: str) -> dict[str, Any] | None:
        """A container in full: ``/containers/<id>/json``; None when it is gone."""
        container: dict[str, Any] | None = await self._get(f"/containers/{container_id}/json", absent=True)
        return container

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """The events of containers from now on, the first item an empty one that says that the stream is open.

        It ends when the engine closes it.
        """
        filters = json.dumps({"type": ["container"], "event": list(_EVENTS)})
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_TIMEOUT)
        try:
            async with self._open().get(self._url("/events"), params={"filters": filters}, timeout=timeout) as answer:
                await self._check(answer)
                yield {}
                async for line in answer.content:
                    if line.strip():
                        yield json.loads(line)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise self._endpoint.unreachable(f": {root_cause(error)}") from error

    async def _get(self, path: str, absent: bool = False) -> Any:
        try:
            async with self._open().get(self._url(path), timeout=aiohttp.ClientTimeout(total=_TIMEOUT)) as answer:
                if absent and answer.status == 404:
                    return None
                await self._check(answer)
                return await answer.json(content_type=None)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise self._endpoint.unreachable(f": {root_cause(error)}") from error

    async def _check(self, answer: aiohttp.ClientResponse) -> None:
        if answer.status != 200:
            text = " ".join((await answer.text()).split())[:300]
            raise self._endpoint.refused(f"GET {answer.url.path}", text or f"HTTP {answer.status}")

    def _url(self, path: str) -> str:
        return self._endpoint.base_url + path

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = (
                aiohttp.UnixConnector(self._endpoint.socket)
                if self._endpoint.local
                else aiohttp.TCPConnector(ssl=self._tls or True)
            )
            self._session = aiohttp.ClientSession(connector=connector, read_bufsize=_MAX_LINE)
        return self._session

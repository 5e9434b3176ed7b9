"""The Docker Engine's HTTP API: the few calls that compose has no command for.

Paths carry no version (``/info``, not ``/v1.41/info``): each engine, and a classic Swarm manager, then answers with
the version it speaks. Source: https://docs.docker.com/reference/api/engine/version/v1.41/
"""

from __future__ import annotations

import functools
import json
import struct
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from jenkins_proxy.clients.docker import endpoint as endpoints
from jenkins_proxy.clients.docker.endpoint import Endpoint
from jenkins_proxy.errors import root_cause
from jenkins_proxy.settings import Settings

if TYPE_CHECKING:
    import requests

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 60.0
_NOT_MODIFIED = 304
_NOT_FOUND = 404
_CONFLICT = 409


class Engine:
    """A Docker Engine or a classic Swarm manager. Every method raises DockerError when it does not answer or refuses.

    :param endpoint: where it is.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """:raises UsageError: when the settings name no usable endpoint."""
        return cls(endpoints.resolve(settings))

    @property
    def url(self) -> str:
        return self.endpoint.url

    def close(self) -> None:
        """Give the connections back."""
        if "_session" in self.__dict__:
            self._session.close()
            del self._session

    @functools.cached_property
    def _session(self) -> requests.Session:
        # Loaded at the first call: it takes as long as everything else before a command's first line.
        import requests

        from jenkins_proxy.clients.docker.unix_socket import UnixAdapter

        session = requests.Session()
        # HTTP_PROXY is for the internet: an engine's address is never behind it.
        session.trust_env = False
        if self.endpoint.local:
            session.mount("http://", UnixAdapter(self.endpoint.socket))
        if self.endpoint.certificates:
            session.verify = self.endpoint.cacert
            session.cert = (self.endpoint.cert, self.endpoint.key)
        return session

    def version(self) -> Mapping[str, Any]:
        version: Mapping[str, Any] = self.get("/version")
        return version

    def info(self) -> Mapping[str, Any]:
        info: Mapping[str, Any] = self.get("/info")
        return info

    def containers(self, labels: Mapping[str, str]) -> list[str]:
        """The IDs of the containers, in every state, that carry all of these labels."""
        filters = json.dumps({"label": [f"{name}={value}" for name, value in labels.items()]})
        return [entry["Id"] for entry in self.get("/containers/json", params={"all": "1", "filters": filters})]

    def inspect(self, container: str) -> Mapping[str, Any] | None:
        """Everything about a container; None when there is no such container."""
        return self.find(f"/containers/{quote(container)}/json")

    def logs(self, path: str, lines: int) -> list[str]:
        """The last lines of a log.

        :param path: ``/containers/<id>`` or ``/tasks/<id>``.
        :return: none when what wrote it is gone.
        """
        params = {"stdout": "1", "stderr": "1", "tail": str(lines)}
        response = self._send("GET", f"{path}/logs", params=params, allow=(_NOT_FOUND,))
        if response.status_code == _NOT_FOUND:
            return []
        return demultiplex(response.content).decode("utf-8", "replace").splitlines()[-lines:]

    def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Create a container and return its ID."""
        return str(self._send("POST", "/containers/create", params={"name": name}, body=body).json()["Id"])

    def start(self, container: str) -> None:
        """Start a container; one that runs is left alone."""
        self._send("POST", f"/containers/{quote(container)}/start", allow=(_NOT_MODIFIED,))

    def stop(self, container: str) -> None:
        """SIGTERM, and SIGKILL after the container's own time; returns when it has ended. One that is gone is fine."""
        details = self.inspect(container)
        if not details:
            return
        # What `stop_grace_period` became. Without one the engine gives 10 s, which a usual answer may take anyway.
        own = details["Config"].get("StopTimeout") or 0
        path = f"/containers/{quote(container)}/stop"
        self._send("POST", path, allow=(_NOT_MODIFIED, _NOT_FOUND), read_seconds=own + _READ_SECONDS)

    def pause(self, container: str) -> None:
        """Freeze a container's processes."""
        self._send("POST", f"/containers/{quote(container)}/pause")

    def remove(self, container: str, *, volumes: bool = False) -> None:
        """Kill and remove a container. One that is gone, or that somebody else is removing, is fine.

        :param volumes: whether the volumes without a name go that were made for it; one that another container uses,
            or that was given to it by its name, stays.
        """
        params = {"force": "1", **({"v": "1"} if volumes else {})}
        path = f"/containers/{quote(container)}"
        response = self._send("DELETE", path, params=params, allow=(_NOT_FOUND, _CONFLICT))
        if response.status_code == _CONFLICT and "already in progress" not in _message(response):
            raise self.endpoint.refused(f"DELETE {path}", _message(response))

    def connect(self, network: str, container: str, settings: Mapping[str, Any]) -> None:
        """Connect a container to one more network."""
        body = {"Container": container, "EndpointConfig": settings}
        self._send("POST", f"/networks/{quote(network)}/connect", body=body)

    def image_id(self, reference: str) -> str:
        """The ID behind an image's name; empty when there is no such image."""
        image = self.image(reference)
        return str(image["Id"]) if image else ""

    def image(self, reference: str) -> Mapping[str, Any] | None:
        """Everything about an image; None when there is no such image."""
        return self.find(f"/images/{quote(reference)}/json")

    def tag(self, image: str, reference: str) -> None:
        """Give an image one more name: ``books-ms:latest``."""
        name, colon, tag = reference.rpartition(":")
        if not colon or "/" in tag:
            name, tag = reference, "latest"
        self._send("POST", f"/images/{quote(image)}/tag", params={"repo": name, "tag": tag})

    def get(self, path: str, *, params: Mapping[str, str] | None = None) -> Any:
        """The JSON at a path."""
        return self._json(self._send("GET", path, params=params))

    def find(self, path: str) -> Any | None:
        """The JSON at a path; None when there is nothing."""
        response = self._send("GET", path, allow=(_NOT_FOUND,))
        return None if response.status_code == _NOT_FOUND else self._json(response)

    def post(self, path: str, *, params: Mapping[str, str] | None = None, body: Mapping[str, Any]) -> None:
        """Send JSON to a path."""
        self._send("POST", path, params=params, body=body)

    def delete(self, path: str) -> None:
        """Delete what is at a path; nothing there is fine."""
        self._send("DELETE", path, allow=(_NOT_FOUND,))

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        allow: tuple[int, ...] = (),
        read_seconds: float = _READ_SECONDS,
    ) -> requests.Response:
        import requests

        url = self.endpoint.base_url + path
        try:
            response = self._session.request(
                method, url, params=params, json=body, timeout=(_CONNECT_SECONDS, read_seconds), allow_redirects=False
            )
        except requests.RequestException as error:
            limit = f" ({read_seconds:g} s)" if isinstance(error, requests.ReadTimeout) else ""
            raise self.endpoint.unreachable(f": {root_cause(error)}{limit}") from error
        if response.status_code >= 300 and response.status_code not in allow:
            raise self.endpoint.refused(f"{method} {path}", _message(response))
        return response

    def _json(self, response: requests.Response) -> Any:
        try:
            return response.json()
        except ValueError:
            raise self.endpoint.unreachable(", but something without JSON") from None


def _message(response: requests.Response) -> str:
    try:
        text = response.json()["message"]
    except (ValueError, KeyError, TypeError):
        # Engines before API 1.24 and classic Swarm answer in plain text.
        text = response.text
    return " ".join(str(text).split())[:500] or f"HTTP {response.status_code}"


def demultiplex(data: bytes) -> bytes:
    """Take the frame headers out of a log stream.

    Without a terminal each frame is ``stream, 0, 0, 0, length (4 bytes, big-endian), payload``; with one there are
    no frames. Source: "Attach to a container" in the Engine API.
    """
    return b"".join(_payloads(data)) if data[1:4] == b"\0\0\0" and data[:1] in b"\0\1\2" else data


def _payloads(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + 8 <= len(data):
        (length,) = struct.unpack(">I", data[at + 4 : at + 8])
        yield data[at + 8 : at + 8 + length]
        at += 8 + length

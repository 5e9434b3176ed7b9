"""HTTP over a unix socket for requests: one connection class, one pool, one adapter. Knows nothing of Docker."""

from __future__ import annotations

import socket

import requests
from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _UnixPool(HTTPConnectionPool):
    def __init__(self, path: str) -> None:
        # As many as requests keeps for TCP: containers are stopped side by side.
        super().__init__("localhost", maxsize=DEFAULT_POOLSIZE)
        self._path = path

    def _new_conn(self) -> _UnixConnection:
        timeout = self.timeout.connect_timeout
        return _UnixConnection(self._path, timeout if isinstance(timeout, (int, float)) else None)


class UnixAdapter(HTTPAdapter):
    """Sends every request to one unix socket, whatever host its URL names.

    :param path: of the socket.
    """

    def __init__(self, path: str) -> None:
        self._pool = _UnixPool(path)
        super().__init__()

    # requests 2.32 asks the second, older ones the first.
    def get_connection(self, url: str | bytes, proxies: object = None) -> HTTPConnectionPool:
        return self._pool

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: object, proxies: object = None, cert: object = None
    ) -> HTTPConnectionPool:
        return self._pool

    def close(self) -> None:
        self._pool.close()
        super().close()

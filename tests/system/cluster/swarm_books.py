"""A stack of one service for a cluster in Swarm mode."""

from __future__ import annotations

from typing import Any


def write(books: Any, version: int, replicas: int, **app: object) -> None:
    books.write(
        version, ports=[{"target": 8080, "mode": "host"}], stop_grace_period="1s", deploy={"replicas": replicas}, **app
    )

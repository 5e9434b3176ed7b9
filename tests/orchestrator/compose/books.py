"""A compose project to try compose on: app, which publishes a port, and db, which it needs."""

from __future__ import annotations

import pytest

BOOKS = """version: "2"
services:
  app:
    image: "{1}"
    ports: ["8080"]
    depends_on: [db]
    stop_grace_period: 1s
  db:
    image: "{1}"
    stop_grace_period: 1s
"""
NEW_BOOKS = BOOKS.replace("{1}", "{2}", 1)
with_v2 = pytest.mark.parametrize("flavour", ["compose-v2"])


def ids(containers) -> list[str]:
    return [container.id for container in containers]


def seen(containers) -> list[tuple]:
    """What a change would show in; this machine's addresses come and go with other projects' networks."""
    return [(container.id, container.name, container.state, container.bindings) for container in containers]

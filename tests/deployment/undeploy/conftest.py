"""Undeploys of books-ms from the project books."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from jenkins_proxy import settings
from jenkins_proxy.console import Console
from jenkins_proxy.deployment import undeploy
from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.removal import plan
from jenkins_proxy.deployment.removal.options import UndeployOptions
from jenkins_proxy.deployment.steps import lock
from jenkins_proxy.deployment.strategies import colors
from jenkins_proxy.deployment.timing import Timing
from jenkins_proxy.retry import Deadline
from tests.deployment.undeploy.world import LABELS, NOTHING, World
from tests.fixtures.orchestrators import InMemoryCompose


@pytest.fixture
def world(monkeypatch):
    made = World()
    monkeypatch.setattr(colors, "orchestrator", made.orchestrator)
    unlocked = SimpleNamespace(ensure_held=lambda: None)
    monkeypatch.setattr(lock, "of_deploy", lambda *_words: _Locked(made, unlocked))
    return made


class _Locked:
    def __init__(self, world, held) -> None:
        self.world, self.held = world, held

    def __enter__(self):
        self.world.calls.append("lock")
        return self.held

    def __exit__(self, *_error):
        return None


@pytest.fixture
def books(world, a_container, an_instance):
    """app serves as books-ms and needs db; web has nothing to do with it unless it needs db."""

    def make(*, web: bool = False, web_needs: str = "db", used=None):
        found = [
            a_container("books_app_1", 32768, labels=LABELS),
            a_container("books_db_1", service="db", labels=NOTHING),
        ]
        if web:
            labels = {plan.NEEDS: f"{web_needs}:service_started:true"} if web_needs else NOTHING
            found.append(a_container("books_web_1", 32769, service="web", labels=labels))
        compose = world.add(InMemoryCompose, "books", *found)
        compose.networks = {"n1": "network books_default"}
        compose.used = used or {}
        world.registry.entries["books-ms"] = [an_instance(32768)]
        return compose

    return make


@pytest.fixture
def run(world):
    """``run()`` is the outcome of an undeploy of books-ms from the project books, and what it has said."""

    def undeployed(*, dry_run: bool = False, **options):
        stream = io.StringIO()
        timing = Timing(stale_grace=0.05, drain=1, drain_min=1)
        resolved, proxy = settings.resolve({}), world.proxy
        context = Context(resolved, Console(stream), world.registry, proxy, Deadline(20), timing=timing)
        options = UndeployOptions("books-ms", **{"project": "books", **options})
        outcome = undeploy.undeploy(options, context, dry_run=dry_run)
        return outcome, stream.getvalue()

    return undeployed

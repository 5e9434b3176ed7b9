"""First deploys of books-ms, about to begin."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from jenkins_proxy import settings
from jenkins_proxy.console import Console
from jenkins_proxy.deployment import deploy
from jenkins_proxy.deployment.context import Check, Context, DeployOptions, Ready
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.steps import probe
from jenkins_proxy.deployment.strategies.select import select
from jenkins_proxy.deployment.timing import Timing
from jenkins_proxy.model import Route
from jenkins_proxy.retry import Deadline
from tests.deployment.deploy.world import PROJECT, ROUTE, Proxy, Registry, Starting


@pytest.fixture
def context(an_instance, free_port):
    """With an entry where nobody listens, and little patience for it."""
    resolved = settings.resolve({"entry": f"http://127.0.0.1:{free_port()}"})
    console, registry = Console(io.StringIO()), Registry(an_instance(32768))
    return Context(resolved, console, registry, Proxy(), Deadline(20), timing=Timing(probe=0.1, poll=0.05))


@pytest.fixture
def deployment(context, a_container):
    """``deployment(lost, failure)`` is a first deploy, by recreate, that is about to begin; its lock is lost later."""

    def make(
        lost: Exception | None = None,
        failure: BaseException | None = None,
        route: Route | None = ROUTE,
        ensure=None,
        **more,
    ):
        more.setdefault("check", Check(timeout=0.1))
        begun = []

        def ensure_held() -> None:
            if lost and begun:
                raise lost
            if ensure:
                ensure()

        nonlocal context
        context = context.under(ensure_held)
        orchestrator = Starting(a_container("books_app_1", 32768), failure)
        ready = Ready(orchestrator, PROJECT, PROJECT.services["app"])
        strategy = select(DeployOptions("books-ms", "books", route=route, strategy="recreate", **more), context, ready)
        intent_log = IntentLog(context.registry, "books-ms")
        held = SimpleNamespace(ensure_held=ensure_held)
        candidates = deploy._begin(strategy, context, held, intent_log)
        begun.append(True)
        return deploy._Deployment(strategy, context, held, intent_log, candidates)

    return make


@pytest.fixture
def verified(monkeypatch):
    """Every candidate answers well, and so does the users' door."""
    monkeypatch.setattr(probe, "until_new", lambda _asked, new, *_words, **_more: next(iter(new)))

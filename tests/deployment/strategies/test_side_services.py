"""In which order a project comes up: what is needed, what was asked for, the target, and what needs the target."""

from __future__ import annotations

import io

import pytest

from jenkins_proxy import settings
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.context import Context, DeployOptions, Ready
from jenkins_proxy.deployment.strategies.select import select
from jenkins_proxy.orchestrator.project import COMPLETED, ComposeProject, Service
from jenkins_proxy.retry import Deadline
from tests.fixtures.orchestrators import InMemoryCompose, InMemoryStack

SHOP = ComposeProject(
    "shop",
    {
        "app": Service("app", needs=frozenset({"db"})),
        "db": Service("db"),
        "worker": Service("worker", needs=frozenset({"cache"})),
        "cache": Service("cache"),
        "web": Service("web", needs=frozenset({"app", "seed"}), conditions={"seed": COMPLETED}),
        "seed": Service("seed"),
        "tests": Service("tests"),
    },
)


@pytest.fixture(params=[InMemoryCompose, InMemoryStack])
def strategy(request):
    """``strategy(names)`` deploys app of the shop by recreate, past the proxy."""

    def make(*names: str):
        ready = Ready(request.param(SHOP), SHOP, SHOP.services["app"], sides=SHOP.sides("app", names))
        context = Context(settings.resolve({}), Console(io.StringIO()), None, None, Deadline(20))
        return select(DeployOptions("books-ms", "shop", strategy="recreate"), context, ready)

    return make


@pytest.mark.parametrize(
    ("names", "calls"),
    [
        pytest.param((), ["start_needs db", "up app {'app': 2}"], id="what the target needs"),
        pytest.param(
            ("worker", "web"),
            [
                "start_needs cache,db",
                "up worker {}",
                "up app {'app': 2}",
                # That app runs is looked at; a one-shot that only web waits for runs now.
                "start_needs app,seed",
                "up web {}",
            ],
            id="by name",
        ),
    ],
)
def test_in_order(strategy, names, calls):
    chosen = strategy(*names)

    chosen.bring_up(2)

    assert chosen.orchestrator.calls == calls


def test_in_words(strategy):
    chosen = strategy("worker", "web")

    assert chosen.describe() == [
        "start where it does not run: cache, db",
        "run to its end: seed",
        f"{chosen.orchestrator.name} up: worker",
        f"{chosen.orchestrator.name} up: 1 of app",
        f"{chosen.orchestrator.name} up: web",
    ]

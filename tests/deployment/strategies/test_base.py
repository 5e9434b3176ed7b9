"""What a revert says of containers that it found and did not remove."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from jenkins_proxy import settings
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.context import Context, DeployOptions, Ready
from jenkins_proxy.deployment.strategies.base import PreviousState, Situation
from jenkins_proxy.deployment.strategies.recreate import Recreate
from jenkins_proxy.orchestrator.base import Snapshot
from jenkins_proxy.orchestrator.project import ComposeProject, Service
from jenkins_proxy.retry import Deadline

SHOP = ComposeProject("shop", {"app": Service("app"), "db": Service("db")})


class Project:
    """An orchestrator whose containers are there whatever a revert does."""

    def __init__(self, project, *containers):
        self.project = project
        self._containers = list(containers)

    def containers(self, *services):
        return [one for one in self._containers if not services or one.service in services]

    def restore(self, snapshots, *, deadline):
        return self.containers(*(one.service for one in snapshots))

    def remove_belongings(self, before, *, deadline):
        return []


@pytest.fixture
def revert(a_container):
    """``revert(base, color, sides)`` is what is left, in words; those named stand for a container of that project."""

    def container(name):
        project, service, _ = name.split("_")
        return a_container(name, project=project, service=service)

    def make(base, color=None, *, served=(), sides=()):
        projects = [Project("shop", *map(container, base))]
        if color is not None:
            projects.append(Project("shop-blue", *map(container, color)))
        ready = Ready(projects[0], SHOP, SHOP.services["app"], sides=SHOP.sides("app", ()))
        context = Context(settings.resolve({}), Console(io.StringIO()), None, None, Deadline(20))
        before = PreviousState(
            None,
            Snapshot("app", tuple(map(container, served))),
            elsewhere=projects[0] if color is not None else None,
            sides=tuple(Snapshot(name, ()) for name in sides),
        )
        strategy = Recreate(Situation(DeployOptions("books-ms", "shop"), context, ready, before), projects[-1], "")
        return list(strategy.revert(SimpleNamespace(deadline=Deadline(20), confirm=lambda: None)).left)

    return make


@pytest.mark.parametrize(
    ("base", "color", "more", "left"),
    [
        pytest.param(["shop_app_1"], None, {"served": ["shop_app_1"]}, [], id="it served before"),
        pytest.param(["shop_app_1"], None, {}, ["container shop_app_1"], id="nothing had served"),
        pytest.param(["shop_app_1"], [], {}, [], id="the base project serves beside a color"),
        pytest.param(["shop_app_1"], ["shop-blue_app_1"], {}, ["container shop-blue_app_1"], id="of the color"),
        pytest.param(
            ["shop_app_1", "shop_db_1"], [], {"sides": ["db"]}, ["container shop_db_1"], id="a side service of the base"
        ),
        pytest.param(["shop_app_1", "shop_db_1"], [], {}, [], id="a service that nobody touched"),
    ],
)
def test_only_what_the_deploy_may_have_started_is_named(revert, base, color, more, left):
    assert revert(base, color, **more) == left

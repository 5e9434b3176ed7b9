"""Which strategy runs is decided once, by what is asked for and what serves; and who resumes a deploy broken off."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from jenkins_proxy import settings
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.context import Context, DeployOptions, Ready
from jenkins_proxy.deployment.strategies import colors, select
from jenkins_proxy.deployment.strategies.base import PROVING, RETIRING, DeployRecord
from jenkins_proxy.deployment.strategies.blue_green import BlueGreen
from jenkins_proxy.deployment.strategies.recreate import Recreate
from jenkins_proxy.deployment.strategies.rolling import Rolling
from jenkins_proxy.deployment.strategies.swarm_rolling import SwarmRolling
from jenkins_proxy.model import Route
from jenkins_proxy.orchestrator.compose_project import ComposeProject, Port, Service
from jenkins_proxy.retry import Deadline
from tests.fixtures.orchestrators import InMemoryCompose, InMemoryStack

FREE = Service("app", ports=(Port(8080),))
FIXED = Service("app", ports=(Port(8080, "80"),))
ROUTE = Route("books-ms", ("/api",))


class Proxy:
    """The daemon's client: it has this route, and notes what it is asked for."""

    def __init__(self, route: Route | None) -> None:
        self.route = route
        self.calls: list[str] = []

    def get_route(self, service: str):
        return {"route": self.route.as_dict()} if self.route else None

    def put_route(self, route: Route, **_more):
        self.route = route
        self.calls.append("put_route")
        return {"instances": [], "applied": "runtime"}

    def drain(self, service, addresses, seconds):
        self.calls.append("drain")

    def resume(self, service, addresses):
        self.calls.append("resume")


@pytest.fixture
def context(an_instance):
    """``context(route)`` has a proxy with this route, and a registry that shows one instance."""

    def make(route: Route | None = ROUTE) -> Context:
        registry = SimpleNamespace(instances=lambda _name: ([an_instance(32768)], 1))
        return Context(settings.resolve({}), Console(io.StringIO()), registry, Proxy(route), Deadline(20))

    return make


def project(target: Service = FREE, *more: Service) -> ComposeProject:
    return ComposeProject("books", {service.name: service for service in (target, Service("db"), *more)})


def ready(orchestrator) -> Ready:
    found = orchestrator.validate()
    return Ready(orchestrator, found, found.services["app"])


@pytest.fixture
def other_projects(monkeypatch):
    """``other_projects["books-blue"]`` is the project that is found by that name; an empty one where there is none."""
    made: dict[str, InMemoryCompose] = {}

    def find(_context, name: str, _kind: str) -> InMemoryCompose:
        return made.setdefault(name, InMemoryCompose(ComposeProject(name, {"app": FREE})))

    monkeypatch.setattr(colors, "orchestrator", find)
    return made


@pytest.mark.parametrize(
    ("asked", "target", "strategy", "reason"),
    [
        pytest.param("auto", FREE, Rolling, "new containers can run beside the old ones", id="rolling where it can"),
        pytest.param("auto", FIXED, Recreate, "the old ones: app publishes the fixed host port 80", id="fixed"),
        pytest.param("rolling", FREE, Rolling, "asked for", id="rolling"),
        pytest.param("rolling", FIXED, Recreate, "instead of rolling, as new containers", id="rolling, fixed"),
        pytest.param("blue-green", FIXED, Recreate, "instead of blue-green, as new", id="blue-green, fixed"),
        pytest.param("blue-green", FREE, BlueGreen, "asked for", id="blue-green"),
        pytest.param("recreate", FREE, Recreate, "asked for", id="recreate"),
    ],
)
def test_on_compose(context, other_projects, asked, target, strategy, reason):
    options = DeployOptions("books-ms", "books", route=ROUTE, strategy=asked)

    chosen = select.select(options, context(), ready(InMemoryCompose(project(target))))

    assert type(chosen) is strategy
    assert reason in chosen.reason


def test_what_others_need_in_their_project_is_not_moved_into_another(context):
    options = DeployOptions("books-ms", "books", route=ROUTE, strategy="blue-green")
    found = project(FREE, Service("web", needs=frozenset({"app"})))

    chosen = select.select(options, context(), ready(InMemoryCompose(found)))

    assert type(chosen) is Rolling
    assert chosen.reason == "instead of blue-green: web needs app in the same project"


@pytest.mark.parametrize(
    ("asked", "target", "served", "routed", "strategy", "name"),
    [
        pytest.param("auto", FREE, True, True, SwarmRolling, "rolling", id="users are handed over"),
        pytest.param("auto", FREE, False, True, Recreate, "recreate", id="nothing runs"),
        pytest.param("auto", FREE, True, False, Recreate, "recreate", id="nobody comes through the proxy"),
        pytest.param("rolling", FREE, False, False, Recreate, "recreate", id="the first deploy"),
        pytest.param("recreate", FREE, True, True, Recreate, "recreate", id="recreate"),
        pytest.param("rolling", FIXED, True, True, Recreate, "recreate", id="fixed"),
    ],
)
def test_on_a_stack(context, a_container, asked, target, served, routed, strategy, name):
    stack = InMemoryStack(project(target), *([a_container("books_app.1", 32768)] if served else []))
    options = DeployOptions("books-ms", "books", route=ROUTE, strategy=asked)

    chosen = select.select(options, context(ROUTE if routed else None), ready(stack))

    assert type(chosen) is strategy
    assert (chosen.name, chosen.record().strategy) == (name, name)
    assert chosen.reason


def test_a_standby_that_was_left_is_served_from_on_a_stack(context, a_container):
    stack = InMemoryStack(project(), a_container("books_app-standby.1", 32768, service="app-standby"))

    chosen = select.select(DeployOptions("books-ms", "books", route=ROUTE), context(), ready(stack))

    assert type(chosen) is SwarmRolling


def test_without_the_proxy_nobody_is_handed_over_on_a_stack(context, a_container):
    stack = InMemoryStack(project(), a_container("books_app.1", 32768))

    assert type(select.select(DeployOptions("books-ms", "books"), context(), ready(stack))) is Recreate


def test_what_serves_before_a_change_of_color(context, other_projects, a_container):
    serving = a_container("books-blue_app_1", 32768, project="books-blue")
    other_projects["books-blue"] = InMemoryCompose(ComposeProject("books-blue", {"app": FREE}), serving)
    options = DeployOptions("books-ms", "books", route=ROUTE, strategy="blue-green")
    blue = Route("books-ms", ("/api",), color="blue")

    chosen = select.select(options, context(blue), ready(InMemoryCompose(project())), count=0)

    assert chosen.route.color == "green"
    assert chosen.registry_name == "books-ms-green"
    assert chosen.before.others == (serving,)
    assert chosen.wanted == 1
    reverted = chosen.revert(context(blue))
    assert (reverted.orchestrator, reverted.containers) == (other_projects["books-blue"], (serving,))
    assert other_projects["books-green"].calls == ["restore"]


def record(strategy: str, phase: str, *old: str, route: Route | None = ROUTE) -> DeployRecord:
    return DeployRecord(strategy, phase, "books", "app", old, 1, route, "now")


@pytest.mark.parametrize(
    ("strategy", "phase", "gone", "proxied"),
    [
        pytest.param("rolling", PROVING, ["new"], ["put_route", "resume"], id="the unproven new ones go"),
        pytest.param("rolling", RETIRING, ["old"], [], id="the old ones go, as they would have"),
        pytest.param("blue-green", PROVING, ["new"], ["put_route", "resume"], id="the unproven color goes"),
        pytest.param("blue-green", RETIRING, [], [], id="the old color goes with the next deploy"),
        pytest.param("recreate", PROVING, [], [], id="there is nothing to go back to"),
        pytest.param("of a later version", PROVING, [], [], id="what is not known is left alone"),
    ],
)
def test_a_deploy_that_was_broken_off_is_resumed_by_its_strategy(
    context, other_projects, a_container, strategy, phase, gone, proxied
):
    old, new = a_container("old", 32768), a_container("new", 32769)
    other_projects["books"] = compose = InMemoryCompose(project(), old, new)
    here = context()

    select.resume(record(strategy, phase, old.id), "books-ms", here, ready(InMemoryCompose(project())))

    assert [call for call in compose.calls if call.startswith("remove")] == [f"remove {name}" for name in gone]
    assert [call for call in here.proxy.calls if call != "drain"] == proxied


def test_a_rolling_deploy_without_old_ones_is_finished_by_the_next(context, other_projects, a_container):
    other_projects["books"] = compose = InMemoryCompose(project(), a_container("new", 32769))

    select.resume(record("rolling", PROVING), "books-ms", context(), ready(InMemoryCompose(project())))

    assert compose.calls == []


@pytest.mark.parametrize("left", [None, record("recreate", PROVING, route=None), record("rolling", PROVING)])
def test_on_a_stack_a_standby_is_all_that_users_have_until_the_own_containers_run(context, a_container, left):
    stack = InMemoryStack(project(), a_container("books_app-standby.1", 32768, service="app-standby"))

    select.resume(left, "books-ms", context(), ready(stack))

    assert stack.calls == []


def test_without_a_record_nothing_is_done_on_compose(context, other_projects):
    select.resume(None, "books-ms", context(), ready(InMemoryCompose(project())))

    assert other_projects == {}

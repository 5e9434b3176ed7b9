"""Which strategy runs is decided once, by what is asked for and what serves; and who resumes a deploy broken off."""

from __future__ import annotations

import dataclasses
import io
from types import SimpleNamespace

import pytest

from jenkins_proxy import settings
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.context import Context, DeployOptions, Ready
from jenkins_proxy.deployment.steps.hold import Hold
from jenkins_proxy.deployment.strategies import colors, select, swarm_rolling
from jenkins_proxy.deployment.strategies.blue_green import BlueGreen
from jenkins_proxy.deployment.strategies.record import PROVING, RETIRING, DeployRecord
from jenkins_proxy.deployment.strategies.recreate import Recreate
from jenkins_proxy.deployment.strategies.rolling import Rolling
from jenkins_proxy.deployment.strategies.swarm_rolling import SwarmBlueGreen, SwarmRolling
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.orchestrator.project import ComposeProject, Port, Service
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

    def drain(self, service, addresses, seconds, stream_seconds, **_more):
        self.calls.append("drain")
        return {}

    def resume(self, service, addresses, **_more):
        self.calls.append("resume")
        return {}


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


@pytest.mark.parametrize("asked", ["auto", "rolling", "blue-green"])
def test_a_volume_without_a_name_is_kept_by_recreate_only(context, other_projects, asked):
    compose = InMemoryCompose(project())
    compose.paths = ("/data",)

    chosen = select.select(DeployOptions("books-ms", "books", route=ROUTE, strategy=asked), context(), ready(compose))

    assert type(chosen) is Recreate
    keeps = "app keeps data in a volume without a name (/data), which only recreate takes over"
    assert chosen.reason.endswith(keeps)


@pytest.mark.parametrize(("asked", "color"), [("blue-green", ""), ("rolling", "green")])
def test_what_another_project_serves_is_not_taken_over_across_colors(
    context, other_projects, a_container, asked, color
):
    options = DeployOptions("books-ms", "books", route=ROUTE, strategy=asked)
    found = ready(InMemoryCompose(project()))
    adopting = dataclasses.replace(found, adopted=(a_container("app-1", 32768, project="other"),))

    with pytest.raises(UsageError, match="--adopt takes other over in the project that serves"):
        select.select(options, context(dataclasses.replace(ROUTE, color=color)), adopting)


def test_what_others_need_in_their_project_is_not_moved_into_another(context):
    options = DeployOptions("books-ms", "books", route=ROUTE, strategy="blue-green")
    found = project(FREE, Service("web", needs=frozenset({"app"})))

    chosen = select.select(options, context(), ready(InMemoryCompose(found)))

    assert type(chosen) is Rolling
    assert chosen.reason == "instead of blue-green: web needs app in the same project"


def test_no_strategy_keeps_a_volume_without_a_name_on_a_stack(context, a_container):
    stack = InMemoryStack(project(), a_container("books_app.1", 32768))
    stack.paths = ("/data",)
    said = io.StringIO()
    now = dataclasses.replace(context(), console=Console(said))

    assert type(select.select(DeployOptions("books-ms", "books", route=ROUTE), now, ready(stack))) is SwarmRolling
    assert "(/data): each new task on a Swarm begins with an empty one" in said.getvalue()


@pytest.mark.parametrize(
    ("asked", "target", "served", "routed", "strategy", "name"),
    [
        pytest.param("auto", FREE, True, True, SwarmRolling, "rolling", id="users are handed over"),
        pytest.param("auto", FREE, False, True, Recreate, "recreate", id="nothing runs"),
        pytest.param("auto", FREE, True, False, Recreate, "recreate", id="nobody comes through the proxy"),
        pytest.param("rolling", FREE, False, False, Recreate, "recreate", id="the first deploy"),
        pytest.param("blue-green", FREE, True, True, SwarmBlueGreen, "blue-green", id="all users at once"),
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


def record(strategy: str, phase: str, *old: str, route: Route | None = ROUTE, **more) -> DeployRecord:
    return DeployRecord(strategy, phase, "books", "app", old, 1, route, "now", **more)


def hold(*serving: int, promoted: bool = False) -> Hold:
    return Hold("1a2b3c4d", ROUTE, frozenset(f"10.0.0.1:{port}" for port in serving), promoted=promoted)


OLD_SERVES, NEW_SERVES, BOTH_SERVE = hold(32768), hold(32769, promoted=True), hold(32768, 32769, promoted=True)


@pytest.mark.parametrize(
    ("strategy", "phase", "held", "gone"),
    [
        pytest.param("rolling", PROVING, OLD_SERVES, ["new with its volumes"], id="the candidates go"),
        pytest.param(
            "rolling", PROVING, None, ["new with its volumes"], id="without a hold, too: users have no route to them"
        ),
        pytest.param("rolling", PROVING, NEW_SERVES, ["old"], id="once promoted the old ones go"),
        pytest.param("rolling", PROVING, BOTH_SERVE, [], id="between two batches both serve"),
        pytest.param("rolling", RETIRING, NEW_SERVES, ["old"], id="the old ones go, as they would have"),
        pytest.param("rolling", RETIRING, None, ["old"], id="the hold had ended already"),
        pytest.param("blue-green", PROVING, OLD_SERVES, ["new with its volumes"], id="the unproven color goes"),
        pytest.param("blue-green", RETIRING, NEW_SERVES, ["old"], id="the old color goes"),
        pytest.param("scale", PROVING, OLD_SERVES, ["new with its volumes"], id="what a scaling has started goes"),
        pytest.param("scale", PROVING, BOTH_SERVE, [], id="what a scaling has promoted stays"),
        pytest.param("recreate", PROVING, OLD_SERVES, [], id="there is nothing to go back to"),
        pytest.param("of a later version", PROVING, OLD_SERVES, [], id="what is not known is left alone"),
    ],
)
def test_a_deploy_that_was_broken_off_is_resumed_by_its_strategy(
    context, other_projects, a_container, strategy, phase, held, gone
):
    old, new = a_container("old", 32768), a_container("new", 32769)
    other_projects["books"] = compose = InMemoryCompose(project(), old, new)

    select.resume(record(strategy, phase, old.id), context(), "compose-v2", held)

    assert [call for call in compose.calls if call.startswith("remove")] == [f"remove {name}" for name in gone]


@pytest.mark.parametrize(("keep_old", "gone"), [(False, ["remove old"]), (True, [])])
def test_the_old_color_is_in_another_project(context, other_projects, a_container, keep_old, gone):
    old, new = a_container("old", 32768, project="books-blue"), a_container("new", 32769)
    other_projects["books"] = InMemoryCompose(project(), new)
    other_projects["books-blue"] = blue = InMemoryCompose(ComposeProject("books-blue", {"app": FREE}), old)
    left = record("blue-green", RETIRING, old.id, elsewhere="books-blue", keep_old=keep_old)

    select.resume(left, context(), "compose-v2", NEW_SERVES)

    assert [call for call in blue.calls if call.startswith("remove")] == gone


def test_what_no_user_has_met_of_a_first_deploy_goes(context, other_projects, a_container):
    other_projects["books"] = compose = InMemoryCompose(project(), a_container("new", 32769))

    select.resume(record("rolling", PROVING), context(), "compose-v2", hold())

    assert "remove new with its volumes" in compose.calls


def resume_on_swarm(context, stack, held: Hold | None, known=None):
    def take_over(_route):
        raise AssertionError("no hold of our own was needed")

    return swarm_rolling.resume_on_swarm(context(), stack, "app", ROUTE, hold=held, known=known, take_over=take_over)


@pytest.mark.parametrize("held", [None, OLD_SERVES, NEW_SERVES])
def test_on_a_stack_a_standby_is_all_that_users_have_until_the_own_containers_run(context, a_container, held):
    stack = InMemoryStack(project(), a_container("books_app-standby.1", 32768, service="app-standby"))

    resume_on_swarm(context, stack, held, known=("1",))

    assert stack.calls == []


def test_on_a_stack_a_standby_that_no_user_has_met_goes(context, a_container):
    standby = a_container("books_app-standby.1", 32769, service="app-standby")
    stack = InMemoryStack(project(), a_container("books_app.1", 32768), standby)

    resume_on_swarm(context, stack, OLD_SERVES, known=("1",))

    assert stack.calls == ["remove_standby app"]


def test_on_a_stack_a_first_release_that_no_user_has_met_goes(context, a_container):
    stack = InMemoryStack(project(), a_container("books_app.1", 32768))

    resume_on_swarm(context, stack, hold(), known=())

    assert stack.calls == ["restore"]

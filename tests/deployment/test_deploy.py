"""What a deploy returns when it fails on the way: an outcome, with what serves then. Real ones are in tests/system."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from jenkins_proxy import settings
from jenkins_proxy.console import Console
from jenkins_proxy.deployment import deploy
from jenkins_proxy.deployment.context import Context, DeployOptions, Ready
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.steps.lock import LockLost
from jenkins_proxy.deployment.strategies.base import RETIRING
from jenkins_proxy.deployment.strategies.select import select
from jenkins_proxy.deployment.timing import Timing
from jenkins_proxy.errors import DeployFailed, ProbeFailed, Stopped
from jenkins_proxy.model import Address, Route
from jenkins_proxy.orchestrator.compose_project import ComposeProject, Port, Service
from jenkins_proxy.retry import Deadline
from tests.fixtures.orchestrators import InMemoryCompose

ROUTE = Route("books-ms", ("/api",))
PROJECT = ComposeProject("books", {"app": Service("app", ports=(Port(8080),))})


class Registry:
    """It shows the one instance, and has keys."""

    def __init__(self, instance) -> None:
        self.instance = instance
        self.keys: dict[str, bytes] = {}

    def leader(self) -> str:
        return "10.0.0.1:8300"

    def instances(self, _name, *, index=0, wait=0.0):
        return [self.instance], index + 1

    def kv_get(self, key):
        return SimpleNamespace(value=self.keys[key]) if key in self.keys else None

    def kv_put(self, key, value):
        self.keys[key] = value

    def kv_delete(self, key):
        del self.keys[key]


class Proxy:
    """It has no route at first."""

    def __init__(self) -> None:
        self.route: Route | None = None

    def get_route(self, _service):
        return {"route": self.route.as_dict()} if self.route else None

    def put_route(self, route, **_more):
        self.route = route
        return {"instances": [], "applied": "runtime", "probe": {}}

    def remove_route(self, _service):
        self.route = None


class Starting(InMemoryCompose):
    """Its first ``up`` starts the one container, or fails after that."""

    def __init__(self, container, failure: BaseException | None = None) -> None:
        super().__init__(PROJECT)
        self.container, self.failure = container, failure

    def up(self, services=(), *, scale=None, deadline) -> None:
        super().up(services, scale=scale, deadline=deadline)
        self.present = [self.container]
        if self.failure:
            raise self.failure


@pytest.fixture
def context(an_instance, free_port):
    """With an entry where nobody listens, and little patience for it."""
    resolved = settings.resolve({"entry": f"http://127.0.0.1:{free_port()}"})
    console, registry = Console(io.StringIO()), Registry(an_instance(32768))
    return Context(resolved, console, registry, Proxy(), Deadline(20), timing=Timing(probe=0.1))


@pytest.fixture
def deployment(context, a_container):
    """``deployment(lost, failure)`` is a first deploy, by recreate, that is about to begin."""

    def make(lost: Exception | None = None, failure: BaseException | None = None, route: Route | None = ROUTE):
        def ensure_held() -> None:
            if lost:
                raise lost

        orchestrator = Starting(a_container("books_app_1", 32768), failure)
        ready = Ready(orchestrator, PROJECT, PROJECT.services["app"])
        strategy = select(DeployOptions("books-ms", "books", route=route, strategy="recreate"), context, ready)
        intent_log = IntentLog(context.registry, "books-ms")
        intent_log.begin(strategy.record())
        return deploy._Deployment(strategy, context, SimpleNamespace(ensure_held=ensure_held), intent_log)

    return make


def test_nothing_is_reverted_once_the_lock_is_lost(deployment, context):
    begun = deployment(lost=LockLost("it was lost"))

    ended = begun.replace(Outcome())

    assert isinstance(ended.error, LockLost)
    assert (ended.phase, ended.reverted) == ("reconfigure", False)
    assert ended.text == "not rolled back: what serves is now the other deploy's to decide"
    assert "restore" not in begun.strategy.orchestrator.calls
    assert begun.intent_log.read() is not None


@pytest.mark.parametrize(
    ("failure", "phase", "text"),
    [
        pytest.param(DeployFailed("no image"), "bring_up", "no image", id="an error"),
        pytest.param(Stopped("SIGTERM"), "bring_up", "stopped by SIGTERM", id="a signal"),
        pytest.param(KeyError("a bug"), "bring_up", "KeyError('a bug')", id="a bug"),
        pytest.param(None, "probe", "connection refused", id="a probe that nobody answers"),
    ],
)
def test_what_fails_is_reverted_and_returned(deployment, context, failure, phase, text):
    begun = deployment(failure=failure)

    ended = begun.replace(Outcome(strategy="recreate"))

    assert ended.error is failure or isinstance(ended.error, ProbeFailed)
    assert (ended.strategy, ended.phase, ended.reverted) == ("recreate", phase, True)
    assert ended.text == "rolled back: nothing had served before, and what was started is removed"
    assert (ended.instances, ended.route, ended.url) == ((), None, "")
    assert [container.container for container in ended.failing] == ["books_app_1"]
    assert begun.strategy.orchestrator.present == []
    assert context.proxy.route is None
    assert begun.intent_log.read() is None
    assert text in context.console._stream.getvalue()


def test_a_deploy_past_the_proxy_ends_with_its_instances(deployment):
    begun = deployment(route=None)

    ended = begun.finish(begun.replace(Outcome()))

    assert ended.error is None
    assert ended.addresses == [Address("10.0.0.1", 32768)]
    assert begun.intent_log.read() is None


def test_what_fails_once_the_new_ones_serve_is_not_reverted(deployment, monkeypatch):
    begun = deployment(route=None)
    served = begun.replace(Outcome())

    def fail() -> None:
        raise DeployFailed("the engine is away")

    monkeypatch.setattr(begun.strategy, "finish", fail)
    ended = begun.finish(served)

    assert isinstance(ended.error, DeployFailed)
    assert (ended.phase, ended.reverted) == ("retire", False)
    assert ended.text == "the new instances serve, and what is left of the old ones goes with the next deploy"
    assert ended.instances == served.instances
    assert begun.intent_log.read().phase == RETIRING

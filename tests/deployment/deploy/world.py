"""A registry, a proxy and a compose project for deploys: all of it in memory."""

from __future__ import annotations

from types import SimpleNamespace

from jenkins_proxy.model import Route
from jenkins_proxy.orchestrator.project import ComposeProject, Port, Service
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

    def missing_rights(self, _part: str) -> list:
        return []

    def instances(self, _name, *, index=0, wait=0.0):
        return [self.instance], index + 1

    def kv_get(self, key):
        return SimpleNamespace(value=self.keys[key]) if key in self.keys else None

    def kv_put(self, key, value):
        self.keys[key] = value

    def kv_delete(self, key):
        del self.keys[key]


class Proxy:
    """It has no route at first, and notes what becomes of a hold."""

    def __init__(self) -> None:
        self.route: Route | None = None
        self.calls: list[str] = []

    def hold(self, route, **_more):
        self.calls.append("hold")
        return {"id": "1a2b3c4d", "serving": [], "since": 0.0, "until": 1800.0}

    def promote(self, _service, _id, addresses, **_more):
        self.calls.append(f"promote {', '.join(map(str, addresses))}")
        return {"proxies": {"one": "serves"}}

    def demote(self, _service, _id, **_more):
        self.calls.append("demote")
        return {}

    def end_hold(self, _service, _id, **_more):
        self.calls.append("end_hold")
        return {}

    def count_users(self, _service, _id):
        self.calls.append("count_users")

    def users(self, _service):
        return self.met

    def stop_counting(self, _service, _id):
        return self.met

    met = {"requests": 10, "failed": 1, "p99_ms": 2.0, "exact": True}  # noqa: RUF012 - nobody changes it

    def drain(self, *_words, **_more):
        self.calls.append("drain")
        return {}

    def get_route(self, _service):
        return {"route": self.route.as_dict()} if self.route else None

    def put_route(self, route, **_more):
        self.route = route
        return {"instances": [], "applied": "runtime", "probe": {}}

    def remove_route(self, _service, **_more):
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

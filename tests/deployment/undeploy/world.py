"""An engine's projects behind a registry and a proxy, for undeploys: all of it in memory."""

from __future__ import annotations

from types import SimpleNamespace

from jenkins_proxy.deployment.removal import plan
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.model import Route
from jenkins_proxy.orchestrator.project import ComposeProject
from tests.fixtures.orchestrators import InMemoryCompose

ROUTE = Route("books-ms", ("/api",))
LABELS = {plan.NEEDS: "db:service_started:true"}
NOTHING = {plan.NEEDS: ""}


class Registry:
    """Entries by service; an agent takes those out whose containers are gone, unless it is away."""

    def __init__(self, world) -> None:
        self.world, self.away, self.refuses = world, False, False
        self.entries: dict[str, list] = {}
        self.keys: dict[str, bytes] = {}

    def leader(self):
        return "10.0.0.1:8300"

    def missing_rights(self, _part):
        return []

    def instances(self, name, **_more):
        there = {container.name for one in self.world.projects.values() for container in one.present}
        found = self.entries.get(name, [])
        return [i for i in found if self.away or i.id.split(":")[1] in there], 1

    def deregister(self, entry_id):
        if self.refuses:
            raise RegistryError("Permission denied")
        self.world.calls.append(f"deregister {entry_id}")
        for name, found in self.entries.items():
            self.entries[name] = [instance for instance in found if instance.id != entry_id]

    def kv_get(self, key):
        return SimpleNamespace(value=self.keys[key]) if key in self.keys else None

    def kv_put(self, key, value):
        self.keys[key] = value

    def kv_delete(self, key):
        self.keys.pop(key, None)


class Proxy:
    """It has the route, and notes what becomes of it."""

    def __init__(self, world) -> None:
        self.world, self.route = world, ROUTE
        self.others: dict[str, int] = {}

    def routes(self):
        there = {"books-ms": 32768, **self.others}
        return [
            {"service": name, "instances": [{"address": "10.0.0.1", "port": port, "serving": True}]}
            for name, port in there.items()
        ]

    def get_route(self, _service):
        return {"route": self.route.as_dict()} if self.route else None

    def drain(self, _service, addresses, *_seconds, proxies):
        self.world.calls.append(f"drain {', '.join(map(str, addresses))}")
        return {"proxies": {"here": "serves"}}

    def remove_route(self, _service, *, dry_run=False, proxies=0.0):
        there = self.route is not None
        if not dry_run:
            self.world.calls.append("remove the route")
            self.route = None
        return {"removed": True, "proxies": {"here": "serves"}} if there else None


class World:
    """The projects of one engine, behind one registry and one proxy; ``calls`` is all that was done, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.projects: dict[str, InMemoryCompose] = {}
        self.registry, self.proxy = Registry(self), Proxy(self)

    def add(self, kind, name, *containers):
        made = kind(ComposeProject(name, {}), *containers)
        made.calls = self.calls
        self.projects[name] = made
        return made

    def orchestrator(self, _context, name, _kind):
        return self.projects.get(name) or self.add(InMemoryCompose, name)

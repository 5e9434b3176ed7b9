"""A stack, its registry and its proxy in memory: each call is a moment at which the command may be stopped or killed.

A Swarm goes on by itself: a service whose definition has changed gets its tasks replaced one by one, whether or not
somebody waits for that.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import time
from collections.abc import Callable
from types import SimpleNamespace

from jenkins_proxy import settings
from jenkins_proxy.console import Console
from jenkins_proxy.deployment import deploy
from jenkins_proxy.deployment.context import Context, DeployOptions, Ready
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.timing import Timing
from jenkins_proxy.model import Address, Binding, Container, Instance
from jenkins_proxy.orchestrator.base import Snapshot
from jenkins_proxy.proxy.holds import Hold, Holder, parse_hold
from jenkins_proxy.retry import Deadline
from tests.deployment.deploy.world import PROJECT, ROUTE
from tests.fixtures.orchestrators import InMemoryStack

HOST = "10.0.0.1"
SERVICE = ROUTE.service
HOLD_KEY = f"jenkins-proxy/holds/{SERVICE}"


class Killed(BaseException):
    """SIGKILL: nothing of ours runs any more, whatever it is about to do."""


@dataclasses.dataclass
class Moments:
    """The calls of one command, and what strikes it at one of them.

    :ivar stop: raised at the call with this number, once; :ivar kill: from that call on nothing is done any more.
    """

    strike: BaseException | None = None
    at: int = -1
    kill: int = -1
    number: int = -1
    look: Callable[[], None] = lambda: None

    def pass_one(self) -> None:
        self.number += 1
        if 0 <= self.kill <= self.number:
            raise Killed
        self.look()
        if self.number == self.at and self.strike:
            raise self.strike


class Cluster(InMemoryStack):
    """The stack, the registry's entries and keys, and the proxy; ``version`` is what the file says."""

    def __init__(self) -> None:
        super().__init__(PROJECT)
        self.version = 1
        self.specs: dict[str, tuple[int, int]] = {}
        self.keys: dict[str, bytes] = {}
        self.route = None
        self.drained: set[int] = set()
        self.ports = itertools.count(32768)
        self.holds = itertools.count(1)
        self.moments = Moments()

    # The Swarm.

    def _step(self) -> bool:
        """One task comes or goes; False where all is as it shall be."""
        for service, (version, count) in self.specs.items():
            tasks = self.containers(service)
            fresh = [task for task in tasks if task.image == f"books:{version}"]
            if len(fresh) < count:
                port = next(self.ports)
                self.present.append(
                    Container(
                        id=f"{port:064x}",
                        name=f"books_{service}.{port}",
                        service=service,
                        project="books",
                        image=f"books:{version}",
                        state="running",
                        node_addresses=(HOST,),
                        bindings=(Binding("0.0.0.0", port, 8080),),  # noqa: S104 - as Docker shows it
                    )
                )
                return True
            if len(tasks) > count:
                self.present.remove(next(task for task in tasks if task not in fresh[:count]))
                return True
        gone = [task for task in self.present if task.service not in self.specs]
        if gone:
            self.present.remove(gone[0])
        return bool(gone)

    def settle(self) -> None:
        """Nobody stops what has begun."""
        while self._step():
            pass

    def _tick(self) -> None:
        self.moments.pass_one()
        self._step()

    def _wait(self) -> None:
        self._tick()
        while self._step():
            self._tick()

    def up(self, services=(), *, scale=None, deadline) -> None:
        self._tick()
        for service in services:
            self.specs[service] = (self.version, (scale or {}).get(service, 1))
        self._wait()

    def start_needs(self, services, *, done=(), deadline) -> None:
        self._tick()

    def start_standby(self, service, count, *, deadline):
        self.up([f"{service}-standby"], scale={f"{service}-standby": count}, deadline=deadline)
        return self.standby(service)

    def remove_standby(self, service, *, deadline) -> None:
        self._tick()
        self.specs.pop(f"{service}-standby", None)
        self._wait()

    def snapshot(self, service):
        spec = self.specs.get(service)
        return Snapshot(service, tuple(self.containers(service)), ({"spec": spec},) if spec else ())

    def restore(self, before, *, deadline):
        self._tick()
        for one in before:
            if one.definitions:
                self.specs[one.service] = one.definitions[0]["spec"]
            else:
                self.specs.pop(one.service, None)
        self._wait()
        return [task for one in before for task in self.containers(one.service)]

    # The registry.

    def leader(self) -> str:
        self._tick()
        return "10.0.0.1:8300"

    def instances(self, _name, *, index=0, wait=0.0):
        self._tick()
        return [
            Instance(SERVICE, f"node-1:{task.name}:8080", Address(HOST, _port(task)), "consul") for task in self.present
        ], index + 1

    def kv_get(self, key):
        self._tick()
        return SimpleNamespace(value=self.keys[key]) if key in self.keys else None

    def kv_put(self, key, value) -> None:
        self._tick()
        self.keys[key] = value
        self._tick()

    def kv_delete(self, key) -> None:
        self._tick()
        self.keys.pop(key, None)
        self._tick()

    # The proxy.

    def held(self) -> Hold | None:
        """The hold as the proxies have it."""
        if HOLD_KEY not in self.keys:
            return None
        return parse_hold(SERVICE, self.keys[HOLD_KEY], 1)

    def _keep(self, hold: Hold | None) -> dict:
        self._tick()
        if hold is None:
            self.keys.pop(HOLD_KEY, None)
        else:
            self.keys[HOLD_KEY] = json.dumps(hold.as_dict()).encode()
        self._tick()
        return {"proxies": {"one": "serves"}}

    def serving(self) -> list[str]:
        """The images that users meet."""
        held = self.held()
        tasks = [task for task in self.present if _port(task) not in self.drained]
        if held:
            ports = {address.port for address in held.serving}
            tasks = [task for task in tasks if _port(task) in ports]
        routed = self.route or (held and held.promoted)
        return sorted({task.image for task in tasks}) if routed else []

    def hold(self, route, *, key_sha256, holder, timeout, replace, before, proxies):
        held = self.held()
        assert held is None or held.id == replace, "somebody else's hold is replaced by the one who names it only"
        now = time.time()
        proven = before
        if before is None:
            proven = held.serving if held else [Address(HOST, _port(task)) for task in self.present]
        if held and held.promoted:
            self.route = held.route
        new = Hold(
            f"{next(self.holds):08x}",
            key_sha256,
            route,
            Holder(holder["name"], holder["build"], holder["kept"]),
            since=now,
            until=now + timeout,
            before=tuple(proven),
            serving=tuple(proven),
        )
        return {**self._keep(new), "id": new.id, "serving": list(map(str, proven)), "since": now, "until": new.until}

    def promote(self, _service, hold_id, addresses, *, keep, timeout):
        held = self._own(hold_id)
        return self._keep(held.promote((*addresses, *keep)))

    def demote(self, _service, hold_id, *, proxies):
        return self._keep(self._own(hold_id).demote())

    def end_hold(self, _service, hold_id, *, proxies):
        held = self.held()
        if held is None or held.id != hold_id:
            return {}
        if held.promoted:
            self.route = held.route
        return self._keep(None)

    def _own(self, hold_id: str) -> Hold:
        held = self.held()
        assert held is not None and held.id == hold_id, "the hold is over"
        return held

    def drain(self, _service, addresses, _seconds, _streams, *, proxies):
        self._tick()
        self.drained |= {address.port for address in addresses}
        self._tick()
        return {}

    def resume(self, _service, addresses, *, proxies):
        self._tick()
        self.drained -= {address.port for address in addresses}
        self._tick()
        return {}

    def count_users(self, _service, _id) -> None:
        self._tick()

    def stop_counting(self, _service, _id):
        self._tick()
        return {"requests": 10, "failed": 0, "p99_ms": 2.0, "exact": True}

    def get_route(self, _service):
        self._tick()
        return {"route": self.route.as_dict()} if self.route else None

    def put_route(self, route, **_more):
        self._tick()
        self.route = route
        self._tick()
        return {"instances": [], "applied": "runtime", "probe": {}}

    def remove_route(self, _service, **_more) -> None:
        self._tick()
        self.route = None
        self._tick()

    # A command.

    def deploy(self, moments: Moments | None = None, *, hold: bool = False) -> tuple[Outcome, str]:
        """Deploy what the file says, from where the lock is held: what became of it, and its console."""
        self.moments = moments or Moments()
        console = Console(io.StringIO())
        timing = Timing(poll=0.01, stale_grace=0.0)
        context = Context(settings.resolve({}), console, self, self, Deadline(20), timing=timing)
        held = SimpleNamespace(ensure_held=lambda: None)
        options = DeployOptions(SERVICE, "books", route=ROUTE, scale=2, hold=hold)
        ready = Ready(self, PROJECT, PROJECT.services["app"], route=ROUTE)
        outcome = deploy._deploy_locked(options, context, ready, held, Outcome(text="nothing was changed"))
        return outcome, console._stream.getvalue()


def _port(task: Container) -> int:
    return task.bindings[0].host_port

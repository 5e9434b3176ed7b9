"""A proxy service that stands in where a test is about the API alone: its states and its failures can be told."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Collection, Mapping

import pytest

from jenkins_proxy import releases
from jenkins_proxy.certificate_files import CertificateFile, CertificateFiles
from jenkins_proxy.clients.consul.models import KvPair
from jenkins_proxy.errors import RegistryError, UsageError
from jenkins_proxy.model import Address, Instance, Route
from jenkins_proxy.proxy.certificates.certificate import Certificate
from jenkins_proxy.proxy.certificates.service import CertificateState
from jenkins_proxy.proxy.holds import Hold, Holder
from jenkins_proxy.proxy.models import (
    ConflictError,
    InstanceState,
    NotCertifiedError,
    NotCountedError,
    NotRoutedError,
    Progress,
    ProxyState,
    Removal,
    RouteState,
    ServedInstance,
)
from jenkins_proxy.proxy.service.admission import refuse_conflict, refuse_unbound
from jenkins_proxy.proxy.service.hold_service import HoldRequest, HoldState
from jenkins_proxy.proxy.service.take_over import remainders
from jenkins_proxy.proxy.telemetry.user_counts import Counts, duration_class
from jenkins_proxy.releases import Release

PROGRESS = {"one": Progress.SERVES, "two": Progress.LAGS}


class StandIn:
    """The proxy service's methods over a dictionary. ``failure`` is raised by the next call that changes something,
    and a route of the service ``failing`` has no instance."""

    def __init__(self) -> None:
        self.probe_key = "the-probe-key"
        self.routes: dict[str, RouteState] = {}
        self.calls: list[tuple] = []
        self.waits: list[float | None] = []
        self.failure: Exception | None = None
        self.failing = ""
        self.tcp_ports: set[str] = set()
        self.proxy = ProxyState(version=7, serving=True, routes=())
        self.called = asyncio.Event()

    def _called(self, *call: object) -> None:
        self.calls.append(call)
        self.called.set()
        failure, self.failure = self.failure, None
        if failure:
            raise failure

    async def put(
        self,
        route: Route,
        *,
        allow_empty: bool = False,
        dry_run: bool = False,
        wait: float | None = None,
        take_over: bool = False,
        instead_of: Collection[str] = (),
        proxies: float | None = None,
    ) -> RouteState:
        self._called("put", route, allow_empty, dry_run, *(["take over"] if take_over else []))
        await asyncio.sleep(0)  # as other calls go on meanwhile
        refuse_unbound(route, {route.src_port}, self.tcp_ports)
        taken = self.taken_by(route, instead_of) if take_over else {}
        refuse_conflict(route, self._others({*taken, *instead_of}))
        if route.service == self.failing:
            raise ConflictError(f"no live instance of {self.failing}")
        self.waits.append(proxies)
        state = RouteState(route, 3, served(route.service), "reload", {"reload": 0.0123}, diff="+ a line" * dry_run)
        if not dry_run:
            self.routes[route.service] = state
            for service, left in taken.items():
                if left is None:
                    del self.routes[service]
                else:
                    self.routes[service] = dataclasses.replace(self.routes[service], route=left)
            return dataclasses.replace(state, proxies=PROGRESS)
        return state

    def taken_by(self, route: Route, instead_of: Collection[str] = ()) -> Mapping[str, Route | None]:
        return remainders(route, self._others(instead_of))

    def _others(self, without: Collection[str]) -> list[Route]:
        return [state.route for name, state in self.routes.items() if name not in without]

    def parts(self, service: str) -> list[str]:
        return [name for name, state in self.routes.items() if state.route.part_of == service]

    def text(self) -> str:
        return "\n".join(self.routes)

    def removal(self, service: str) -> str:
        self._called("removal", service)
        if service not in self.routes:
            raise NotRoutedError(f"there is no route of {service}")
        return "- a line"

    async def remove(self, service: str, proxies: float | None = None) -> Removal:
        self._called("remove", service)
        await asyncio.sleep(0)
        self.waits.append(proxies)
        return Removal(self.routes.pop(service, None) is not None, PROGRESS)

    async def drain(
        self, service: str, addresses, timeout: float, stream_timeout: float, proxies: float | None = None
    ) -> RouteState:
        self._called("drain", service, tuple(addresses), timeout, stream_timeout)
        self.waits.append(proxies)
        return dataclasses.replace(self.routes[service], cut=2, proxies=PROGRESS)

    async def resume(self, service: str, addresses, proxies: float | None = None) -> RouteState:
        self._called("resume", service, tuple(addresses))
        self.waits.append(proxies)
        return dataclasses.replace(self.routes[service], proxies=PROGRESS)

    async def reload(self) -> None:
        self._called("reload")

    def route(self, service: str) -> RouteState | None:
        return self.routes.get(service)

    def state(self) -> ProxyState:
        return dataclasses.replace(self.proxy, routes=tuple(self.routes.values()))

    def config(self) -> str:
        users = "userlist books-ms-users\n    user ann password '$6$a$hash'\n"
        return f"{users}backend books-ms-be\n  http-request deny unless {{ hdr(x) {self.probe_key} }}\n"


def served(service: str, *statuses: str) -> tuple[ServedInstance, ...]:
    """Instances of a service, one a status; ``passing`` ones serve."""
    return tuple(
        ServedInstance(
            Instance(service, f"node:{service}:{port}", Address("10.0.0.1", port), "node-1", status),
            serving=status == "passing",
            state=InstanceState.SERVING if status == "passing" else InstanceState.WAITING,
        )
        for port, status in enumerate(statuses or ("passing",), start=32768)
    )


class HoldStandIn:
    """The hold service's methods over one hold. ``failure`` is raised by the next call."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []
        self.waits: list[float | None] = []
        self.failure: Exception | None = None
        self.hold = Hold(
            "0123abcd",
            "ab" * 32,
            Route("books-ms", ("/a",)),
            Holder("me@host:1"),
            since=1000.0,
            until=1600.0,
            before=(Address("10.0.0.1", 32768),),
        )

    def _state(self, *call: object, hold: Hold | None) -> HoldState:
        self.calls.append(call)
        failure, self.failure = self.failure, None
        if failure:
            raise failure
        return HoldState(hold, PROGRESS, "runtime", 0.0123)

    async def begin(self, request: HoldRequest, proxies: float | None = None) -> HoldState:
        self.waits.append(proxies)
        return self._state("begin", request, hold=self.hold)

    async def promote(self, service: str, hold_id: str, addresses, keep, timeout: float) -> HoldState:
        hold = self.hold.promote((*addresses, *keep))
        return self._state("promote", service, hold_id, tuple(addresses), tuple(keep), timeout, hold=hold)

    async def demote(self, service: str, hold_id: str, proxies: float | None = None) -> HoldState:
        self.waits.append(proxies)
        return self._state("demote", service, hold_id, hold=self.hold)

    async def end(self, service: str, hold_id: str, proxies: float | None = None) -> HoldState:
        self.waits.append(proxies)
        return self._state("end", service, hold_id, hold=None)


@pytest.fixture
async def hold_service() -> HoldStandIn:
    return HoldStandIn()


class CountingStandIn:
    """The counting's methods over a dictionary."""

    def __init__(self) -> None:
        self.running: dict[str, str] = {}
        self.counted = Counts(4812, 2, {duration_class(12): 4812})

    async def start(self, service: str, identity: str) -> None:
        self.running[service] = identity

    async def counts(self, service: str) -> Counts:
        if service not in self.running:
            raise NotCountedError(f"the users of {service} are not counted")
        return self.counted

    async def stop(self, service: str, identity: str) -> Counts:
        if self.running.pop(service, None) != identity:
            raise NotCountedError(f"the users of {service} are not counted")
        return self.counted


@pytest.fixture
def counting() -> CountingStandIn:
    return CountingStandIn()


class CertificatesStandIn:
    """The certificates' service over a dictionary."""

    def __init__(self) -> None:
        self.known: dict[str, CertificateState] = {}
        self.bodies: list[bytes] = []

    async def put(self, name: str, pem: bytes) -> str:
        if b"CERTIFICATE" not in pem:
            raise UsageError(f"the certificate {name} is refused: it holds no certificate in PEM")
        self.bodies.append(pem)
        self.known[name] = self.serving(name)
        return "runtime"

    async def remove(self, name: str) -> None:
        if self.known.pop(name, None) is None:
            raise NotCertifiedError(f"there is no certificate {name}")

    @staticmethod
    def serving(name: str, days: float = 90.5) -> CertificateState:
        end = time.time() + days * 86400
        own = Certificate(name, "-----PRIVATE KEY-----", "CN=a", "CN=b", ("a.example.com",), 0.0, end, "ab" * 32)
        return CertificateState(name, own, default=True)

    def states(self) -> list[CertificateState]:
        return list(self.known.values())

    def state(self, name: str) -> CertificateState:
        return self.known[name]

    def ends(self) -> dict[str, float]:
        return {state.name: state.certificate.not_after for state in self.known.values() if state.certificate}


@pytest.fixture
def certificates() -> CertificatesStandIn:
    return CertificatesStandIn()


@pytest.fixture
def files(authority) -> CertificateFiles:
    """Of certificates that users do not meet: one."""
    return CertificateFiles([CertificateFile(str(authority.ca), "the authority", "renew it")])


class HistoryStandIn:
    """A registry's keys, of which books-ms has a history; that of the service ``away`` cannot be read."""

    def __init__(self) -> None:
        build = "https://jenkins.example.com/job/books/7/"
        self.value = releases.with_newest((), Release(1.7e9, "deploy", "done", image="books:1", who="ci", build=build))

    async def kv_get(self, key: str) -> KvPair | None:
        if key.endswith("/away"):
            raise RegistryError("the registry does not answer")
        return KvPair(key, self.value, 7) if key == "jenkins-proxy/deploys/.releases/books-ms" else None


@pytest.fixture
def history() -> HistoryStandIn:
    return HistoryStandIn()


@pytest.fixture
async def proxy_service() -> StandIn:
    # A coroutine, so that it is made within the test's event loop: before Python 3.10 its events belong to one.
    return StandIn()


@pytest.fixture(name="served")
def _served():
    return served

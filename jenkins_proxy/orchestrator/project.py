"""A compose project and its services, as data: what is published, needed, and in the way."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from jenkins_proxy.errors import UsageError
from jenkins_proxy.validation import shown

HEALTHY, COMPLETED = "service_healthy", "service_completed_successfully"
"""What ``depends_on`` can ask for beyond that a container was started."""


@dataclass(frozen=True)
class Port:
    """A port of a service that its compose file publishes.

    :ivar host: the fixed host port; empty where the engine picks one, and with a range it picks from.
    :ivar mode: for stacks: ``host``, or ``ingress`` for a port of the whole cluster.
    :ivar protocol: ``tcp``, ``udp`` or ``sctp``.
    :ivar among: the first and the last host port of the range that the engine picks from; None without a range.
    """

    container: int
    host: str = ""
    mode: str = ""
    protocol: str = "tcp"
    among: tuple[int, int] | None = None


@dataclass(frozen=True)
class External:
    """Something that a service uses and that compose does not make.

    :ivar kind: ``network``, ``volume``, ``secret`` or ``config``.
    :ivar name: its name on the engine, else in the file.
    :ivar file: for a secret or config: the file that it is made from; empty where it is the cluster's.
    """

    kind: str
    name: str
    file: str = ""


@dataclass(frozen=True)
class UpdateConfig:
    """How the files want a service's containers to be replaced: ``deploy.update_config``.

    :ivar parallelism: how many at a time, 0 for all at once; None where the files do not say.
    :ivar delay: seconds between one batch and the next; None likewise.
    :ivar order: ``start-first`` or ``stop-first``; empty likewise.
    :ivar failure_action: ``rollback``, ``pause`` or ``continue``; empty likewise.
    """

    parallelism: int | None = None
    delay: float | None = None
    order: str = ""
    failure_action: str = ""


@dataclass(frozen=True)
class Service:
    """One service of the compose files.

    :ivar image: empty when it is only built.
    :ivar host_network: it has no ports of its own, but all of its node's.
    :ivar needs: the services that have to run before it, by ``depends_on``, ``links`` and shared namespaces.
    :ivar conditions: by service, what has to be so before this one starts: ``service_healthy`` …
    :ivar replicas: how many containers the files ask for; None where they do not say.
    :ivar labels: those of its containers, and over them those of the Swarm service (``deploy.labels``).
    :ivar environment: of its containers, where the files give a value.
    :ivar profiles: that enable it; none means that it is always enabled.
    :ivar namespace: the service in whose network it lives (``network_mode: service:vpn``); empty with one of its own.
    :ivar sharers: the services that live in its network.
    :ivar externals: what it uses and compose does not make.
    :ivar update: how its containers are to be replaced.
    :ivar start_period: seconds that a container may take to start: ``healthcheck.start_period``; 0 without one.
    """

    name: str
    image: str = ""
    built: bool = False
    ports: tuple[Port, ...] = ()
    host_network: bool = False
    container_name: str = ""
    needs: frozenset[str] = frozenset()
    replicas: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()
    namespace: str = ""
    sharers: tuple[str, ...] = ()
    externals: tuple[External, ...] = ()
    conditions: Mapping[str, str] = field(default_factory=dict)
    update: UpdateConfig = UpdateConfig()
    start_period: float = 0.0

    @property
    def published(self) -> tuple[Port, ...]:
        """The ports that a proxy for HTTP can reach."""
        return tuple(port for port in self.ports if port.protocol == "tcp")

    @property
    def keeps_address(self) -> bool:
        """Whether a new container has the address of the one whose place it takes.

        What lives in its network can be made anew alone, and answers at the same address.
        """
        return self.host_network or bool(self.sharers) or any(port.host for port in self.published)

    @property
    def obstacle(self) -> str:
        """Why no second container can run beside the first; empty when one can."""
        if self.container_name:
            return f"{self.name} has a fixed container_name ({self.container_name})"
        if self.host_network:
            return f"{self.name} uses its node's network (network_mode: host)"
        fixed = next((port for port in self.ports if port.host), None)
        if fixed:
            return f"{self.name} publishes the fixed host port {fixed.host}"
        if self.sharers:
            return f"{', '.join(self.sharers)} lives in its network (network_mode: service:{self.name})"
        return ""


@dataclass(frozen=True)
class Sides:
    """The services beside the target that a deploy touches; every other one is left as it is.

    :ivar needs: what the target, and what was asked for, needs: started where it does not run, else left alone.
    :ivar before: asked for: brought to what the files say before the target is.
    :ivar after: the same, but they need the target, and so come after it.
    :ivar one_shots: of the needs, those that have to run to their end, once a deploy.
    :ivar together: they live in the target's network, and are made anew with it.
    :ivar others: the other targets: brought to what the files say with the target, and proven before users are let in.
    """

    needs: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    one_shots: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def every(self) -> tuple[str, ...]:
        """All of them, what is needed first, and each once."""
        return tuple(dict.fromkeys((*self.needs, *self.before, *self.together, *self.others, *self.after)))

    @property
    def late(self) -> tuple[str, ...]:
        """The other targets that the target does not need: they come once its new containers are verified."""
        return tuple(name for name in self.others if name not in self.before)


@dataclass(frozen=True)
class ComposeProject:
    """The services of a project, by name.

    :ivar example: how a port is published there, for hints.
    :ivar disabled: the services whose profiles are not enabled, with these.
    """

    name: str
    services: Mapping[str, Service]
    example: str = 'ports: ["8080"]'
    disabled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def target(self, name: str = "") -> Service:
        """The service whose containers are the instances: the named one, else the one that publishes a port.

        Of a service that lives in another one's network it is that other one: its port is published there.

        :raises UsageError: when it is unknown or publishes nothing, or when several publish; lists them.
        """
        publishing = [service.name for service in self.services.values() if service.published]
        listed = ", ".join(publishing) or "none"
        add = f"give it `{self.example}`"
        if not name and not publishing:
            raise UsageError(
                f"project {self.name}: no service publishes a port: {', '.join(self.services) or self._in_profiles()}",
                f"{add}, the one whose containers are the instances"
                + (
                    f"; or name one with --target, whose profile it enables: {self._in_profiles()}"
                    * bool(self.disabled)
                ),
            )
        if not name and len(publishing) > 1:
            raise UsageError(
                f"project {self.name}: several services publish a port: {listed}", "name one of them with --target"
            )
        name = name or publishing[0]
        if name not in self.services:
            raise UsageError(f"project {self.name} has no service {shown(name)}", f"it has: {', '.join(self.services)}")
        service = self.services[name]
        while not service.published and service.namespace in self.services:
            service = self.services[service.namespace]
        name = service.name
        self._check_needs(service)
        if not service.published and not service.host_network:
            raise UsageError(f"project {self.name}: service {name} publishes no port; those that do: {listed}", add)
        return service

    def _in_profiles(self) -> str:
        return ", ".join(f"{name} ({', '.join(profiles)})" for name, profiles in self.disabled.items())

    def _check_needs(self, service: Service) -> None:
        for name in sorted(service.needs & set(self.disabled)):
            profiles = self.disabled[name]
            raise UsageError(
                f"project {self.name}: {service.name} needs {name}, which is only in the profile {', '.join(profiles)}",
                f"enable it with --profile {profiles[0]}",
            )

    def closure(self, *targets: str) -> list[str]:
        """Targets, what they need, and what lives in their network: all that has to be there for them to serve."""
        found = {name for target in targets for name in (target, *self.services[target].sharers)}
        while True:
            needed = {name for one in found for name in self.services[one].needs if name in self.services}
            if needed <= found:
                return sorted(found)
            found |= needed

    def after(self, target: str) -> list[str]:
        """The services that need the target, directly or not: they are brought up after it, or with it."""
        found: set[str] = set()
        while True:
            more = {name for name, service in self.services.items() if service.needs & (found | {target})} - found
            if not more:
                return sorted(found - {target})
            found |= more

    def needs(self, services: Collection[str]) -> list[str]:
        """What these services need, directly or not; none of themselves."""
        found: set[str] = set(services)
        while True:
            more = {name for known in found for name in self.services[known].needs if name in self.services} - found
            if not more:
                return sorted(found - set(services))
            found |= more

    def one_shots(self, services: Collection[str]) -> list[str]:
        """Of what these services need, what has to run to its end before something else starts."""
        around = [self.services[name] for name in (*services, *self.needs(services))]
        return sorted({name for service in around for name, what in service.conditions.items() if what == COMPLETED})

    def sides(
        self, target: str, names: Collection[str] = (), *, every: bool = False, others: Collection[str] = ()
    ) -> Sides:
        """The services beside the target that a deploy touches.

        :param names: the services that are asked for.
        :param every: whether all are.
        :param others: the other targets.
        :raises UsageError: when a name is none of the project's.
        """
        self._check_names("--side", names)
        self._check_names("--target", others)
        together = self.services[target].sharers
        along = {name for other in others for name in (other, *self.services[other].sharers)} - {target, *together}
        asked = set(self.services if every else names) - {target, *together, *along}
        # What has to run to its end does so anyway, and once.
        ending = set(self.one_shots([target, *together, *asked, *along]))
        asked, along = asked - ending, along - ending
        after = sorted(asked & set(self.after(target)))
        before = sorted((asked - set(after)) | (along & set(self.needs([target, *together]))))
        brought_up = [target, *together, *before, *after, *along]
        needs = self.needs(brought_up)
        one_shots = [name for name in self.one_shots(brought_up) if name in needs]
        return Sides(tuple(needs), tuple(before), tuple(after), tuple(one_shots), together, tuple(sorted(along)))

    def _check_names(self, option: str, names: Collection[str]) -> None:
        unknown = sorted(set(names) - set(self.services))
        if not unknown:
            return
        inside = [name for name in unknown if name in self.disabled]
        hint = f"enable it with --profile {self.disabled[inside[0]][0]}" if inside else ""
        raise UsageError(
            f"{option} {', '.join(map(shown, unknown))}: project {self.name} has no such service",
            hint or f"it has: {', '.join(self.services)}",
        )

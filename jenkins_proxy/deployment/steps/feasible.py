"""Can the project have what is asked for? What would only fail later is said here. Pure: facts in, problems out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from jenkins_proxy.clients.consul import go_duration
from jenkins_proxy.deployment.context import BLUE_GREEN, RECREATE, DeployOptions
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator.base import STACK
from jenkins_proxy.orchestrator.project import External, Service
from jenkins_proxy.orchestrator.survey import Survey
from jenkins_proxy.validation import shown

_DURATIONS = ("interval", "timeout", "ttl", "deregister_after")
# In a registrator's order: the first one that is given counts.
_KINDS = ("http", "https", "cmd", "script", "ttl", "tcp", "grpc")
_SCRIPTS = ("cmd", "script")
_STATUSES = ("passing", "warning", "critical")
_META_PAIRS, _META_NAME, _META_VALUE = 64, 128, 512
_AMOUNT = re.compile(r"(?P<sign>[+-]?)(?P<number>[0-9]{1,4})")


def problems(
    options: DeployOptions,
    target: Service,
    survey: Survey,
    old: Sequence[Container],
    *,
    kind: str,
    scripts: bool,
    consul: bool,
) -> list[UsageError]:
    """Everything that keeps a deploy from its end, as far as files and engine say it.

    :param old: the target's containers that run.
    :param kind: the name of the orchestrator.
    :param scripts: whether the registry runs the scripts of checks.
    :param consul: whether it is a Consul, whose limits of metadata are its own.
    """
    wanted = options.scale or len(old) or target.replicas or 1
    found = [_too_many(target, wanted, several_nodes=survey.several_nodes)]
    if not target.obstacle and not survey.several_nodes:
        found.append(_range_too_small(options, target, survey, old, wanted))
    found += [_is_missing(external, kind) for external in survey.missing]
    entries = _of_service(options.service, target, survey.environment)
    found.append(_no_entry(entries, target))
    refused = [_refused(entry, target, scripts=scripts, consul=consul) for entry in entries]
    # One that is taken is enough.
    found.append(refused[0] if all(refused) else None)
    return [problem for problem in found if problem]


def _too_many(target: Service, count: int, *, several_nodes: bool) -> UsageError | None:
    """A number of containers that cannot run beside each other.

    :param several_nodes: with these, each can have one container at a host port, but a name is there once.
    """
    if count < 2 or not target.obstacle or (several_nodes and not target.container_name):
        return None
    return UsageError(
        f"{count} instances cannot run beside each other: {target.obstacle}",
        'add --scale 1, or let the engine pick the port (ports: ["8080"]) and the name',
    )


def check_count(target: Service, count: int, survey: Survey) -> None:
    """:raises UsageError: for a number of containers that cannot run beside each other."""
    problem = _too_many(target, count, several_nodes=survey.several_nodes)
    if problem:
        raise problem


def _range_too_small(
    options: DeployOptions, target: Service, survey: Survey, old: Sequence[Container], wanted: int
) -> UsageError | None:
    ranges = [port.among for port in target.ports if port.among]
    if not ranges:
        return None
    first, last = min(ranges, key=lambda among: among[1] - among[0])
    mine = {container.id for container in old}
    others = {b.host_port for c in survey.running if c.id not in mine for b in c.bindings}
    free = sum(1 for port in range(first, last + 1) if port not in others)
    beside = 0 if options.strategy == RECREATE else len(old)
    at_once = wanted if options.strategy == BLUE_GREEN else min(options.batch or wanted, wanted)
    if beside + at_once <= free and wanted <= free:
        return None
    what = f"the range of host ports {first}-{last} of {target.name} has room for {free}, and "
    if wanted > free:
        return UsageError(f"{what}{wanted} are wanted", "publish a larger range, or let the engine pick any port")
    room = free - len(old)
    batch = f"--batch {room}, " if room > 0 and options.strategy != BLUE_GREEN else ""
    return UsageError(
        f"{what}{beside} old and {at_once} new would run", f"add {batch}--strategy recreate".replace(", ", " or ")
    )


def _is_missing(external: External, kind: str) -> UsageError:
    if external.file:
        return UsageError(
            f"the file {external.file} of the {external.kind} {external.name} is not there", "make it first"
        )
    if external.kind in ("secret", "config") and kind != STACK:
        return UsageError(
            f"the {external.kind} {external.name} is external: compose has none of a cluster",
            f"give it a file:, or deploy a {STACK} with --orchestrator {STACK}",
        )
    make = {
        "network": f"docker network create {'--driver overlay --attachable ' if kind == STACK else ''}{external.name}",
        "volume": f"docker volume create {external.name}",
        "secret": f"docker secret create {external.name} FILE",
        "config": f"docker config create {external.name} FILE",
    }
    return UsageError(f"the external {external.kind} {external.name} is not there", make[external.kind])


def metadata(target: Service, image: Mapping[str, str], port: int | None = None) -> dict[str, str]:
    """What ``SERVICE_*`` says of a port of the target, as a registrator reads it: image, environment, then labels.

    :param image: the environment and labels of its image.
    :param port: in the container; None means the first one that is published.
    """
    first = [published.container for published in target.published][:1]
    ports = [str(number) for number in ([port] if port is not None else first)]
    general: dict[str, str] = {}
    special: dict[str, str] = {}
    for name, value in (*image.items(), *target.environment.items(), *target.labels.items()):
        match = re.fullmatch(r"SERVICE_(?:([0-9]+)_)?(.+)", name)
        if match and not match[1]:
            general[match[2].lower()] = value
        elif match and match[1] in ports:
            special[match[2].lower()] = value
    return {**general, **special}


def _of_service(service: str, target: Service, image: Mapping[str, str]) -> list[dict[str, str]]:
    """What ``SERVICE_*`` says of each port whose entry has the service's name; of the first one where none has."""
    found = [metadata(target, image, port.container) for port in target.published]
    if len(target.ports) > 1:
        # A name for all ports gets each one's number.
        names = {**image, **target.environment, **target.labels}
        own = [port for port in target.published if names.get(f"SERVICE_{port.container}_NAME") == service]
        found = [metadata(target, image, port.container) for port in own] or found[:1]
    return found or [metadata(target, image)]


def _no_entry(entries: Sequence[Mapping[str, str]], target: Service) -> UsageError | None:
    value = entries[0].get("ignore")
    if not all(entry.get("ignore") for entry in entries):
        return None
    return UsageError(
        f"{target.name} has SERVICE_IGNORE={value}: a registrator leaves it out, so it never becomes an instance",
        "leave SERVICE_IGNORE out: any value counts, also false",
    )


def asks_for_the_registry(target: Service, image: Mapping[str, str]) -> bool:
    """Whether one registry takes what another one refuses: a check by a script, or odd metadata."""
    found = [metadata(target, image, port.container) for port in target.published]
    return any(_check_kind(_check(entry)) in _SCRIPTS or _refused_metadata(entry, target) for entry in found)


def _check(entry: Mapping[str, str]) -> dict[str, str]:
    return {key[len("check_") :]: value for key, value in entry.items() if key.startswith("check_") and value}


def _check_kind(given: Mapping[str, str]) -> str:
    return next((kind for kind in _KINDS if kind in given), "")


def _refused(entry: Mapping[str, str], target: Service, *, scripts: bool, consul: bool) -> UsageError | None:
    """What makes the registry refuse an entry, which then never comes."""
    return _refused_check(entry, target, scripts=scripts) or (_refused_metadata(entry, target) if consul else None)


def _refused_check(entry: Mapping[str, str], target: Service, *, scripts: bool) -> UsageError | None:
    given = _check(entry)
    kind = _check_kind(given)
    if kind in _SCRIPTS and not scripts:
        return UsageError(
            f"{target.name} has SERVICE_CHECK_{kind.upper()}, and the registry runs no scripts: it refuses the entry",
            "use SERVICE_CHECK_HTTP or SERVICE_CHECK_TCP, or a HEALTHCHECK",
        )
    if not kind:
        return None
    # What comes back at intervals, or in time, does so after more than nothing.
    least = {"interval": kind != "ttl", "ttl": kind == "ttl"}
    for key in _DURATIONS:
        if given.get(key) and not _is_duration(given[key], above_nothing=least.get(key, False)):
            return UsageError(
                f"{target.name} has SERVICE_CHECK_{key.upper()}={given[key]}: the registry refuses the entry",
                "give a number with its unit: 10s",
            )
    status = given.get("initial_status")
    if status and status not in _STATUSES:
        return UsageError(
            f"{target.name} has SERVICE_CHECK_INITIAL_STATUS={status}: the registry refuses the entry",
            f"it is one of {', '.join(_STATUSES)}",
        )
    return None


def _refused_metadata(entry: Mapping[str, str], target: Service) -> UsageError | None:
    """``SERVICE_*`` becomes the entry's metadata, of which Consul takes so many, so long ones.

    Source: hashicorp/consul 1.8 ``agent/structs/structs.go``, ``validateMetaPair``.
    """
    meta = {key: value for key, value in entry.items() if key not in ("id", "tags", "name")}
    for key, value in meta.items():
        name = f"SERVICE_{key.upper()}"
        refused = (
            "its name has other signs than letters, digits, _ and -" * (not re.fullmatch(r"[a-z0-9_-]+", key))
            or f"its name is longer than {_META_NAME}" * (len(key) > _META_NAME)
            or "names that begin with consul- are Consul's own" * key.startswith("consul-")
            or f"its value is longer than {_META_VALUE} bytes" * (len(value.encode()) > _META_VALUE)
        )
        if refused:
            return UsageError(
                f"{target.name} has {shown(name)}: Consul refuses the entry, as {refused}",
                "give it another name without SERVICE_, or make it shorter",
            )
    if len(meta) > _META_PAIRS:
        return UsageError(
            f"{target.name} has {len(meta)} variables SERVICE_…: Consul refuses an entry with more than {_META_PAIRS}",
            "leave some out",
        )
    return None


def _is_duration(text: str, *, above_nothing: bool) -> bool:
    try:
        return go_duration.parse(text) > 0 or not above_nothing
    except ValueError:
        return False


def replicas_note(target: Service, running: int, scale: int | None) -> str:
    """A line where the files ask for another number of containers than the deploy starts; else empty."""
    if scale is not None or not running or target.replicas in (None, running):
        return ""
    return (
        f"{running} of {target.name} run, and stay as many; the files say {target.replicas}: --scale {target.replicas} "
        "makes it so"
    )


def target_count(amount: str, running: int, *, allow_empty: bool = False) -> int:
    """How many instances there shall be.

    :param amount: ``3``, ``+2`` or ``-1``.
    :param running: how many run now.
    :param allow_empty: whether none may be left.
    :raises UsageError: when it is no amount, or leaves none.
    """
    parts = _AMOUNT.fullmatch(amount)
    if not parts:
        raise UsageError(f"{amount[:40]!r} is not a number of instances", "give 3, +2 or -1")
    number = int(parts["number"])
    count = {"": number, "+": running + number, "-": running - number}[parts["sign"]]
    if count < 0:
        raise UsageError(f"scale {amount}: only {running} instance(s) run")
    if count == 0 and not allow_empty:
        raise UsageError(
            f"scale {amount} leaves no instance, and its users without an answer", "if that is meant, add --allow-empty"
        )
    return count

"""The entries of a container in the registry: names, IDs, tags and checks exactly as gliderlabs/registrator gives them.

Sources: ``bridge/bridge.go`` (``add``, ``newService``), ``bridge/util.go`` (``serviceMetaData``, ``servicePort``,
``recParseEscapedComma``) and ``consul/consul.go`` (``buildCheck``) of its v7. Four things differ, each on purpose:

* The address is ``--ip``, else the binding's own, else this host's. Registrator takes a container's address on a
  user-defined network together with the *host's* port, where nothing listens; every compose project has such a network.
* A container with a HEALTHCHECK and without ``SERVICE_CHECK_*`` has a check that follows its health, so that
  ``passing`` means healthy.
* A port that is exposed has an entry only in another's network: the host's, or a container's whose address is known.
  Elsewhere the engine says what is published; compose v2 writes ``expose:`` as ``5432``, which is no name of its.
* An entry with an ID of its own (``SERVICE_ID``) names this host in its meta data: the ID does not, and nothing else
  would show that the entry is ours.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jenkins_proxy.clients.consul.models import GRPC, HTTP, SCRIPT, TCP, TTL
from jenkins_proxy.clients.docker.containers import exposed_ports
from jenkins_proxy.model import CRITICAL, PASSING

HOST_META = "registrator_host"
HEALTH_TTL = 24 * 3600.0
"""Seconds. Health is reported when it changes: the time to live only ends what an agent that is gone for good left."""

_OWN_ID = re.compile(r"(?P<host>.+?):[a-zA-Z0-9][a-zA-Z0-9_.-]+:[0-9]+(:udp)?")
_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound
_INTERVAL = "10s"
# What begins with a number is for a port. Beyond 64 bits it is none for Registrator.
_NUMBER = re.compile(r"[+-]?0*([0-9]{1,19})")
_GREATEST = 2**63 - 1
# What follows SERVICE_CHECK_, in Registrator's order: the first one that is given counts.
_CHECK_OPTIONS = {"http": HTTP, "https": HTTP, "cmd": SCRIPT, "script": SCRIPT, "ttl": TTL, "tcp": TCP, "grpc": GRPC}


@dataclass(frozen=True)
class ServiceEntry:
    """A service as it is registered.

    :ivar check: Consul's ``AgentServiceCheck`` JSON, or None.
    :ivar health: ``passing`` or ``critical`` when the check follows the container's HEALTHCHECK, else empty.
    """

    id: str
    name: str
    address: str
    port: int
    tags: tuple[str, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict)
    check: Mapping[str, Any] | None = None
    health: str = field(default="", compare=False)

    @classmethod
    def of_row(cls, row: Mapping[str, Any], *, checked: bool) -> ServiceEntry:
        """What a row of ``/v1/agent/services`` says; of its check only whether it has one (``{}``, else None)."""
        tags, meta = tuple(row["Tags"] or ()), dict(row["Meta"] or {})
        return cls(row["ID"], row["Service"], row["Address"], row["Port"], tags, meta, {} if checked else None)

    @property
    def check_id(self) -> str:
        return f"service:{self.id}"

    def as_service(self) -> dict[str, Any]:
        """The body of ``/v1/agent/service/register``."""
        body: dict[str, Any] = {
            "ID": self.id,
            "Name": self.name,
            "Address": self.address,
            "Port": self.port,
            "Tags": list(self.tags),
            "Meta": dict(self.meta),
        }
        if self.check:
            body["Check"] = {**self.check, "Status": self.health} if self.health else dict(self.check)
        return body

    def same_as(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of ``/v1/agent/services`` is this entry."""
        return (self.name, self.address, self.port, list(self.tags), dict(self.meta)) == (
            row["Service"],
            row["Address"],
            row["Port"],
            row["Tags"] or [],
            row["Meta"] or {},
        )


@dataclass(frozen=True)
class Choice:
    """What Registrator's ``-explicit`` and ``-tags`` choose.

    :ivar named_only: only a port that ``SERVICE_NAME`` or ``SERVICE_<port>_NAME`` names has an entry.
    :ivar tags: for every entry behind its own, as ``SERVICE_TAGS`` has them.
    """

    named_only: bool = False
    tags: str = ""


EVERYTHING = Choice()


@dataclass(frozen=True)
class _Port:
    exposed: str
    protocol: str
    host_ip: str
    host_port: int

    @property
    def suffix(self) -> str:
        return self.exposed + (":udp" if self.protocol == "udp" else "")

    def address(self, host_ip: str) -> str:
        """Where it is reached on a host with this address."""
        if self.host_ip not in _EVERYWHERE:
            return self.host_ip
        # Docker binds `[::]` to IPv6 alone: nothing listens on the other loopback address.
        return "::1" if (self.host_ip, host_ip) == ("::", "127.0.0.1") else host_ip


def entries(
    container: Mapping[str, Any],
    *,
    hostname: str,
    ip: str,
    host_ip: str,
    network_ip: str = "",
    choice: Choice = EVERYTHING,
) -> list[ServiceEntry]:
    """The entries of a running container.

    :param container: the engine's ``/containers/<id>/json``.
    :param hostname: the first part of the IDs.
    :param ip: the address that every entry gets; empty: the binding's.
    :param host_ip: the address for bindings on every address.
    :param network_ip: the address of the container whose network this one shares, where it does.
    :param choice: which containers have entries, and what all entries have.
    """
    ports = list(_published(container, shared=bool(network_ip)))
    made = {}
    for port in ports:
        metadata, from_port = _metadata(container["Config"], port.exposed)
        if metadata.get("ignore") or (choice.named_only and not metadata.get("name")):
            continue
        address = network_ip or ip or port.address(host_ip)
        entry = _entry(container, port, metadata, address, hostname=hostname, more_tags=choice.tags)
        if len(ports) > 1 and "name" not in from_port:
            entry = dataclasses.replace(entry, name=f"{entry.name}-{port.exposed}")
        # One SERVICE_ID for two ports is one entry: the last one's, as it would be in Consul.
        made[entry.id] = entry
    return list(made.values())


def ours(row: Mapping[str, Any], hostname: str) -> bool:
    """Whether a row of ``/v1/agent/services`` was registered for a container of this host."""
    if HOST_META in (row["Meta"] or {}):
        return bool(row["Meta"][HOST_META] == hostname)
    match = _OWN_ID.fullmatch(row["ID"])
    return match is not None and match["host"] == hostname


def health_of(container: Mapping[str, Any]) -> str:
    """A container's health as a check's status; empty without a HEALTHCHECK. One that is starting is not passing."""
    health = (container["State"].get("Health") or {}).get("Status", "none")
    return "" if health == "none" else PASSING if health == "healthy" else CRITICAL


def _published(container: Mapping[str, Any], shared: bool) -> Iterator[_Port]:
    """The ports that can be reached: exposed ones count as published with another's network, which maps none.

    :param shared: whether the container lives in another one's network, whose address is known.
    """
    mode = container["HostConfig"]["NetworkMode"]
    alone = exposed_ports(container["Config"]) if mode == "host" or shared else ()
    bindings: dict[str, Any] = {f"{number}/{protocol}": [{"HostPort": str(number)}] for number, protocol in alone}
    bindings.update(container["NetworkSettings"]["Ports"] or {})
    for name, published in sorted(bindings.items(), key=lambda item: _port_order(item[0])):
        exposed, _, protocol = name.partition("/")
        # Of several bindings the first one counts.
        binding = published[0] if published else {}
        if binding.get("HostPort"):
            yield _Port(exposed, protocol or "tcp", binding.get("HostIp", ""), int(binding["HostPort"]))


def _port_order(name: str) -> tuple[int, str]:
    number, _, protocol = name.partition("/")
    return int(number), protocol


def _entry(
    container: Mapping[str, Any],
    port: _Port,
    metadata: dict[str, str],
    address: str,
    *,
    hostname: str,
    more_tags: str,
) -> ServiceEntry:
    name = metadata.get("name") or _image_name(container["Config"]["Image"])
    own_id = metadata.get("id")
    udp = ["udp"] if port.protocol == "udp" else []
    meta = {key: value for key, value in metadata.items() if key not in ("id", "tags", "name")}
    check = _check(metadata, container["Id"], port.exposed, address, port.host_port)
    health = "" if check else health_of(container)
    if health:
        check = {"Name": f"HEALTHCHECK of {_name(container)}", "TTL": f"{HEALTH_TTL:.0f}s"}
    return ServiceEntry(
        id=own_id or f"{hostname}:{_name(container)}:{port.suffix}",
        name=name,
        address=address,
        port=port.host_port,
        tags=tuple(_split_tags(metadata.get("tags", "")) + _split_tags(more_tags) + udp),
        meta={**meta, HOST_META: hostname} if own_id else meta,
        check=check,
        health=health,
    )


def _name(container: Mapping[str, Any]) -> str:
    return str(container["Name"])[1:]


def _image_name(image: str) -> str:
    return (image.rstrip("/").rpartition("/")[2] or ".").partition(":")[0]


def _metadata(config: Mapping[str, Any], port: str) -> tuple[dict[str, str], set[str]]:
    """What ``SERVICE_*`` says about a port, in lower case, and which of it is for that port alone.

    The environment is read first and labels then, the later one of two wins, and one for the port over one for all.
    """
    given = [line.partition("=") for line in config.get("Env") or []]
    given += [(name, "=", value) for name, value in sorted((config.get("Labels") or {}).items())]
    metadata: dict[str, str] = {}
    from_port: set[str] = set()
    for name, equals, value in given:
        if not equals or not name.startswith("SERVICE_"):
            continue
        key = name[len("SERVICE_") :].lower()
        number, underscore, rest = key.partition("_")
        digits = _NUMBER.fullmatch(number)
        if underscore and digits and int(digits[1]) <= _GREATEST:
            if number == port:
                metadata[rest] = value
                from_port.add(rest)
        elif key not in from_port:
            metadata[key] = value
    return metadata, from_port


def _split_tags(text: str) -> list[str]:
    r"""Tags from a list with commas, where ``\,`` is a comma in a tag. Registrator gives them from last to first."""
    tags = [part.replace("\\,", ",") for part in re.split(r"(?<!\\),", text)]
    return [tag for tag in reversed(tags) if tag]


def _check(metadata: Mapping[str, str], container_id: str, exposed: str, ip: str, port: int) -> dict[str, Any] | None:
    """The check that ``SERVICE_CHECK_*`` asks for: the first kind that is given, in Registrator's order."""
    given = {key[len("check_") :]: value for key, value in metadata.items() if key.startswith("check_") and value}
    option = next((option for option in _CHECK_OPTIONS if option in given), "")
    if not option:
        return None
    kind, value = _CHECK_OPTIONS[option], given[option]
    target: dict[str, Any] = {
        "http": f"{option}://{ip}:{port}{value}",
        "https": f"{option}://{ip}:{port}{value}",
        "cmd": ["check-cmd", container_id[:12], exposed, value],
        "script": [value.replace("$SERVICE_IP", ip).replace("$SERVICE_PORT", str(port))],
        "ttl": value,
    }
    check: dict[str, Any] = {kind.field: target.get(option, f"{ip}:{port}")}
    if kind == HTTP:
        check["Method"] = given.get(f"{option}_method")
    if kind == GRPC and "grpc_use_tls" in given:
        check["GRPCUseTLS"] = True
        check["TLSSkipVerify"] = True if "tls_skip_verify" in given else None
    if kind.connects:
        check["Timeout"] = given.get("timeout")
    if kind.polled:
        check["Interval"] = given.get("interval", _INTERVAL)
    check["Status"] = given.get("initial_status")
    check["DeregisterCriticalServiceAfter"] = given.get("deregister_after")
    return {name: value for name, value in check.items() if value is not None}

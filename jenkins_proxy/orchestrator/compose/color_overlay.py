"""A compose project's target as a project of its own, of one color. Pure: rendered configuration in, document out.

Both colors share the networks, volumes and side services of the base project. Only the target is doubled, under a name
in the registry that has its color: Registrator takes it from ``SERVICE_NAME``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from jenkins_proxy.errors import UsageError
from jenkins_proxy.orchestrator.parse import networks_of, volumes_of

_NAMES = re.compile(r"SERVICE_(\d+_)?NAME")
_IDS = re.compile(r"SERVICE_(\d+_)?ID")
_LATER = "2.1"
_SHARED = ("network_mode", "ipc", "pid")


def document(
    config: Mapping[str, Any], target: str, *, service: str, color: str, project: str, sides: Mapping[str, str]
) -> dict[str, Any]:
    """The compose file of one color.

    :param config: what compose's ``config`` printed, v1's or v2's.
    :param target: the compose service to double.
    :param service: the name in the registry, without the color.
    :param project: the base project, whose networks and volumes are used.
    :param sides: the name of a container for each side service: what links lead to.
    :raises UsageError: when the target lives in another container's namespace, which it cannot from another project.
    """
    made = dict(config["services"][target])
    _check_namespaces(target, made)
    made.pop("depends_on", None)
    links = [link.partition(":") for link in made.pop("links", None) or ()]
    if links:
        made["external_links"] = [
            *made.get("external_links", ()),
            *(f"{sides.get(name, name)}:{alias or name}" for name, _, alias in links),
        ]
    for key in ("environment", "labels"):
        made[key] = dict(made.get(key) or {})
    _name(made, service, color)
    result: dict[str, Any] = {"services": {target: made}}
    # v2 prints no version, and finds the older form of `external` worth a warning; v1 knows it in every version.
    modern = "version" not in config
    first = str(config.get("version", "")) == "1"
    if not modern:
        # What v1 prints of a file of the first version has that number, and the form of a later one.
        result["version"] = _LATER if first else config["version"]
    if first:
        # There the engine's volumes have no project before their names.
        result["volumes"] = {name: {"external": {"name": name}} for name in sorted(volumes_of(made))}
    else:
        result["networks"] = _outside(config.get("networks"), networks_of(made), project, modern)
        result["volumes"] = _outside(config.get("volumes"), volumes_of(made), project, modern)
    for kind in ("secrets", "configs"):
        declared = _declared(kind, config, made)
        if declared:
            result[kind] = declared
    return result


def _check_namespaces(target: str, made: Mapping[str, Any]) -> None:
    shared = [f"{key}: {made[key]}" for key in _SHARED if str(made.get(key) or "").startswith("service:")]
    shared += ["volumes_from"] if made.get("volumes_from") else []
    if shared:
        raise UsageError(
            f"{target} cannot be deployed blue-green, as it shares with another container: {', '.join(shared)}",
            "use --strategy rolling or recreate",
        )


def _name(made: dict[str, Any], service: str, color: str) -> None:
    """Give the color to every name and ID that Registrator would take: from labels, and from the environment."""
    for_color = f"{service}-{color}"
    named = False
    for key in ("environment", "labels"):
        for variable, value in made[key].items():
            if _NAMES.fullmatch(variable) and value == service:
                made[key][variable] = for_color
                named = True
            elif _IDS.fullmatch(variable):
                made[key][variable] = f"{value}-{color}"
    if not named:
        ports: Sequence[Any] = made.get("ports") or ()
        # With several ports Registrator adds each one's number to a name that was not given for that port.
        first = next((number for number, protocol in map(_exposed, ports) if protocol == "tcp"), "")
        made["environment"]["SERVICE_NAME" if len(ports) < 2 else f"SERVICE_{first}_NAME"] = for_color


def _exposed(port: Any) -> tuple[str, str]:
    """The container's port and the protocol of an entry of ``ports``: ``8080`` and ``tcp`` of ``80:8080/tcp``."""
    if isinstance(port, Mapping):
        return str(port["target"]), port.get("protocol") or "tcp"
    number, _, protocol = str(port).rpartition(":")[2].partition("/")
    return number, protocol or "tcp"


def _declared(kind: str, config: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    """What the target names of the secrets or configs, as it stands: it belongs to no project."""
    build = made.get("build")
    named = [*(made.get(kind) or ()), *((build.get(kind) or ()) if isinstance(build, Mapping) else ())]
    names = {entry["source"] if isinstance(entry, Mapping) else entry for entry in named}
    return {name: entry for name, entry in (config.get(kind) or {}).items() if name in names}


def _outside(declared: Mapping[str, Any] | None, used: set[str], project: str, modern: bool) -> dict[str, Any]:
    """What the base project has already, by its real name."""
    found = {}
    for key in sorted(used):
        entry = (declared or {}).get(key) or {}
        external = entry.get("external")
        name = entry.get("name") or (external.get("name") if isinstance(external, Mapping) else None)
        name = name or (key if external else f"{project}_{key}")
        found[key] = {"external": True, "name": name} if modern else {"external": {"name": name}}
    return found

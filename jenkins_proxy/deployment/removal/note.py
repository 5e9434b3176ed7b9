"""What the last deploy of a service knew of its project: a branch that is deleted takes the compose file with it.

Compose v2 writes into its containers' labels who needs whom. docker-compose 1.x, a stack and a color's project do not,
so a deploy leaves it in the registry, below the records of deploys: no service has a name that begins with a dot.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from jenkins_proxy import validation
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.deployment.failure.intent_log import PREFIX

NOTES = f"{PREFIX}.notes/"


@dataclass(frozen=True)
class Note:
    """What is known: names only.

    :ivar project: the compose project or stack, of a color the base project.
    :ivar target: the compose service whose containers are the instances.
    :ivar needs: by service of the project, what it needs.
    :ivar others: the other targets, which were deployed along.
    """

    project: str
    target: str
    needs: Mapping[str, Collection[str]] = field(default_factory=dict)
    others: tuple[str, ...] = ()


def write(registry: Consul, service: str, note: Note) -> None:
    """Keep it, in the place of an older one."""
    needs = {name: sorted(there) for name, there in note.needs.items()}
    data = {"project": note.project, "target": note.target, "needs": needs, "others": list(note.others)}
    registry.kv_put(NOTES + service, json.dumps(data).encode())


def read(registry: Consul, service: str) -> Note | None:
    """The note of a service; None where there is none, or one that a later version has written."""
    pair = registry.kv_get(NOTES + service)
    try:
        data = validation.parse_json(pair.value) if pair else None
        needs = {str(name): list(map(str, there)) for name, there in data["needs"].items()} if data else {}
        others = tuple(map(str, data["others"])) if data else ()
        return Note(str(data["project"]), str(data["target"]), needs, others) if data else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def remove(registry: Consul, service: str, project: str) -> None:
    """Forget it, unless it is of another project; none there is fine."""
    note = read(registry, service)
    if note is not None and note.project == project:
        registry.kv_delete(NOTES + service)

"""What an undeploy would do, for ``--dry-run``: in words for people, as data for machines. Nothing is changed."""

from __future__ import annotations

from typing import Any

from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.removal.look import Present
from jenkins_proxy.deployment.removal.options import UndeployOptions
from jenkins_proxy.deployment.steps import proxy_route
from jenkins_proxy.validation import few

_MANY = 1000


def show(found: Present, options: UndeployOptions, context: Context, history: int) -> dict[str, Any]:
    """Print what would go, and return it: ``route, services, containers, networks, volumes, entries, releases, left``.

    :param history: how many releases would be forgotten.
    """
    volumes, say = found.volumes(), context.console.step
    plan: dict[str, Any] = {
        "route": found.route.as_dict() if found.route else None,
        "services": list(found.going.services),
        "containers": [container.name for container in found.leaving],
        "networks": list(found.base.belongings().values()),
        "volumes": list(volumes) if options.volumes else [],
        "entries": [f"{instance.id} at {instance.address}" for instance in found.entries.gone],
        "releases": history,
        "left": [*found.staying(), *(f"volume {name}" for name in volumes if not options.volumes)],
    }
    say("dry run: nothing is changed")
    if found.route is not None:
        say(f"drain and remove the route {proxy_route.describe(found.route)}")
    for title, key in (
        ("stop and remove", "containers"),
        ("remove, unless it is used by then:", "networks"),
        ("remove volume", "volumes"),
        ("wait for the registry to lose, or take out of it:", "entries"),
        ("it stays:", "left"),
    ):
        if plan[key]:
            say(f"{title} {few(plan[key], _MANY)}")
    if history:
        say(f"forget the history of {history} release(s)")
    if not any((plan["route"], plan["services"], plan["containers"], plan["entries"])):
        say(f"nothing of {options.service} is there")
    return plan

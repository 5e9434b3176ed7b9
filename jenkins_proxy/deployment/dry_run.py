"""What a deploy would do, for ``--dry-run``: in words for people, as data for machines. Nothing is changed."""

from __future__ import annotations

from typing import Any

from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.steps import proxy_route
from jenkins_proxy.deployment.strategies.base import Strategy


def show(change: Strategy, context: Context) -> dict[str, Any]:
    """Print the plan and return it: ``steps, containers, instances, route, diff``."""
    running = [container.name for container in change.before.running]
    diff = change.ready.preview.get("diff", "")
    plan = {
        "steps": steps(change),
        "containers": running,
        "instances": change.wanted,
        "route": change.route.as_dict() if change.route else None,
        "diff": diff,
    }
    context.console.step(f"dry run: nothing is changed; now running: {', '.join(running) or 'nothing'}")
    for number, step in enumerate(plan["steps"], 1):
        context.console.step(f"{number}. {step}")
    for line in diff.splitlines():
        context.console.output(line)
    return plan


def steps(change: Strategy) -> list[str]:
    """What would be done, in order."""
    found = change.describe()
    found.append(f"wait until {change.registry_name} shows {change.wanted} passing instance(s) in the registry")
    if change.route is not None:
        found.append(f"reconfigure the proxy: {proxy_route.words(change.route)} leads to {change.registry_name}")
        found.append("probe it through the entry until a new instance answers")
    return [*found, *change.describe_finish()]

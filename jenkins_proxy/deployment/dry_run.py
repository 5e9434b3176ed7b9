"""What a deploy would do, for ``--dry-run``: in words for people, as data for machines. Nothing is changed."""

from __future__ import annotations

from typing import Any

from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.steps import proxy_route
from jenkins_proxy.deployment.strategies.base import Strategy


def show(strategy: Strategy, context: Context) -> dict[str, Any]:
    """Print the plan and return it: ``steps, containers, instances, route, diff``."""
    running = [container.name for container in strategy.before.running]
    diff: str = strategy.ready.preview.get("diff", "")
    planned = steps(strategy)
    plan = {
        "reason": strategy.reason,
        "from_file": strategy.ready.from_file,
        "steps": planned,
        "containers": running,
        "instances": strategy.wanted,
        "route": strategy.route.as_shown() if strategy.route else None,
        "diff": diff,
    }
    context.console.step(f"dry run: nothing is changed; now running: {', '.join(running) or 'nothing'}")
    for number, step in enumerate(planned, 1):
        context.console.step(f"{number}. {step}")
    for line in diff.splitlines():
        context.console.output(line)
    return plan


def steps(strategy: Strategy) -> list[str]:
    """What would be done, in order."""
    found = strategy.describe()
    wait = f"wait until {strategy.registry_name} shows {strategy.wanted} passing instance(s) in the registry"
    others = strategy.sides.describe_others()
    if strategy.route is None:
        return [*found, wait, *others, *strategy.describe_finish()]
    route = proxy_route.describe(strategy.route)
    found = [f"keep users from whatever joins {strategy.options.service}", *found, wait]
    found += ["verify each new instance through the entry", *others]
    if strategy.options.hold:
        return [*found, f"leave them held, for promote or abort {strategy.options.service}"]
    found.append(f"promote them: {route} leads to {strategy.registry_name}")
    found.append("probe it through the entry until a new instance answers")
    return [*found, *strategy.describe_finish()]

"""Taking instances out of service without losing a request: drain in the proxy, then stop, then remove."""

from __future__ import annotations

from collections.abc import Sequence

from jenkins_proxy.deployment import matching
from jenkins_proxy.deployment.context import Context
from jenkins_proxy.errors import RemoteError
from jenkins_proxy.model import Address, Container, Route
from jenkins_proxy.orchestrator.base import SurgeOrchestrator

_AT_ONCE = 10


def retire(
    context: Context, orchestrator: SurgeOrchestrator, route: Route | None, containers: Sequence[Container]
) -> None:
    """Drain containers in the proxy, stop them and remove them.

    :param route: the one that leads to them, as the proxy has it; None when none does.
    """
    if not containers:
        return
    from concurrent.futures import ThreadPoolExecutor

    if route is not None:
        drain(context, route, containers)
    context.console.step(f"stopping {', '.join(container.name for container in containers)}")

    def end(container: Container) -> None:
        orchestrator.stop(container)
        orchestrator.remove(container)

    # Side by side: each may take all of its stop_grace_period.
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(end, containers))


def drain(context: Context, route: Route, containers: Sequence[Container]) -> None:
    """Have the proxy send no new request to them, and wait until none is in flight.

    A request that takes longer than ``timing.drain``, or than the command may, is not waited for: a warning says so,
    and the containers are stopped.
    """
    try:
        addresses = registered(context, route, containers)
        if addresses:
            context.console.step(f"draining {', '.join(str(address) for address in addresses)}")
            seconds = max(context.timing.drain_min, min(context.timing.drain, context.deadline.remaining))
            context.proxy.drain(route.service, addresses, seconds)
    except RemoteError as error:
        context.console.warning(f"not drained: {error.message}")


def resume(context: Context, route: Route, containers: Sequence[Container]) -> None:
    """Have the proxy send requests to containers again that may have been drained."""
    try:
        addresses = registered(context, route, containers)
        if addresses:
            context.proxy.resume(route.service, addresses)
    except RemoteError as error:
        context.console.warning(f"not resumed: {error.message}")


def registered(context: Context, route: Route, containers: Sequence[Container]) -> list[Address]:
    """Where the registry shows these containers, of those that the route leads to."""
    instances, _ = context.registry.instances(route.registry_name)
    found = matching.match(containers, instances)
    return [instance.address for match in found.matches for instance in match.instances]

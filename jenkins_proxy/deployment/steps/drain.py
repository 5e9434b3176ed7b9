"""Taking instances out of service without losing a request: drain in the proxy, then stop, then remove."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.steps import wait
from jenkins_proxy.errors import RemoteError
from jenkins_proxy.model import Container, Route
from jenkins_proxy.orchestrator.base import SurgeOrchestrator
from jenkins_proxy.validation import few

_AT_ONCE = 10


def retire(
    context: Context,
    orchestrator: SurgeOrchestrator,
    route: Route | None,
    containers: Sequence[Container],
    *,
    made: Collection[str] = (),
) -> None:
    """Drain containers in the proxy, stop them and remove them.

    :param route: the one that leads to them, as the proxy has it; None when none does.
    :param made: the IDs of those that a deploy has made which comes to nothing: volumes without a name that were made
        for them go with them. Those of the others stay, as with compose: there is data in them.
    """
    if not containers:
        return
    from concurrent.futures import ThreadPoolExecutor

    if route is not None:
        drain(context, route, containers)
    context.confirm()
    context.console.step(f"stopping {few(container.name for container in containers)}")

    def end(container: Container) -> None:
        orchestrator.stop(container)
        orchestrator.remove(container, volumes=container.id in made)

    # Side by side: each may take all of its stop_grace_period.
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(end, containers))


def drain(context: Context, route: Route, containers: Sequence[Container]) -> None:
    """Have the proxy send no new request to them, and wait until none is in flight.

    A request that takes longer than ``timing.drain``, or than the command may, is not waited for: a warning says so,
    and the containers are stopped. Streams, which may never end by themselves, get ``timing.drain_streams``.
    """
    timing = context.timing
    context.confirm()
    try:
        addresses = wait.addresses(context, route.registry_name, containers)
        if addresses:
            context.console.step(f"draining {few(addresses)}")
            seconds = max(min(timing.drain_min, timing.drain), min(timing.drain, context.deadline.remaining))
            streams = min(seconds, timing.drain_streams)
            answer = context.proxy.drain(route.service, addresses, seconds, streams, proxies=context.proxies_seconds)
            context.report_laggards(answer)
            cut = answer.get("cut", 0)
            if cut:
                context.console.step(
                    f"drained; {cut} stream(s) that had not ended after {timing.drain_streams:g} s cut"
                )
    except RemoteError as error:
        context.console.warning(f"not drained: {error.message}")


def resume(context: Context, route: Route, containers: Sequence[Container]) -> None:
    """Have the proxy send requests to containers again that may have been drained."""
    context.confirm()
    try:
        addresses = wait.addresses(context, route.registry_name, containers)
        if addresses:
            context.report_laggards(context.proxy.resume(route.service, addresses, proxies=context.proxies_seconds))
    except RemoteError as error:
        context.console.warning(f"not resumed: {error.message}")

"""Each candidate proves itself: by its answer through the real entry, route and rewrite, before any user meets it.

A request that bears the deploy's key and names an instance reaches that one and no other. What does not answer yet is
waited for; what answers with errors, or whose container ends or is found unhealthy, is not waited for to the end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence

from jenkins_proxy.deployment.context import Check, Context
from jenkins_proxy.deployment.steps import probe, wait
from jenkins_proxy.deployment.steps.hold import KEY_HEADER, Key
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Address, Container, Route
from jenkins_proxy.orchestrator.base import Orchestrator
from jenkins_proxy.validation import few

_AT_ONCE = 10
# Of the time for its check, this part is for a candidate that answers, but with errors.
_ERROR_SHARE = 0.2


class _NotWanted(Exception):
    """Another candidate has failed already."""


def candidates(
    context: Context,
    route: Route,
    check: Check,
    key: Key,
    addresses: Collection[Address],
    *,
    orchestrator: Orchestrator | None = None,
    containers: Sequence[Container] = (),
) -> None:
    """Come back when each of the candidates has answered well.

    :param addresses: of the candidates.
    :param orchestrator: of :param containers: which have to stay alive meanwhile; None where these are not known.
    :raises UsageError: when neither the route nor the check names a page.
    :raises ProbeFailed: when one does not answer well in time: the first that is known of.
    :raises ContainerDied: when a container ends meanwhile. Unhealthy: when its HEALTHCHECK gives it up.
    """
    if route.tcp:
        _connections(context, route, check, addresses, lambda: _check_alive(orchestrator, containers))
        return
    asked = {address: _question(context, route, check, key, address) for address in addresses}
    for address, question in asked.items():
        if not question.path:
            raise UsageError(f"the route of {route.service} names no page to probe", "give --check-path")
        context.console.step(f"verify: {question} at {address}")
    _side_by_side(context, check, asked, orchestrator, containers)
    context.console.step(f"verify: answered by {few(addresses)}")


def _connections(
    context: Context,
    route: Route,
    check: Check,
    addresses: Collection[Address],
    check_alive: Callable[[], None],
) -> None:
    """A key stands in a header, and a connection has none: the proxy itself connects to each candidate."""
    context.console.step(f"verify: connections to {few(addresses)}")

    def pause(seconds: float) -> None:
        check_alive()
        time.sleep(seconds)

    deadline = context.deadline.within(check.timeout)
    if addresses:
        probe.until_connected(context, route.service, addresses, deadline, sleep=pause)
    context.console.step(f"verify: taken by {few(addresses)}")


def _question(context: Context, route: Route, check: Check, key: Key, address: Address) -> probe.Question:
    headers = {KEY_HEADER: key.text, probe.INSTANCE_HEADER: str(address)}
    return probe.question(context.settings.entry, route, check, headers, cacert=context.settings.proxy_cacert)


def _side_by_side(
    context: Context,
    check: Check,
    asked: dict[Address, probe.Question],
    orchestrator: Orchestrator | None,
    containers: Sequence[Container],
) -> None:
    from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor
    from concurrent.futures import wait as wait_for

    failed = threading.Event()

    def pause(seconds: float) -> None:
        if failed.wait(seconds):
            raise _NotWanted

    def ask(address: Address) -> Address:
        deadline = context.deadline.within(check.timeout)
        patience = check.timeout * _ERROR_SHARE
        return probe.until_new(asked[address], [address], deadline, context.timing, error_seconds=patience, sleep=pause)

    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        left = {pool.submit(ask, address) for address in asked}
        while left:
            done, left = wait_for(left, timeout=context.timing.poll, return_when=FIRST_EXCEPTION)
            failures = [error for future in done if (error := future.exception())]
            if failures or left:
                # A container that died: its last lines say more than the proxy's 503.
                _check_alive(orchestrator, containers)
            if failures:
                raise failures[0]
    finally:
        failed.set()
        # Whoever still waits for an answer ends by itself: nobody waits for that.
        pool.shutdown(wait=False, cancel_futures=True)


def _check_alive(orchestrator: Orchestrator | None, containers: Sequence[Container]) -> None:
    if orchestrator is not None:
        wait.check_alive(orchestrator, containers)

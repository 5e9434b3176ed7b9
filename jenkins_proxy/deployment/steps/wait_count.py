"""Waiting for a number of instances, whoever started them, and how a registry's entries are waited for."""

from __future__ import annotations

from collections.abc import Sequence

from jenkins_proxy import retry
from jenkins_proxy.deployment.context import Context
from jenkins_proxy.errors import RegistryError, WaitTimeout
from jenkins_proxy.model import PASSING, Instance
from jenkins_proxy.validation import few


def entries(context: Context, service: str, index: int) -> tuple[list[Instance], int]:
    """A service's entries, and the index to ask with next, after a change or a moment; one that is away is waited for.

    :param index: of the answer before; 0 for the first one, which comes at once.
    """
    # The first answer comes at once; the next ones when something has changed.
    # The registry answers when an entry changes; the engine does not, so the wait ends to ask it.
    wait = min(context.timing.poll, context.deadline.remaining) if index else 0.0
    try:
        return context.registry.instances(service, index=index, wait=wait)
    except RegistryError as error:
        context.console.warning(f"{error.message}; waiting for it to come back")
        answer = retry.retry(lambda: context.registry.instances(service), context.deadline, (RegistryError,))
        context.console.step("the registry is back")
        return answer


class Progress:
    """Says how far a wait is: when the number changes, and every few seconds."""

    def __init__(self, context: Context, service: str, wanted: int) -> None:
        self._context, self._service, self._wanted = context, service, wanted
        self._said: tuple[int, float] = (-1, 0.0)

    def show(self, ready: int, missing: Sequence[str] = ()) -> None:
        """:param missing: what is waited for, by name."""
        deadline = self._context.deadline
        if ready != self._said[0] or deadline.elapsed - self._said[1] >= self._context.timing.progress:
            self._said = (ready, deadline.elapsed)
            passing = f"{ready}/{self._wanted} instances passing"
            if ready < self._wanted:
                passing += f", {self._wanted - ready} to come" + (f": {few(missing)}" if missing else "")
            self._context.console.step(f"waiting for {self._service}: {passing} ({deadline})")


def for_count(context: Context, service: str, count: int, *, settle: float = 0.0) -> list[Instance]:
    """Come back when the registry shows at least so many passing instances.

    :raises WaitTimeout: when the context's deadline passes, with what each of the others is.
    :raises RegistryError: when the registry is not there, or goes away and does not come back in time.
    """
    progress = Progress(context, service, count)
    since = None
    # A registry that is not there at first is at a wrong address: that is said at once.
    instances, index = context.registry.instances(service)
    while True:
        passing = [instance for instance in instances if instance.status == PASSING]
        progress.show(len(passing))
        clock = context.deadline.elapsed
        since = (since if since is not None else clock) if len(passing) >= count else None
        if since is not None and clock - since >= settle:
            return passing
        if context.deadline.expired:
            unready = (
                f"{i.id} at {i.address} is {i.status}: {' '.join(i.output.split())[:200]}"
                for i in instances
                if i.status != PASSING
            )
            others = few(unready, separator="; ")
            raise WaitTimeout(
                f"{service}: {len(passing)}/{count} instances passing after {context.deadline.seconds:g} s"
                + (f": {others}" if others else ""),
                ""
                if instances
                else f"the registry has no service {service}: is it deployed, and does a registrator run?",
            )
        instances, index = entries(context, service, index)

"""The entries of containers that are gone: their registrator takes them out, and where it is away this does."""

from __future__ import annotations

from collections.abc import Sequence

from jenkins_proxy.deployment.context import Context
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.model import Instance
from jenkins_proxy.retry import retry


class _StillThere(Exception):
    """The registry shows entries that are to leave."""

    def __init__(self, entries: Sequence[Instance]) -> None:
        super().__init__(f"{len(entries)} entries")
        self.entries = list(entries)


def leave(context: Context, entries: Sequence[Instance]) -> tuple[list[Instance], list[Instance]]:
    """Come back when these entries are out of the registry.

    :param entries: of containers that are gone.
    :return: those that had to be taken out, as their registrator has missed it, and those that are still there: another
        agent of Consul has them, or the token may not.
    """
    try:
        retry(
            lambda: _check(context, entries),
            context.deadline.within(context.timing.stale_grace),
            (_StillThere,),
            max_pause=0.5,
        )
    except _StillThere as there:
        stale = there.entries
    else:
        return [], []
    for instance in stale:
        context.confirm()
        try:
            context.registry.deregister(instance.id)
        except RegistryError as error:
            context.console.warning(f"entry {instance.id} at {instance.address} is not taken out: {error.message}")
    left = _present(context, stale)
    gone = [instance for instance in stale if instance not in left]
    for instance in gone:
        context.console.step(f"entry {instance.id} at {instance.address} is taken out: its registrator had missed it")
    for instance in left:
        context.console.warning(
            f"entry {instance.id} at {instance.address} is still there: the Consul agent of {instance.node} has it; "
            "deregister it there, or start the registrator of its node"
        )
    return gone, left


def _check(context: Context, entries: Sequence[Instance]) -> None:
    there = _present(context, entries)
    if there:
        raise _StillThere(there)


def _present(context: Context, entries: Sequence[Instance]) -> list[Instance]:
    """Those of the entries that the registry still shows, at the same address."""
    names = dict.fromkeys(instance.service for instance in entries)
    now = {(i.id, i.address) for name in names for i in context.registry.instances(name)[0]}
    return [instance for instance in entries if (instance.id, instance.address) in now]

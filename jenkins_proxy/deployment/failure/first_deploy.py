"""What a first deploy has made beside its candidates, once these are taken away: needs, networks and the like."""

from __future__ import annotations

from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.strategies import colors
from jenkins_proxy.deployment.strategies.record import DeployRecord
from jenkins_proxy.orchestrator.base import AUTO, Snapshot


def undo(record: DeployRecord, context: Context) -> list[str]:
    """Remove it, where nothing else of the project has come that may use it.

    :param record: of a deploy whose candidates are gone. One that had something to replace has made nothing of its own.
    :return: what of it is still there, in words.
    """
    if record.old or record.belongings is None:
        return []
    base = colors.orchestrator(context, colors.place(context, record).project, record.orchestrator or AUTO)
    there = {container.service for container in base.containers()}
    mine = [name for name in record.absent if name in there]
    if there - set(mine):
        return [f"service {name}" for name in mine]
    if mine:
        context.confirm()
        context.console.step(f"removing what it had started beside: {', '.join(mine)}")
        base.restore([Snapshot(name) for name in mine], deadline=context.deadline)
    context.confirm()
    return base.remove_belongings(record.belongings, deadline=context.deadline)

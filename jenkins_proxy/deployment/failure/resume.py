"""After a deploy that was broken off: undo what it had not proven, so that the next one begins from what served."""

from __future__ import annotations

from dataclasses import dataclass

from jenkins_proxy.deployment.context import Context, Ready
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.strategies import select
from jenkins_proxy.errors import Stopped

_UNKNOWN = "of what the deploy before had left, some may be left still"
_IN_ORDER = "what the deploy before had left is in order, and nothing else was changed"


@dataclass(frozen=True)
class Recovery:
    """What became of a deploy that was broken off.

    :ivar count: how many instances it wanted; 0 when the last deploy had ended in order.
    :ivar text: what is so now, in words; empty when nothing was to be done.
    :ivar error: why things could not be put in order; else None.
    """

    count: int = 0
    text: str = ""
    error: Exception | Stopped | None = None


def recover(intent_log: IntentLog, context: Context, ready: Ready) -> Recovery:
    """Put things in order where the deploy before this one was killed, or could not be reverted.

    How that goes is known to its strategy. The record stays, until the deploy that comes writes its own over it.

    :param ready: for the deploy that comes.
    """
    text = ""
    try:
        record = intent_log.read()
        if record is not None:
            text = _UNKNOWN
            context.console.warning(
                f"the deploy begun at {record.since} was broken off while {record.phase} ({record.strategy})"
            )
        select.resume(record, intent_log.service, context, ready)
    except (Exception, Stopped) as error:
        return Recovery(text=text, error=error)
    return Recovery(record.count, _IN_ORDER) if record else Recovery()

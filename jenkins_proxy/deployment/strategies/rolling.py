"""The strategy ``rolling``: new containers next to the old ones, which go once the new have proven themselves."""

from __future__ import annotations

from collections.abc import Sequence

from jenkins_proxy.deployment.context import ROLLING
from jenkins_proxy.deployment.steps import drain
from jenkins_proxy.deployment.steps.candidates import Candidates
from jenkins_proxy.deployment.strategies.base import Situation, Strategy
from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator.base import SurgeOrchestrator


def batches(wanted: int, size: int) -> tuple[int, ...]:
    """How many containers each step starts.

    :param wanted: how many there shall be at the end.
    :param size: how many at a time; 0 means all at once.
    """
    size = size or wanted
    return tuple(min(size, wanted - done) for done in range(0, wanted, size))


def leaving(old: int, proven: int, wanted: int) -> int:
    """How many old containers make room before the next batch: as many as the proven new ones are worth.

    :param old: how many of them run still.
    :param proven: how many new ones serve already.
    :param wanted: how many there shall be at the end.
    """
    return max(0, min(old, old + proven - wanted)) if proven else 0


class Rolling(Strategy):
    """Requests are answered all the time: an old container is drained before it is stopped."""

    name = ROLLING
    orchestrator: SurgeOrchestrator

    def __init__(self, situation: Situation, orchestrator: SurgeOrchestrator, reason: str) -> None:
        super().__init__(situation, orchestrator, reason)
        self._old: list[Container] = list(self.before.running)
        self._new: list[Container] = []

    @property
    def steps(self) -> Sequence[int]:
        return batches(self.wanted, self.options.batch)

    @property
    def keep_running(self) -> Sequence[Container]:
        return self._old

    def bring_up(self, count: int) -> list[Container]:
        if not self._new:
            self.sides.start()
        self._retire(leaving(len(self._old), len(self._new), self.wanted))
        self._context.confirm()
        self._new += self.orchestrator.surge(self.target, count, deadline=self._context.deadline)
        return self._new

    def keep(self) -> Sequence[Container]:
        if len(self._new) >= self.wanted:
            return ()
        return [*self._old[leaving(len(self._old), len(self._new), self.wanted) :], *self.before.others]

    def finish(self, candidates: Candidates | None) -> None:
        self._retire(len(self._old))
        super().finish(candidates)
        self._context.confirm()
        for container in self.orchestrator.containers(self.target):
            if container.id in self.before.known:
                self.orchestrator.remove(container)  # it had ended: compose would start it in the place of a new one
        self.sides.bring_up_after(self.orchestrator)

    def describe(self) -> list[str]:
        size = f", {self.options.batch} at a time" if self.options.batch else ""
        size += f", {self.options.batch_delay:g} s apart" if len(self.steps) > 1 and self.options.batch_delay else ""
        return [
            *self.sides.describe(),
            f"start {self.wanted} new container(s) of {self.target} beside the old ones{size}",
        ]

    def describe_finish(self) -> list[str]:
        return [
            *(f"drain and remove {container.name}" for container in self._old),
            *super().describe_finish(),
            *self.sides.describe_after(),
        ]

    def _retire(self, count: int) -> None:
        leaving_now, self._old = self._old[:count], self._old[count:]
        drain.retire(self._context, self.orchestrator, self.before.route, leaving_now)

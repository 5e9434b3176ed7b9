"""The strategy ``recreate``: the article's plain ``up -d``, and the first deploy of a stack."""

from __future__ import annotations

from collections.abc import Sequence

from jenkins_proxy.deployment.context import RECREATE, Context
from jenkins_proxy.deployment.strategies.base import Strategy
from jenkins_proxy.deployment.strategies.record import Interrupted
from jenkins_proxy.model import Address, Container


class Recreate(Strategy):
    """Compose stops each old container and starts a new one in its place.

    The new ones are candidates that serve at once, as no proven instance can. A deploy of this kind that was broken off
    has nothing to go back to, as compose had removed the old containers.
    """

    name = RECREATE

    @property
    def proven(self) -> Sequence[Address] | None:
        # At the same address a new instance cannot be told from the one whose place it takes, which is gone by then.
        return () if self.ready.target.keeps_address else None

    def bring_up(self, count: int) -> list[Container]:
        self.sides.start()
        self._context.confirm()
        together = [self.target, *self.ready.sides.together]
        self.orchestrator.up(together, scale={self.target: count}, deadline=self._context.deadline)
        self.sides.bring_up_after(self.orchestrator)
        return self.orchestrator.current_containers(self.target, before=self.before.known)

    def keep(self) -> Sequence[Container]:
        # Compose leaves alone what is as the files say.
        old = {container.id for container in self.before.running}
        return [container for container in self.orchestrator.containers(self.target) if container.id in old]

    @classmethod
    def resume(cls, interrupted: Interrupted, context: Context) -> None:
        """The next deploy finishes its work, except that what nobody has ever used goes."""
        if interrupted.record.old or interrupted.promoted or interrupted.hold is None:
            context.console.step("going on from there")
        else:
            super().resume(interrupted, context)

    def describe(self) -> list[str]:
        together = "".join(f", and {name} in its network" for name in self.ready.sides.together)
        up = f"{self.orchestrator.name} up: {self.wanted} of {self.target}{together}"
        return [*self.sides.describe(), up, *self.sides.describe_after()]

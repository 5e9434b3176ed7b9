"""The strategy ``recreate``: the article's plain ``up -d``, and the first deploy of a stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jenkins_proxy.deployment.context import RECREATE
from jenkins_proxy.deployment.strategies.base import Strategy, present
from jenkins_proxy.model import Container


class Recreate(Strategy):
    """Compose stops each old container and starts a new one in its place."""

    name = RECREATE

    def bring_up(self, count: int) -> list[Container]:
        for services, scale in self._ups(count):
            self.orchestrator.up(services, scale=scale, deadline=self._context.deadline)
        return present(self.orchestrator, self.target, self.before.known)

    def describe(self) -> list[str]:
        return [
            f"{self.orchestrator.name} up: {', '.join(services) or 'all services'}"
            + "".join(f", {count} of {name}" for name, count in scale.items())
            for services, scale in self._ups(self.wanted)
        ]

    def _ups(self, count: int) -> list[tuple[Sequence[str], Mapping[str, int]]]:
        """Side services first, then the target, then what needs it; each with the counts that compose must be told.

        Without a count compose gives the target what its file says, whatever ran. A stack is deployed as a whole.
        """
        counts = {self.target: count}
        if not self.orchestrator.surges:
            return [((), counts)]
        before, after = self.ready.project.before(self.target), self.ready.project.after(self.target)
        return [entry for entry in ((before, {}), ([self.target], counts), (after, counts)) if entry[0]]

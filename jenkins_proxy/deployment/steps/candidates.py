"""A deploy's candidates, from the hold that makes them such to the end of it: verified, promoted, or taken back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from jenkins_proxy.deployment.context import Check, Context, DeployOptions
from jenkins_proxy.deployment.steps import hold as holds
from jenkins_proxy.deployment.steps import lock, verify
from jenkins_proxy.deployment.steps.hold import Hold, Key
from jenkins_proxy.model import Address, Container, Route
from jenkins_proxy.orchestrator.base import Orchestrator


@dataclass
class Candidates:
    """What joins the service from now on, and how it comes to serve.

    :ivar verified: the addresses that have proven themselves.
    :ivar promoted: whether users may have been let in: an answer that was lost leaves that open.
    """

    context: Context
    check: Check
    hold: Hold
    key: Key
    held: lock.Held
    verified: list[Address] = field(default_factory=list)
    promoted: bool = False

    @classmethod
    def begin(
        cls,
        context: Context,
        options: DeployOptions,
        route: Route,
        held: lock.Held,
        *,
        replace: str = "",
        proven: Sequence[Address] | None = None,
    ) -> Candidates:
        """Keep out whatever joins from now on.

        :param route: as it shall be in the end.
        :param replace: the ID of a hold that this one takes the place of.
        :param proven: the instances that are none of them; those that serve now when it is None.
        """
        key = Key.of(context)
        with context.phases.phase("hold"):
            held.ensure_held()
            seconds, kept = options.hold_timeout, options.hold
            hold = holds.put(context, route, key, seconds=seconds, kept=kept, replace=replace, proven=proven)
        serving = f"{len(hold.serving)} instance(s) serve meanwhile" if hold.serving else "none serves yet"
        context.console.step(f"hold {hold.id}: what joins {route.service} now is kept from users; {serving}")
        return cls(context, options.check, hold, key, held)

    def renew(self, proven: Sequence[Address]) -> None:
        """Keep out whatever joins from now on, also at an address that has served before.

        :param proven: the instances that serve meanwhile, and are no candidates.
        """
        self.key = Key.new()
        with self.context.phases.phase("hold"):
            self.held.ensure_held()
            seconds = max(1.0, self.hold.until - time.time())
            route, replaced = self.hold.route, self.hold.id
            self.hold = holds.put(self.context, route, self.key, seconds=seconds, replace=replaced, proven=proven)
        self.verified = []

    def verify(
        self,
        addresses: Sequence[Address],
        orchestrator: Orchestrator | None = None,
        containers: Sequence[Container] = (),
    ) -> None:
        """Come back when each of these has answered well. Those that have before are not asked again."""
        new = [address for address in addresses if address not in self.verified]
        with self.context.phases.phase("verify"):
            verify.candidates(
                self.context,
                self.hold.route,
                self.check,
                self.key,
                new,
                orchestrator=orchestrator,
                containers=containers,
            )
        self.verified += new

    def promote(self, addresses: Sequence[Address], keep: Sequence[Address] = ()) -> None:
        """Let users in to these addresses.

        :param keep: those of before that go on serving beside them.
        """
        with self.context.phases.phase("promote"):
            self.held.ensure_held()
            self.promoted = True
            holds.promote(self.context, self.hold, list(addresses), list(keep))

    def demote(self, context: Context) -> None:
        """Lead users back to those of before."""
        if self.promoted:
            holds.demote(context, self.hold)

    def end(self, context: Context) -> None:
        """From now on the service is as any other."""
        holds.end(context, self.hold.route.service, self.hold.id)

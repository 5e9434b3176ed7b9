"""Whether what is registered at the registry's agent is in its catalog, too, which is all that others see.

An agent takes an entry at once and hands it to Consul's servers later. When they refuse it, for example as the node's
name is another's, the agent says so in its own log alone: here it is said where the entries come from.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping

from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.models import Node
from jenkins_proxy.clients.consul.node_names import reserved
from jenkins_proxy.clients.consul.requests import RegistryRefused
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.registrator.sync import Timing

_LOG = logging.getLogger(__name__)

_FORBIDDEN = 403


class CatalogWatch:
    """Looks for entries that stay at the agent, and says so once.

    :param registered: gives the IDs of the entries that this host has at its agent.
    :param clock: seconds that never run backwards.
    """

    def __init__(
        self,
        registry: AsyncConsul,
        registered: Callable[[], Collection[str]],
        timing: Timing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry, self._registered = registry, registered
        self._timing, self._clock = timing, clock
        self._since: dict[str, float] = {}
        self._seen: frozenset[str] = frozenset()
        self._said = ""

    async def run(self) -> None:
        """Look soon after a new entry and from time to time, until cancelled. Without ``agent:read`` it ends."""
        looked = self._clock()
        while True:
            await asyncio.sleep(self._timing.catalog_within)
            unseen = not self._seen.issuperset(self._registered())
            if not unseen and self._clock() - looked < self._timing.compare_every:
                continue
            looked = self._clock()
            try:
                await self.look()
            except RegistryRefused as error:
                if error.status == _FORBIDDEN:
                    return
            except RegistryError:
                # What follows the registry has logged it.
                continue

    async def look(self) -> None:
        """Ask once, and say what has changed.

        :raises RegistryError: when the registry does not answer.
        """
        agent = await self._registry.agent_node()
        catalog = await self._registry.catalog_node(agent.name)
        registered = frozenset(self._registered())
        now = self._clock()
        unseen = missing(agent, catalog, registered)
        self._seen = registered - unseen
        self._since = {entry_id: self._since.get(entry_id, now) for entry_id in unseen}
        waiting = {entry_id: now - since for entry_id, since in self._since.items()}
        said = complaint(agent, catalog, waiting, self._timing)
        if said and said[0] != self._said:
            _LOG.warning("%s", said[0], extra={"hint": said[1]})
        elif self._said and not unseen:
            _LOG.info("the catalog has this host's entries now")
        self._said = said[0] if said else self._said if unseen else ""


def missing(agent: Node, catalog: Node | None, registered: frozenset[str]) -> frozenset[str]:
    """The entries of an agent that its catalog does not have. Pure.

    What another node has under these IDs is no sign of them; and a catalog without the node may be one that is hidden.
    """
    if catalog is None:
        return frozenset()
    return registered if reserved(agent, catalog) else registered - catalog.entries


def complaint(
    agent: Node, catalog: Node | None, waiting: Mapping[str, float], timing: Timing
) -> tuple[str, str] | None:
    """What to say of entries that the catalog does not have, and the next step; None while it is too early. Pure.

    :param waiting: by an entry's ID the seconds for which it is known to be missing.
    """
    longest = max(waiting.values(), default=0.0)
    taken = reserved(agent, catalog)
    if taken and longest >= timing.catalog_within:
        return taken
    if longest < timing.catalog_resync:
        return None
    first = min(waiting, key=lambda entry_id: (-waiting[entry_id], entry_id))
    return (
        f"{len(waiting)} entries are at the Consul agent of {agent.name}, and not in the catalog, where others look: "
        f"{first}, for example",
        "that agent's log says why its servers do not take them",
    )

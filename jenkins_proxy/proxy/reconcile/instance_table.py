"""The instances of services of the registry, and which of them have not answered yet. No task, no socket."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from jenkins_proxy.model import Address, Instance
from jenkins_proxy.proxy.reconcile.instances import Reading


class InstanceTable:
    """What the registry reported last of each of its services, by the service's name there."""

    def __init__(self) -> None:
        self._reported: dict[str, Reading] = {}
        self._not_ready: dict[str, Mapping[Address, float]] = {}

    def reported(self, registry_name: str) -> tuple[Instance, ...] | None:
        """The instances of a service of the registry; None where it has not reported."""
        known = self._reported.get(registry_name)
        return known.instances if known else None

    def known(self, registry_name: str) -> tuple[Instance, ...]:
        """The instances of a service of the registry; none where it has not reported."""
        return self.reported(registry_name) or ()

    def knows_newer(self, registry_name: str, index: int) -> bool:
        """Whether the instances of a service are known from a later answer of the registry than one of this index."""
        known = self._reported.get(registry_name)
        return known is not None and known.index > index

    def take(self, registry_name: str, instances: Sequence[Instance], index: int = 0) -> bool:
        """Take the instances of a service.

        :param index: of the answer that they are from; 0 where it is not known.
        :return: whether they differ from what was known.
        """
        known, self._reported[registry_name] = self._reported.get(registry_name), Reading(tuple(instances), index)
        return known is None or known.instances != self._reported[registry_name].instances

    def set_not_ready(self, registry_name: str, since: Mapping[Address, float]) -> None:
        """Say which instances of a service of the registry have not answered yet: they shall not serve.

        :param since: the monotonic time since which each has not.
        """
        if since:
            self._not_ready[registry_name] = since
        else:
            self._not_ready.pop(registry_name, None)

    def not_ready(self, registry_name: str) -> Mapping[Address, float]:
        """The instances of a service of the registry that have not answered yet, and since when."""
        return self._not_ready.get(registry_name, {})

    def keep(self, needed: Collection[str]) -> None:
        """Forget the instances of all other services: when one is needed again, they would be old."""
        self._reported = {name: own for name, own in self._reported.items() if name in needed}

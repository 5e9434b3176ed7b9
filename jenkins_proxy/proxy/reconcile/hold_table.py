"""The holds as they are known here, and which servers of held services HAProxy reports down. No task, no socket."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from jenkins_proxy.model import Address
from jenkins_proxy.proxy.holds import Hold, Holds


class HoldTable:
    """What the store reported last, and what was written here since.

    :ivar index: of the store when its holds were read last.
    :ivar store_id: identifies the store that the holds are from.
    """

    def __init__(self, stored: Holds = Holds()) -> None:  # noqa: B008 - frozen
        self._holds: dict[str, Hold] = dict(stored.holds)
        self.store_id = stored.store_id
        self.index = 0
        self._ended: dict[str, int] = {}
        self._down: dict[str, frozenset[Address]] = {}

    @property
    def all(self) -> Mapping[str, Hold]:
        """The holds by service."""
        return self._holds

    @property
    def known(self) -> Holds:
        """The holds with the ID of their store."""
        return Holds(self._holds, self.index, self.store_id)

    def get(self, service: str) -> Hold | None:
        return self._holds.get(service)

    def keeps_out(self, services: Collection[str], address: Address) -> bool:
        """Whether a deploy of one of these services keeps an instance from users, and asks it by itself."""
        return any(hold and address not in hold.serving for hold in map(self._holds.get, services))

    def put(self, hold: Hold) -> None:
        """Take a hold that was just stored."""
        own = self._holds.get(hold.service)
        if not own or own.version <= hold.version:
            self._holds[hold.service] = hold

    def end(self, service: str, version: int) -> None:
        """Forget a hold that was just ended.

        :param version: the last that it had.
        """
        own = self._holds.get(service)
        if own and own.version <= version:
            del self._holds[service]
        self._ended[service] = version
        self._down.pop(service, None)

    def take(self, snapshot: Holds) -> tuple[set[str], list[Hold]]:
        """Take what the store reports.

        As with routes, a snapshot may be older than what was put or ended here, and a registry that lost its data has
        less than this proxy: what it lacks is returned, to be written to it again. Otherwise candidates would meet
        users because a registry was wiped.

        :return: the services whose holds changed, and the holds that the store is missing.
        """
        lost = bool(self.store_id) and snapshot.store_id != self.store_id
        if lost:
            self._ended.clear()
        self.store_id = snapshot.store_id or self.store_id
        self.index = snapshot.index
        merged: dict[str, Hold] = {}
        for name, reported in snapshot.holds.items():
            own = self._holds.get(name)
            if reported.version > self._ended.get(name, 0):
                merged[name] = own if own and own.version > reported.version and not lost else reported
        missing = [
            own for name, own in self._holds.items() if name not in merged and (lost or own.version > snapshot.index)
        ]
        merged.update((own.service, own) for own in missing)
        changed = {name for name in merged.keys() | self._holds.keys() if merged.get(name) != self._holds.get(name)}
        self._holds = merged
        for name in self._down.keys() - merged.keys():
            del self._down[name]
        return changed, missing if lost else []

    def set_down(self, service: str, addresses: Collection[Address]) -> bool:
        """Say which servers of a held service HAProxy reports down. :return: whether that is new."""
        before = self.down(service)
        if addresses:
            self._down[service] = frozenset(addresses)
        else:
            self._down.pop(service, None)
        return before != self.down(service)

    def down(self, service: str) -> frozenset[Address]:
        """The servers of a held service that HAProxy reports down."""
        return self._down.get(service, frozenset())

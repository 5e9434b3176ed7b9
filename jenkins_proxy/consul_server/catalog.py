"""Nodes, services and checks: what is registered, and which queries a change concerns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from jenkins_proxy.consul_server.state_store import Row, Store
from jenkins_proxy.model import CRITICAL

SERVICES = "services"
NODES = "nodes"
_EXTINCTION = "extinction"
_INDEXES = ("CreateIndex", "ModifyIndex")


class Catalog:
    """The catalog over the tables ``nodes``, ``services`` and ``checks``.

    :param store: the tables.
    :ivar on_critical: called with ``(node, check_id)`` of a check that became critical or went away: sessions depend
        on checks.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._nodes = store.tables["nodes"]
        self._services = store.tables["services"]
        self._checks = store.tables["checks"]
        self._by_name: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._checks_of: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.on_critical: Callable[[str, str], None] = lambda _node, _check_id: None
        for key, row in self._services.items():
            self._by_name[row["Service"]].add(key)
        for (node, check_id), row in self._checks.items():
            self._checks_of[node, row["ServiceID"]].add(check_id)

    # The indexes of queries.

    def service_index(self, name: str) -> int:
        """A service that is gone, or never was, has the index of the last one that went: above all that it had."""
        return self._store.index_of(("service", name), self._store.index_of(_EXTINCTION))

    # Reading.

    def node(self, node: str) -> Row | None:
        return self._nodes.get(node)

    def nodes(self) -> list[Row]:
        return [self._nodes[name] for name in sorted(self._nodes)]

    def service(self, node: str, service_id: str) -> Row | None:
        return self._services.get((node, service_id))

    def services_on(self, node: str) -> list[Row]:
        return [row for (at, _), row in sorted(self._services.items()) if at == node]

    def names(self) -> dict[str, list[str]]:
        """Every service's name with all its tags."""
        return {
            name: sorted({tag for key in keys for tag in self._services[key]["Tags"]})
            for name, keys in sorted(self._by_name.items())
        }

    def instances(self, name: str) -> list[tuple[Row, Row]]:
        """The entries of a service, each with its node."""
        return [(self._nodes[node], self._services[node, id_]) for node, id_ in sorted(self._by_name.get(name, ()))]

    def check(self, node: str, check_id: str) -> Row | None:
        return self._checks.get((node, check_id))

    def checks_of(self, node: str, service_id: str) -> list[Row]:
        """The checks of an entry; those of the node itself with an empty ID."""
        return [self._checks[node, check_id] for check_id in sorted(self._checks_of.get((node, service_id), ()))]

    def checks_on(self, node: str) -> list[Row]:
        return [row for (at, _), row in sorted(self._checks.items()) if at == node]

    def checks_of_name(self, name: str) -> list[Row]:
        found = [check for node, id_ in self._by_name.get(name, ()) for check in self.checks_of(node, id_)]
        return sorted(found, key=lambda check: (check["Node"], check["CheckID"]))

    def checks_in(self, state: str) -> list[Row]:
        return [row for _, row in sorted(self._checks.items()) if state in ("any", row["Status"])]

    # Writing: each returns whether anything changed; an equal row wakes nobody.

    def put_node(self, row: Row) -> bool:
        node = row["Node"]
        if not self._put("nodes", node, row):
            return False
        self._store.touch(NODES, ("node", node))
        self._touch_names(service["Service"] for service in self.services_on(node))
        return True

    def put_service(self, node: str, row: Row) -> bool:
        key = (node, row["ID"])
        old = self._services.get(key)
        if not self._put("services", key, row):
            return False
        if old and old["Service"] != row["Service"]:
            self._leave(old["Service"], key)
        self._by_name[row["Service"]].add(key)
        self._touch_names([row["Service"]])
        self._store.touch(SERVICES, ("node", node))
        # A check carries its service's name and tags.
        for check in self.checks_of(*key):
            self.put_check({**check, "ServiceName": row["Service"], "ServiceTags": row["Tags"]})
        return True

    def put_check(self, row: Row) -> bool:
        key = (row["Node"], row["CheckID"])
        old = self._checks.get(key)
        if old and {**old, "Output": row["Output"]} == {**old, **_content(row)}:
            # A new text for the same verdict, at each run perhaps: whoever asks sees it, nobody is woken for it.
            old["Output"] = row["Output"]
            return False
        self._put("checks", key, row)
        if old and old["ServiceID"] != row["ServiceID"]:
            self._checks_of[row["Node"], old["ServiceID"]].discard(row["CheckID"])
        self._checks_of[row["Node"], row["ServiceID"]].add(row["CheckID"])
        self._touch_check(row, {row["Status"]} | ({old["Status"]} if old else set()))
        if row["Status"] == CRITICAL:
            self.on_critical(*key)
        return True

    def remove_service(self, node: str, service_id: str) -> bool:
        row = self._services.get((node, service_id))
        if row is None:
            return False
        for check in self.checks_of(node, service_id):
            self.remove_check(node, check["CheckID"])
        self._checks_of.pop((node, service_id), None)
        self._store.drop("services", (node, service_id))
        self._leave(row["Service"], (node, service_id))
        self._store.touch(SERVICES, ("node", node))
        return True

    def remove_check(self, node: str, check_id: str) -> bool:
        row = self._checks.get((node, check_id))
        if row is None:
            return False
        self._store.drop("checks", (node, check_id))
        self._checks_of[node, row["ServiceID"]].discard(check_id)
        self._touch_check(row, {row["Status"]})
        self.on_critical(node, check_id)
        return True

    def remove_node(self, node: str) -> bool:
        if node not in self._nodes:
            return False
        for service in self.services_on(node):
            self.remove_service(node, service["ID"])
        for check in self.checks_on(node):
            self.remove_check(node, check["CheckID"])
        self._store.drop("nodes", node)
        self._store.touch(NODES, ("node", node))
        return True

    def _put(self, table: str, key: Any, row: Row) -> bool:
        old = self._store.tables[table].get(key)
        index = self._store.index
        if old and _content(old) == _content(row):
            return False
        created = old["CreateIndex"] if old else index
        self._store.put(table, key, {**row, "CreateIndex": created, "ModifyIndex": index})
        return True

    def _leave(self, name: str, key: tuple[str, str]) -> None:
        self._by_name[name].discard(key)
        if self._by_name[name]:
            self._touch_names([name])
        else:
            del self._by_name[name]
            self._store.touch(_EXTINCTION)
            self._store.forget(("service", name))

    def _touch_names(self, names: Iterable[str]) -> None:
        self._store.touch(*(("service", name) for name in set(names)))

    def _touch_check(self, row: Row, states: set[str]) -> None:
        node = row["Node"]
        self._store.touch(("state", "any"), ("checks", node), *(("state", state) for state in states))
        if row["ServiceID"]:
            self._touch_names([row["ServiceName"]])
        else:
            self._touch_names(service["Service"] for service in self.services_on(node))


def _content(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in _INDEXES}

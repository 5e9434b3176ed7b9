"""Nodes, services and checks: what is registered, and which queries a change concerns.

Look-ups fold case, as Consul's do: names of services and nodes, and tags. What is answered has the letters that were
registered. IDs are an agent's own, and differ by case there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from jenkins_proxy.consul_server.state.state_store import Row, Store
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
        self._spelt: dict[str, str] = {node.lower(): node for node in self._nodes}
        self.on_critical: Callable[[str, str], None] = lambda _node, _check_id: None
        for key, row in self._services.items():
            self._by_name[row["Service"].lower()].add(key)
        for (node, check_id), row in self._checks.items():
            self._checks_of[node, row["ServiceID"]].add(check_id)

    # The indexes of queries.

    def service_index(self, name: str) -> int:
        """A service that is gone, or never was, has the index of the last one that went: above all that it had."""
        return self._store.index_of(service_topic(name), self._store.index_of(_EXTINCTION))

    # Reading.

    def spelling(self, node: str) -> str:
        """A node's name as it was registered; the given one, when there is none."""
        return self._spelt.get(node.lower(), node)

    def node(self, node: str) -> Row | None:
        return self._nodes.get(self.spelling(node))

    def nodes(self) -> list[Row]:
        return [self._nodes[name] for name in sorted(self._nodes, key=str.lower)]

    def service(self, node: str, service_id: str) -> Row | None:
        return self._services.get((node, service_id))

    def service_folded(self, node: str, service_id: str) -> Row | None:
        """An entry by its ID in any case: the catalog, other than an agent, does not tell them apart."""
        exact = self.service(node, service_id)
        wanted = service_id.lower()
        return exact or next((row for row in self.services_on(node) if row["ID"].lower() == wanted), None)

    def services_on(self, node: str) -> list[Row]:
        return [row for (at, _), row in sorted(self._services.items(), key=_folded) if at == node]

    def names(self) -> dict[str, list[str]]:
        """Every service's name with all its tags."""
        tags: dict[str, set[str]] = defaultdict(set)
        for row in self._services.values():
            tags[row["Service"]].update(row["Tags"])
        return {name: sorted(found) for name, found in sorted(tags.items())}

    def instances(self, name: str) -> list[tuple[Row, Row]]:
        """The entries of a service, each with its node."""
        keys = sorted(self._by_name.get(name.lower(), ()), key=lambda key: (key[0].lower(), key[1].lower()))
        return [(self._nodes[node], self._services[node, id_]) for node, id_ in keys]

    def check(self, node: str, check_id: str) -> Row | None:
        return self._checks.get((node, check_id))

    def check_folded(self, node: str, check_id: str) -> Row | None:
        """A check by its ID in any case, on a node in any case."""
        at, wanted = self.spelling(node), check_id.lower()
        exact = self.check(at, check_id)
        return exact or next((row for row in self.checks_on(at) if row["CheckID"].lower() == wanted), None)

    def checks_of(self, node: str, service_id: str) -> list[Row]:
        """The checks of an entry; those of the node itself with an empty ID."""
        return [self._checks[node, check_id] for check_id in sorted(self._checks_of.get((node, service_id), ()))]

    def checks_on(self, node: str) -> list[Row]:
        return [row for (at, _), row in sorted(self._checks.items(), key=_folded) if at == node]

    def checks_of_name(self, name: str) -> list[Row]:
        found = [check for node, id_ in self._by_name.get(name.lower(), ()) for check in self.checks_of(node, id_)]
        return sorted(found, key=lambda check: (check["Node"], check["CheckID"]))

    def checks_in(self, state: str) -> list[Row]:
        return [row for _, row in sorted(self._checks.items()) if state in ("any", row["Status"])]

    # Writing: each returns whether anything changed; an equal row wakes nobody.

    def put_node(self, row: Row) -> bool:
        node = row["Node"]
        if not self._put("nodes", node, row):
            return False
        self._spelt[node.lower()] = node
        self._store.touch(NODES, node_topic(node))
        self._touch_names(service["Service"] for service in self.services_on(node))
        return True

    def put_service(self, node: str, row: Row) -> bool:
        key = (node, row["ID"])
        old = self._services.get(key)
        if not self._put("services", key, row):
            return False
        if old and old["Service"] != row["Service"]:
            self._leave(old["Service"], key)
        self._by_name[row["Service"].lower()].add(key)
        self._touch_names([row["Service"]])
        self._store.touch(SERVICES, node_topic(node))
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
        self._store.touch(SERVICES, node_topic(node))
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
        del self._spelt[node.lower()]
        self._store.touch(NODES, node_topic(node))
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
        folded = name.lower()
        self._by_name[folded].discard(key)
        if self._by_name[folded]:
            self._touch_names([name])
        else:
            del self._by_name[folded]
            self._store.touch(_EXTINCTION)
            self._store.forget(service_topic(name))

    def _touch_names(self, names: Iterable[str]) -> None:
        self._store.touch(*{service_topic(name) for name in names})

    def _touch_check(self, row: Row, states: set[str]) -> None:
        node = row["Node"]
        self._store.touch(("state", "any"), checks_topic(node), *(("state", state) for state in states))
        if row["ServiceID"]:
            self._touch_names([row["ServiceName"]])
        else:
            self._touch_names(service["Service"] for service in self.services_on(node))


def service_topic(name: str) -> Hashable:
    """What a query for a service waits for."""
    return "service", name.lower()


def node_topic(node: str) -> Hashable:
    """What a query for a node waits for."""
    return "node", node.lower()


def checks_topic(node: str) -> Hashable:
    """What a query for the checks on a node waits for."""
    return "checks", node.lower()


def _folded(item: tuple[tuple[str, str], Row]) -> tuple[str, str]:
    (node, id_), _ = item
    return node.lower(), id_.lower()


def _content(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in _INDEXES}

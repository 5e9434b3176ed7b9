"""Key/value pairs and the locks on them."""

from __future__ import annotations

import base64
import bisect
from typing import Any

from jenkins_proxy.consul_server.state.state_store import Row, Store

_DELETED = "kv-deleted"


class Keys:
    """The key/value table, a row a key in the shape of ``/v1/kv``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: dict[str, Row] = store.tables["kv"]
        self._sorted = sorted(self._rows)

    def get(self, key: str) -> tuple[Row | None, int]:
        """A row and its index; a key that is not there has the index of the last deletion."""
        row = self._rows.get(key)
        return row, row["ModifyIndex"] if row else self._store.index_of(_DELETED)

    def below(self, prefix: str) -> tuple[list[Row], int]:
        """The rows whose keys begin with the prefix, in order, and their index: a deletion raises it too."""
        rows = [self._rows[key] for key in self.names(prefix)]
        return rows, max([self._store.index_of(_DELETED), *(row["ModifyIndex"] for row in rows)])

    def names(self, prefix: str) -> list[str]:
        """The keys that begin with the prefix, in order."""
        first = bisect.bisect_left(self._sorted, prefix)
        names = []
        for key in self._sorted[first:]:
            if not key.startswith(prefix):
                break
            names.append(key)
        return names

    def set(self, key: str, value: bytes, flags: int) -> None:
        """Write a key; whoever holds its lock keeps it, though the lock's count starts anew, as in Consul."""
        old = self._rows.get(key)
        self._put(key, value, flags, 0, old.get("Session", "") if old else "")

    def check_and_set(self, key: str, value: bytes, flags: int, index: int) -> bool:
        """Write a key if its modify index is this; 0: if it is not there."""
        old = self._rows.get(key)
        if (old["ModifyIndex"] if old else 0) != index:
            return False
        self.set(key, value, flags)
        return True

    def lock(self, key: str, value: bytes, flags: int, session: str) -> bool:
        """Write a key and hold its lock, unless another session holds it."""
        old = self._rows.get(key)
        holder = old.get("Session", "") if old else ""
        if holder not in ("", session):
            return False
        count = old["LockIndex"] if old else 0
        self._put(key, value, flags, count if holder else count + 1, session)
        return True

    def unlock(self, key: str, value: bytes, flags: int, session: str) -> bool:
        """Write a key and give up its lock, if the session holds it."""
        old = self._rows.get(key)
        if not old or old.get("Session", "") != session:
            return False
        self._put(key, value, flags, old["LockIndex"], "")
        return True

    def delete(self, key: str) -> None:
        """Delete a key, if it is there."""
        if key in self._rows:
            self._store.drop("kv", key)
            self._sorted.pop(bisect.bisect_left(self._sorted, key))
            self._store.touch(_DELETED)
            self._wake(key)

    def check_and_delete(self, key: str, index: int) -> bool:
        """Delete a key if its modify index is this; one that is not there counts as deleted, but not for 0."""
        row = self._rows.get(key)
        if row is None:
            return True
        if row["ModifyIndex"] != index:
            return False
        self.delete(key)
        return True

    def release(self, session: str, delete: bool) -> list[str]:
        """Free, or delete, the keys that an ended session holds.

        :return: the keys.
        """
        held = [key for key, row in self._rows.items() if row.get("Session") == session]
        for key in held:
            row = self._rows[key]
            if delete:
                self.delete(key)
            else:
                self._put(key, _value(row), row["Flags"], row["LockIndex"], "")
        return held

    def _put(self, key: str, value: bytes, flags: int, lock_index: int, session: str) -> None:
        old = self._rows.get(key)
        row: dict[str, Any] = {
            "LockIndex": lock_index,
            "Key": key,
            "Flags": flags,
            "Value": base64.b64encode(value).decode() if value else None,
        }
        if session:
            row["Session"] = session
        if old and {**row, "CreateIndex": old["CreateIndex"], "ModifyIndex": old["ModifyIndex"]} == old:
            return  # the same again wakes nobody
        row["CreateIndex"] = old["CreateIndex"] if old else self._store.index
        row["ModifyIndex"] = self._store.index
        self._store.put("kv", key, row)
        if old is None:
            bisect.insort(self._sorted, key)
        self._wake(key)

    def _wake(self, key: str) -> None:
        self._store.wake(("key", key))
        # A look-up for each beginning of the key instead of one for each prefix that is watched.
        for end in range(len(key) + 1):
            self._store.wake(("prefix", key[:end]))


def _value(row: Row) -> bytes:
    return base64.b64decode(row["Value"] or "")

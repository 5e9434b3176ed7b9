"""The embedded registry's file: a line a change, so that a change costs the same however much there is.

A line is ``[index, table, key, row]``, with null for a deleted row. Lines are handed to the operating system before
the change is answered: a killed daemon loses nothing. A torn last line, the mark of a machine that lost its power, is
left out. The file is replaced by one without history at each start and when half of it is history.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any

from jenkins_proxy.consul_server.state.state_rows import check_place
from jenkins_proxy.errors import UsageError
from jenkins_proxy.files import atomic_file

Record = tuple[int, str, Hashable, Any]


class AppendLog:
    """The file.

    :param path: where it is; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: int | None = None
        self.appended = 0

    def load(self) -> Iterator[Record]:
        """The changes that the file holds, oldest first.

        :raises UsageError: when it cannot be read, or holds something else.
        """
        if self._path is None or not self._path.exists():
            return
        try:
            lines = self._path.read_bytes().split(b"\n")
        except OSError as error:
            raise UsageError(f"cannot read the registry's state file {self._path}: {error.strerror}") from error
        # What follows the last newline is a line that was not written to its end; it was never answered either.
        for number, line in enumerate(lines[:-1], 1):
            try:
                index, table, key, row = json.loads(line)
                place = tuple(key) if isinstance(key, list) else key
                check_place(index, table, place)
            except (ValueError, TypeError, RecursionError) as error:
                raise UsageError(
                    f"the registry's state file {self._path} is damaged in line {number}, or of another version: "
                    f"{error}",
                    "move it away to begin with an empty registry, or give another --state-dir",
                ) from error
            yield index, table, place, row

    def keep_aside(self) -> Path | None:
        """Copy the file as it is. :return: the copy. :raises OSError: when it cannot be written."""
        if self._path is None:
            return None
        return Path(shutil.copy(self._path, self._path.with_name(f"{self._path.name}.damaged")))

    def append(self, index: int, table: str, key: Hashable, row: Any) -> None:
        """Keep one change.

        :raises OSError: when it cannot be written; the file is as before.
        """
        if self._file is None:
            return
        line = _line((index, table, key, row))
        end = os.lseek(self._file, 0, os.SEEK_END)
        try:
            _write(self._file, line)
        except OSError:
            # Half a line would swallow the next one.
            os.ftruncate(self._file, end)
            raise
        self.appended += 1

    def rewrite(self, records: Iterable[Record]) -> None:
        """Write the file anew with nothing but these.

        :raises UsageError: when it cannot be written; one that is open goes on.
        """
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = _replace(self._path, records)
        except OSError as error:
            raise UsageError(f"cannot write the registry's state file {self._path}: {error.strerror}") from error
        self.close()
        self._file, self.appended = file, 0

    def resume(self) -> bool:
        """Go on with the file as it is, where there is no room for a new one. :return: False when there is none."""
        if self._path is None or not self._path.exists():
            return False
        file = os.open(self._path, os.O_RDWR)
        # Half a line at the end would swallow the next one.
        os.ftruncate(file, self._path.read_bytes().rfind(b"\n") + 1)
        self.close()
        self._file = file
        return True

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _replace(path: Path, records: Iterable[Record]) -> int:
    """Put a new file in the place of the one that is there, and keep it open."""
    with contextlib.ExitStack() as undo:
        # Only its owner may read it: values of keys may be secrets.
        with atomic_file(path, mode=0o600, fsync=True) as fresh:
            fresh.writelines(map(_line, records))
            file = os.dup(fresh.fileno())
            undo.callback(os.close, file)
        undo.pop_all()
    return file


def _line(record: Record) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]

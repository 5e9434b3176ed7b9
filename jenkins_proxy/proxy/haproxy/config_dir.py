"""The folder that HAProxy runs in: its configuration, the last good one beside it, maps, sockets and the probe key."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jenkins_proxy.errors import ProxyError, UsageError
from jenkins_proxy.files import atomic_write
from jenkins_proxy.proxy.haproxy.config.render import CONFIG, PROBE_FILE, Rendered
from jenkins_proxy.proxy.haproxy.ring import COUNTED_MAP, counted_text

GOOD = CONFIG + ".good"
CANDIDATE = CONFIG + ".new"
PID = "haproxy.pid"
_PROBE_KEY = re.compile(rb"[0-9a-f]{32}")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Print:
    """A file as it was written.

    :ivar stamp: which file, how long, and of when; None for one that is not there.
    """

    checksum: int
    stamp: tuple[int, int, int] | None


class ConfigDir:
    """Writes each file whole or not at all.

    :param folder: made when it is missing; only its owner may look into it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runtime_maps: dict[str, str] = {}
        self._always: dict[str, str] = {}
        self._prints: dict[str, _Print] = {}
        self._edited: set[str] = set()
        # The files are looked at in a thread, and the counted services are written beside that.
        self._mutex = threading.Lock()

    def prepare(self, probe_key: str) -> None:
        """Make the folder and write the probe key, which the configuration names but does not hold.

        :raises ProxyError: when the folder cannot be written.
        """
        with self._reporting(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
        for name, text in ((PROBE_FILE, f"{probe_key}\n"), (COUNTED_MAP, counted_text({}))):
            # A full disk must not keep from starting what has all its files.
            self._always[name] = text
            self._keep(name, text)

    def write_counted(self, tokens: Mapping[str, str]) -> None:
        """Write which services are counted, for the workers to come: see :mod:`.ring`.

        :param tokens: by backend.
        :raises ProxyError: when it cannot be written: disk full, no permission.
        """
        self._always[COUNTED_MAP] = counted_text(tokens)
        self._write(COUNTED_MAP, self._always[COUNTED_MAP])

    def stage(self, rendered: Rendered) -> None:
        """Write a candidate, with its maps; nothing that runs reads them yet.

        :raises ProxyError: when it cannot be written: disk full, no permission.
        """
        # A runtime map that is there belongs to what runs; to be checked, any text of it will do.
        for name, text in (*rendered.maps.items(), *self._always.items()):
            if name not in self._prints or name in self._edited or not (self.folder / name).exists():
                self._keep(name, text)
        for name in rendered.runtime_maps:
            if not (self.folder / name).exists():
                self._write(name, "")
        self._write(CANDIDATE, rendered.config)

    def commit(self, rendered: Rendered) -> None:
        """The candidate becomes the configuration. :raises ProxyError: when the disk refuses."""
        for name, text in rendered.runtime_maps.items():
            if self._runtime_maps.get(name) != text or name in self._edited:
                self._write(name, text)
                self._runtime_maps[name] = text
        with self._reporting(self.folder / CONFIG):
            os.replace(self.folder / CANDIDATE, self.folder / CONFIG)
        self._prints[CONFIG] = self._prints.pop(CANDIDATE)
        self._edited.discard(CONFIG)

    def mark_good(self, rendered: Rendered) -> None:
        """The configuration is known to run: it becomes the last good one, and maps of no use are removed.

        :raises ProxyError: when the disk refuses.
        """
        self._link(CONFIG, GOOD)
        for path in (*self.folder.glob("*.map"), *self.folder.glob("*.http")):
            if path.name not in rendered.maps and path.name not in (*rendered.runtime_maps, COUNTED_MAP):
                path.unlink(missing_ok=True)
                self._prints.pop(path.name, None)

    def edited(self) -> list[str]:
        """The files that are not as they were written here last, by name. :meth:`stage` and :meth:`commit` write them
        again."""
        for name in [name for name in self._prints if name != CANDIDATE]:
            with self._mutex:
                self._compare(name)
        return sorted(self._edited)

    def _compare(self, name: str) -> None:
        known, stamp = self._prints.get(name), _stamp(self.folder / name)
        if known is None or known.stamp == stamp:
            return
        data = self._bytes(name)
        if data is not None and zlib.crc32(data) == known.checksum:
            self._prints[name] = _Print(known.checksum, stamp)
        else:
            self._edited.add(name)

    def revert(self) -> bool:
        """The last good configuration becomes the configuration again; False when there is none.

        :raises ProxyError: when the disk refuses.
        """
        if not (self.folder / GOOD).exists():
            return False
        self._link(GOOD, CONFIG)
        return True

    def read(self) -> str:
        """The text of the configuration; empty when there is none yet."""
        return self._text(CONFIG)

    def _text(self, name: str) -> str:
        return (self._bytes(name) or b"").decode("ascii", errors="replace")

    def _bytes(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def _keep(self, name: str, text: str) -> None:
        """Write a file, unless it is so already: a full disk must not keep from starting what has all its files."""
        if self._bytes(name) == text.encode():
            self._note(name, text.encode())
        else:
            self._write(name, text)

    def _link(self, source: str, target: str) -> None:
        between = self.folder / f"{target}.link"
        with self._reporting(self.folder / target):
            between.unlink(missing_ok=True)
            os.link(self.folder / source, between)
            os.replace(between, self.folder / target)
        if source in self._prints:
            self._prints[target] = self._prints[source]
            self._edited.discard(target)

    def _write(self, name: str, text: str) -> None:
        data = text.encode()
        with self._mutex, self._reporting(self.folder / name):
            atomic_write(self.folder / name, data, mode=0o600, fsync=True)
            self._note(name, data)

    def _note(self, name: str, data: bytes) -> None:
        self._prints[name] = _Print(zlib.crc32(data), _stamp(self.folder / name))
        self._edited.discard(name)

    @contextlib.contextmanager
    def _reporting(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ProxyError(
                f"cannot write {path}: {error.strerror}", "HAProxy keeps running with the configuration of before"
            ) from error


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def read_probe_key(path: Path) -> str:
    """The key in a file, made at the first start. What is damaged is none: a part of a key could be guessed.

    :raises UsageError: when it can neither be read nor written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        known = path.read_bytes().strip() if path.exists() else b""
        if _PROBE_KEY.fullmatch(known):
            return known.decode()
        if known:  # an empty one is what a full disk left of it
            _LOG.warning("%s is not used, as it is damaged: there is a new key", path)
        key = secrets.token_hex(16)
        atomic_write(path, key, mode=0o600)
        return key
    except OSError as error:
        raise UsageError(f"cannot keep the probe key in {path}: {error.strerror}") from error

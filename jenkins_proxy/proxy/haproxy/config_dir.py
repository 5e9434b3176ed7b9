"""The folder that HAProxy runs in: its configuration, the last good one beside it, maps, sockets and the probe key."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from jenkins_proxy.errors import ProxyError, UsageError
from jenkins_proxy.files import atomic_write
from jenkins_proxy.proxy.haproxy.render import CONFIG, PROBE_FILE, Rendered
from jenkins_proxy.proxy.haproxy.ring import COUNTED_MAP, counted_text

GOOD = CONFIG + ".good"
CANDIDATE = CONFIG + ".new"
PID = "haproxy.pid"


class ConfigDir:
    """Writes each file whole or not at all.

    :param folder: made when it is missing; only its owner may look into it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runtime_maps: dict[str, str] = {}

    def prepare(self, probe_key: str) -> None:
        """Make the folder and write the probe key, which the configuration names but does not hold.

        :raises ProxyError: when the folder cannot be written.
        """
        with self._reporting(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
        for name, text in ((PROBE_FILE, f"{probe_key}\n"), (COUNTED_MAP, counted_text({}))):
            # A full disk must not keep from starting what has all its files.
            if not (self.folder / name).exists() or self._text(name) != text:
                self._write(name, text)

    def write_counted(self, tokens: Mapping[str, str]) -> None:
        """Write which services are counted, for the workers to come: see :mod:`.ring`.

        :param tokens: by backend.
        :raises ProxyError: when it cannot be written: disk full, no permission.
        """
        self._write(COUNTED_MAP, counted_text(tokens))

    def stage(self, rendered: Rendered) -> None:
        """Write a candidate, with its maps; nothing that runs reads them yet.

        :raises ProxyError: when it cannot be written: disk full, no permission.
        """
        # A runtime map that is there belongs to what runs; to be checked, any text of it will do.
        for name, text in (*rendered.maps.items(), *((name, "") for name in rendered.runtime_maps)):
            if not (self.folder / name).exists():
                self._write(name, text)
        self._write(CANDIDATE, rendered.config)

    def commit(self, rendered: Rendered) -> None:
        """The candidate becomes the configuration. :raises ProxyError: when the disk refuses."""
        for name, text in rendered.runtime_maps.items():
            if self._runtime_maps.get(name) != text:
                self._write(name, text)
                self._runtime_maps[name] = text
        with self._reporting(self.folder / CONFIG):
            os.replace(self.folder / CANDIDATE, self.folder / CONFIG)

    def mark_good(self, rendered: Rendered) -> None:
        """The configuration is known to run: it becomes the last good one, and maps of no use are removed.

        :raises ProxyError: when the disk refuses.
        """
        self._link(CONFIG, GOOD)
        for path in (*self.folder.glob("*.map"), *self.folder.glob("*.http")):
            if path.name not in rendered.maps and path.name not in (*rendered.runtime_maps, COUNTED_MAP):
                path.unlink(missing_ok=True)

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
        try:
            return (self.folder / name).read_text(encoding="ascii")
        except FileNotFoundError:
            return ""

    def _link(self, source: str, target: str) -> None:
        between = self.folder / f"{target}.link"
        with self._reporting(self.folder / target):
            between.unlink(missing_ok=True)
            os.link(self.folder / source, between)
            os.replace(between, self.folder / target)

    def _write(self, name: str, text: str) -> None:
        with self._reporting(self.folder / name):
            atomic_write(self.folder / name, text.encode(), mode=0o600, fsync=True)

    @contextlib.contextmanager
    def _reporting(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ProxyError(
                f"cannot write {path}: {error.strerror}", "HAProxy keeps running with the configuration of before"
            ) from error


def read_probe_key(path: Path) -> str:
    """The key in a file, made at the first start.

    :raises UsageError: when it can neither be read nor written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # An empty one is what a full disk left of it.
        if not path.exists() or not path.read_text().strip():
            atomic_write(path, secrets.token_hex(16), mode=0o600)
        return path.read_text().strip()
    except OSError as error:
        raise UsageError(f"cannot keep the probe key in {path}: {error.strerror}") from error

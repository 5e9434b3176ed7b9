"""The files with certificates that a daemon shows to others, or trusts them by: who of these is over is named at the
start, and as time goes on."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from jenkins_proxy import validation
from jenkins_proxy.certificate_dates import Validity, current, read, untimely

_LOG = logging.getLogger(__name__)

POLL_SECONDS = 60.0

Signature = tuple[int, int, int]


@dataclass(frozen=True)
class CertificateFile:
    """A file with certificates in PEM.

    :ivar what: it holds and who gave it: ``the authority of the API's clients (--tls-client-ca)``.
    :ivar cure: what comes of one whose time is over or has not come, and what a person does about it.
    :ivar followed: whether the daemon reads it again when it changes; else it has what was in it at the start.
    :ivar quiet: whether somebody else says when its certificate ends.
    """

    path: str
    what: str
    cure: str
    followed: bool = False
    quiet: bool = False


class CertificateFiles:
    """Says once for each stage of each certificate in some files that it ends, or that its time has not come.

    :param ended: called with each of these lines.
    :param clock: seconds since 1970.
    """

    def __init__(
        self,
        files: Iterable[CertificateFile],
        *,
        ended: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._files = tuple(files)
        self._ended, self._clock = ended, clock
        self._contents = {file: (_signature(file.path), _validities(file.path)) for file in self._files}
        self._said: frozenset[tuple[str, int | None, frozenset[str]]] = frozenset()

    async def run(self, pause: float = POLL_SECONDS) -> None:
        """Follow the calendar, and the files that are followed, until cancelled.

        :param pause: seconds between two looks.
        """
        while self._files:
            self.look()
            await asyncio.sleep(pause)

    def look(self) -> None:
        """Say what has come up since the last time."""
        found = set()
        for file in self._files:
            self._read_again(file)
            if file.quiet:
                continue
            for odd in untimely(self._current(file), self._clock()):
                key = (file.path, odd.stage, odd.fingerprints)
                found.add(key)
                if key not in self._said:
                    subjects = validation.few([validation.shown(subject) for subject in odd.subjects])
                    self._say(f"{file.what} {file.path}: {subjects} {odd.told}: {file.cure}")
        self._said = frozenset(found)

    def first_ends(self) -> Mapping[str, Validity]:
        """By each file that holds any, the certificate in it that ends first."""
        found = {file.path: self._current(file) for file in self._files}
        return {path: min(held, key=lambda own: own.not_after) for path, held in found.items() if held}

    def _say(self, line: str) -> None:
        _LOG.warning("%s", line)
        if self._ended:
            self._ended(line)

    def _read_again(self, file: CertificateFile) -> None:
        if not file.followed:
            return
        signature = _signature(file.path)
        if signature != self._contents[file][0]:
            # What is half written, or gone, is not what serves.
            self._contents[file] = (signature, _validities(file.path) or self._contents[file][1])

    def _current(self, file: CertificateFile) -> list[Validity]:
        return current(self._contents[file][1], self._clock())


def _signature(path: str) -> Signature:
    try:
        seen = os.stat(path)
    except OSError:
        return 0, 0, 0
    return seen.st_ino, seen.st_size, seen.st_mtime_ns


def _validities(path: str) -> tuple[Validity, ...]:
    """What is in a file; nothing of one that cannot be read, as who uses it has said so."""
    try:
        with open(path, "rb") as file:
            return read(file.read())
    except OSError:
        return ()

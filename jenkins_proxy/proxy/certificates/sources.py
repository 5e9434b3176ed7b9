"""Folders of certificates: what lies in them, and what of it has changed.

A certificate is a file ``NAME.pem`` (``.crt``, ``.cer``) with its chain and its key, the key beside it in ``NAME.key``
or ``NAME.pem.key`` where the file has none, or a folder ``NAME`` with certbot's ``fullchain.pem`` and ``privkey.pem``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jenkins_proxy import validation
from jenkins_proxy.errors import UsageError
from jenkins_proxy.proxy.certificates.certificate import Certificate, parse

_SUFFIXES = (".pem", ".crt", ".cer")
_CERTBOT = ("fullchain.pem", "privkey.pem")
_MAX_BYTES = 256 * 1024

Signature = tuple[tuple[str, int, int, int], ...]
"""Names, inodes, sizes and times of files: when it is the same, so are they."""


@dataclass(frozen=True)
class Source:
    """Where a certificate comes from.

    :ivar path: the file or folder that people know it by.
    :ivar files: all that it consists of.
    """

    name: str
    path: Path
    files: tuple[Path, ...]

    @property
    def signature(self) -> Signature:
        """Of its files as they are now."""
        return tuple(_stat(path) for path in self.files)

    def read(self) -> Certificate:
        """Read it.

        :raises UsageError: when it cannot be served. Its text is the reason alone.
        """
        validation.check(validation.NAME, "its name", self.name)
        return parse(self.name, map(_content, self.files))


def sources(folder: Path) -> Iterator[Source]:
    """The certificates of a folder, in the order of their files. Two may have one name.

    :raises OSError: when the folder cannot be read.
    """
    for path in sorted(folder.iterdir()):
        source = _source(path)
        if source:
            yield source


def _source(path: Path) -> Source | None:
    if path.name.startswith("."):
        return None
    # Half of a pair, or a link to what is not mounted here, is meant to be one, too.
    if any(_is_there(path / name) for name in _CERTBOT):
        return Source(path.name, path, tuple(path / name for name in _CERTBOT))
    if path.suffix not in _SUFFIXES:
        return None
    keys = (path.with_suffix(".key"), path.with_name(path.name + ".key"))
    return Source(path.stem, path, (path, *(key for key in keys if os.path.isfile(key))))


def _is_there(path: Path) -> bool:
    """Whether something has this name, be it a link that leads nowhere, or what nobody here may look at."""
    try:
        path.lstat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _stat(path: Path) -> tuple[str, int, int, int]:
    try:
        seen = path.stat()
    except OSError:
        return path.name, 0, 0, 0
    return path.name, seen.st_ino, seen.st_size, seen.st_mtime_ns


def _content(path: Path) -> bytes:
    try:
        # To open a pipe would wait for its other end for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"{path.name} is no file")
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path.name} cannot be read: {error.strerror}") from error
    if len(content) > _MAX_BYTES:
        raise UsageError(f"{path.name} has more than {_MAX_BYTES} bytes")
    return content

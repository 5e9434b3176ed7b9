"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def atomic_write(path: str | Path, content: str | bytes, *, mode: int = 0o644, fsync: bool = False) -> None:
    """Replace a file in one step: a reader sees the old content or the new, never half of one.

    :param content: text is written as UTF-8.
    :param mode: the file's permissions.
    :param fsync: wait for the disk first; without it a power cut can leave the new name on old or no content.
    :raises OSError: when it cannot be written; the file is as before.
    """
    with atomic_file(path, mode=mode, fsync=fsync) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def atomic_file(path: str | Path, *, mode: int = 0o644, fsync: bool = False) -> Iterator[BinaryIO]:
    """A new file, to be written within the block, that takes the place of ``path`` at its end.

    When the block raises, ``path`` is as before and the new file is gone. The arguments are those of
    :func:`atomic_write`.
    """
    target = Path(path)
    handle, temporary = tempfile.mkstemp(dir=target.absolute().parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            # mkstemp makes it readable for its owner alone.
            os.fchmod(handle, mode)
            if fsync:
                os.fsync(handle)
        os.replace(temporary, target)
    except BaseException:
        # What fits of it would take the last room on a full disk.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise

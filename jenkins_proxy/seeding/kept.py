"""What people made, written down before a seed takes it over."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

from jenkins_proxy.errors import UsageError


def keep(folder: Path, kind: str, path: str, config: bytes) -> str:
    """Write an item's config.xml to ``FOLDER/job/teams/books/deploy.xml``, over nothing that is there.

    :param kind: ``folder``, ``job``, ``view`` or ``node``.
    :param path: the item's path in Jenkins.
    :return: the file.
    :raises UsageError: when it cannot be written.
    """
    wanted = folder / kind / f"{path}.xml"
    try:
        wanted.parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            file = wanted if number == 1 else wanted.with_suffix(f".{number}.xml")
            with contextlib.suppress(FileExistsError), file.open("xb") as kept:
                # It may hold secrets, though Jenkins encrypts those that it knows.
                os.fchmod(kept.fileno(), 0o600)
                kept.write(config)
                break
    except OSError as error:
        raise UsageError(f"cannot keep the config.xml of {path}: {error}", "nothing was changed") from error
    return str(file)

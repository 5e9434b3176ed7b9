"""The folders that certificates come from, taken together: which of several with one name serves."""

from __future__ import annotations

import logging
from pathlib import Path

from jenkins_proxy.errors import UsageError
from jenkins_proxy.proxy.certificates.sources import Source, sources

_LOG = logging.getLogger(__name__)


class Folders:
    """Those that people fill, and those of the API.

    :param given: the folder that people fill, or none.
    :param store: the API's; it need not be there.
    """

    def __init__(self, given: Path | None, store: Path) -> None:
        self._given = given
        self._store = store
        self._said: set[Path] = set()

    def look(self) -> dict[str, Source]:
        """What lies in them now, by name. What another one keeps from serving is named once.

        :raises UsageError: when a folder cannot be read.
        """
        found: dict[str, Source] = {}
        hidden: set[Path] = set()
        try:
            for folder in (self._store if self._store.is_dir() else None, self._given):
                for source in sources(folder) if folder else ():
                    other = found.setdefault(source.name, source)
                    if other is not source:
                        hidden.add(source.path)
                        self._say(source, other)
        except OSError as error:
            raise UsageError(f"cannot read the certificates in {error.filename}: {error.strerror}") from error
        self._said &= hidden
        return found

    def _say(self, source: Source, other: Source) -> None:
        if source.path in self._said:
            return
        self._said.add(source.path)
        name = source.name
        if other.path.parent == self._store:
            why = f"the API has a certificate {name}; DELETE /v1/certs/{name} lets the file serve"
        else:
            why = f"{other.path.name} is the certificate {name}; give one of them another name"
        _LOG.error("%s is not served: %s", source.path, why)

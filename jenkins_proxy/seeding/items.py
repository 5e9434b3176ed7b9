"""Folders, jobs and views: as they should be, as they are, whose they are, and the verbs of a server that has them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from typing import Protocol

FOLDER, JOB, VIEW = "folder", "job", "view"

_MARKER = re.compile(r"<!-- managed by jenkins-proxy seed: (\S+) -->")


@dataclass(frozen=True)
class Item:
    """What should be in Jenkins.

    :ivar kind: ``folder``, ``job`` or ``view``.
    :ivar path: with its folders: ``teams/books/deploy-books-ms``.
    :ivar config: its config.xml, or our part of it.
    :ivar managed: the properties that are ours, even when it has none of them.
    :ivar only_present: it has to exist, and nothing more is asked of it.
    """

    kind: str
    path: str
    config: ET.Element
    managed: frozenset[str] = field(default=frozenset())
    only_present: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return key(self.kind, self.path)


@dataclass(frozen=True)
class Present:
    """What is in Jenkins.

    :ivar kind: ``folder``, ``view``, or ``job`` for every other item.
    :ivar seed: the seed id that owns it; empty for what people made.
    """

    kind: str
    path: str
    seed: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return key(self.kind, self.path)


def key(kind: str, path: str) -> tuple[str, str]:
    """What cannot be there twice: a folder and a job share their names, a view has its own."""
    return ("view" if kind == VIEW else "item", path)


def marked(description: str, seed: str) -> str:
    """A description that says who owns the item. A comment survives the screens where people edit it."""
    return f"{description}\n\n<!-- managed by jenkins-proxy seed: {seed} -->".strip()


def owner(description: str) -> str:
    """The seed id in a description; empty when nobody seeded the item."""
    marker = _MARKER.search(description)
    return marker.group(1) if marker else ""


class JobServer(Protocol):
    """The verbs that seeding needs. Each raises JenkinsServerError."""

    def listing(self) -> list[Present]:
        """Every folder, job and view."""

    def config(self, kind: str, path: str) -> bytes:
        """An item's config.xml."""

    def create(self, kind: str, path: str, xml: str) -> None:
        """Make an item, in a folder that is there."""

    def update(self, kind: str, path: str, xml: str) -> None:
        """Write over an item's config.xml."""

    def delete(self, kind: str, path: str) -> None:
        """Take an item away, and for a folder what is in it."""

    def credential_ids(self, folder: str) -> set[str] | None:
        """The ids of a folder's credentials; None when this user may not see them."""

    def check_script(self, script: str) -> list[str]:
        """What Jenkins has against a Declarative pipeline; empty when nothing, or when it cannot tell."""

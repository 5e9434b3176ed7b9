"""A service's releases, as the registry keeps them: when, which image, which build, what became of it.

A deploy writes them and the proxy shows them, so their form stands below both. Anybody who reaches the registry may
have written there: what is read back meets a strict grammar, and an entry that does not is left out. There is no
message of a failure in it, as that may quote a container's log: the build has it.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jenkins_proxy import validation

KEYS = "jenkins-proxy/deploys/.releases/"
"""Below the records of deploys, which whoever deploys may write; no service has a name that begins with a dot."""
DEPLOY, PROMOTE, ABORT, ROLLBACK = COMMANDS = ("deploy", "promote", "abort", "rollback")
DONE, HELD, FAILED, STOPPED = OUTCOMES = ("done", "held", "failed", "stopped")
MOST = 20
"""So many of a service are kept, the last ones."""
_MAX_BYTES = 128 * 1024

_TEXT = re.compile(r"[\w@.+:/\\ -]{0,128}")
_FOREIGN = re.compile(r"[^\w@.+:/\\ -]")
_IMAGE = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._/:@+-]{0,254})?")
_IMAGE_ID = re.compile(r"(?:sha256:[0-9a-f]{64})?")
_WORD = re.compile(r"[a-z0-9 _-]{0,32}")
# Without a user's name and password in it.
_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]_-]{1,260}(?:[/?#][A-Za-z0-9._~:/?#\[\]!$&'()*+,;=%@-]{0,1024})?")


@dataclass(frozen=True)
class Release:
    """One release.

    :ivar time: when it ended, in seconds since 1970.
    :ivar command: that made it: ``deploy``, ``promote``, ``abort`` or ``rollback``.
    :ivar outcome: ``done``, ``held`` (users do not meet it yet), ``failed`` or ``stopped``.
    :ivar code: the command's exit code.
    :ivar phase: in which it failed or was stopped.
    :ivar image: of its instances, as the compose file names it; empty where nobody looked.
    :ivar image_id: what that name meant then: ``sha256:…``.
    :ivar color: of a blue-green service.
    :ivar strategy: the strategy's name.
    :ivar instances: how many served, or were held, when it ended.
    :ivar seconds: how long the command took.
    :ivar who: the user that it ran as, and ``host`` the machine.
    :ivar build: the build's URL, or its tag where Jenkins has no URL of its own; empty outside of Jenkins.
    """

    time: float
    command: str
    outcome: str
    code: int = 0
    phase: str = ""
    image: str = ""
    image_id: str = ""
    color: str = ""
    strategy: str = ""
    instances: int = 0
    seconds: float = 0.0
    who: str = ""
    host: str = ""
    build: str = ""

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _up_to(most: float, *kinds: type) -> Callable[[Any], bool]:
    return lambda value: type(value) in kinds and 0 <= value <= most


def _is_build(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    return (_URL if "://" in value else _TEXT).fullmatch(value) is not None


_GRAMMAR: Mapping[str, Callable[[Any], bool]] = {
    "time": _up_to(1e11, int, float),
    "command": lambda value: value in COMMANDS,
    "outcome": lambda value: value in OUTCOMES,
    "code": _up_to(255, int),
    "phase": _matches(_WORD),
    "image": _matches(_IMAGE),
    "image_id": _matches(_IMAGE_ID),
    "color": _matches(_WORD),
    "strategy": _matches(_WORD),
    "instances": _up_to(100_000, int),
    "seconds": _up_to(1e7, int, float),
    "who": _matches(_TEXT),
    "host": _matches(_TEXT),
    "build": _is_build,
}


def cleaned(release: Release) -> Release:
    """The same as it may be kept: a text's foreign signs are replaced, and what is no image or address is left out."""
    texts = ["who", "host", *([] if "://" in release.build else ["build"])]
    given = {**release.as_dict(), **{name: _FOREIGN.sub("_", getattr(release, name))[:128] for name in texts}}
    blank = Release(0.0, DEPLOY, DONE).as_dict()
    return Release(**{name: value if _GRAMMAR[name](value) else blank[name] for name, value in given.items()})


def parse(value: bytes) -> tuple[Release, ...]:
    """The releases of a key's value, the newest first. What a later version adds to one is left out."""
    try:
        data = validation.parse_json(value) if len(value) <= _MAX_BYTES else None
    except ValueError:
        return ()
    found = data.get("releases") if isinstance(data, dict) else None
    read = [_parse_one(entry) for entry in found] if isinstance(found, list) else []
    return tuple(release for release in read if release is not None)[:MOST]


def _parse_one(entry: Any) -> Release | None:
    if not isinstance(entry, dict) or not {"time", "command", "outcome"} <= set(entry):
        return None
    values = {name: value for name, value in entry.items() if name in _GRAMMAR}
    return Release(**values) if all(_GRAMMAR[name](value) for name, value in values.items()) else None


def with_newest(releases: Sequence[Release], release: Release) -> bytes:
    """The value of the key with one more.

    :param releases: those of before, the newest first.
    """
    kept = [cleaned(release), *releases][:MOST]
    return json.dumps({"releases": [one.as_dict() for one in kept]}).encode()


def latest(releases: Iterable[Release], wanted: Callable[[Release], bool]) -> Release | None:
    """The newest that is wanted; None without one."""
    return next((release for release in releases if wanted(release)), None)

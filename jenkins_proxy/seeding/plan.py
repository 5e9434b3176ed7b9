"""What has to be done to get from what is in Jenkins to what should be there. Pure, but for what it is given."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from jenkins_proxy.errors import JenkinsServerError, UsageError
from jenkins_proxy.seeding import config_xml
from jenkins_proxy.seeding.items import FOLDER, VIEW, Item, Present, key

CREATE, CHANGE, KEEP, DELETE, REFUSE = "+", "~", "=", "-", "!"

Configs = Mapping[tuple[str, str], bytes | JenkinsServerError]


@dataclass(frozen=True)
class Action:
    """One line of the plan.

    :ivar symbol: ``+`` create, ``~`` change, ``=`` nothing to do, ``-`` delete, ``!`` cannot be done.
    :ivar xml: what to write.
    :ivar diff: the lines of a unified diff of our part.
    :ivar note: what the reader should know; for ``!`` the reason.
    :ivar before: the config.xml of what people made and a seed takes over.
    :ivar kept: the file that has it.
    """

    symbol: str
    kind: str
    path: str
    xml: str = field(default="", repr=False)
    diff: tuple[str, ...] = ()
    note: str = ""
    before: bytes = field(default=b"", repr=False)
    kept: str = ""

    @property
    def changed_lines(self) -> int:
        """How many lines of our part come or go."""
        return sum(line.startswith(("+", "-")) for line in self.diff[2:])

    def __str__(self) -> str:
        name = {FOLDER: f"{self.path}/", VIEW: f"view {self.path}"}.get(self.kind, self.path)
        size = ""
        if self.symbol == CHANGE and self.diff:
            size = "1 line" if self.changed_lines == 1 else f"{self.changed_lines} lines"
        notes = "; ".join(filter(None, (size, self.note)))
        return f"{self.symbol} {name}" + (f" ({notes})" if notes else "")


def only(items: Sequence[Item], glob: str) -> list[Item]:
    """The items whose path matches, with the folders that they are in.

    :raises UsageError: when none does.
    """
    chosen = {item.path for item in items if fnmatchcase(item.path, glob)}
    if items and not chosen:
        raise UsageError(
            f"--only {glob}: nothing in the seed file matches", "it is held against whole paths: teams/books/*"
        )
    parts = [path.split("/") for path in chosen]
    parents = {"/".join(names[:depth]) for names in parts for depth in range(1, len(names))}
    return [item for item in items if item.path in chosen or (item.kind == FOLDER and item.path in parents)]


def plan(
    items: Sequence[Item], present: Sequence[Present], configs: Configs, seed: str, *, adopt: bool = False
) -> list[Action]:
    """What to do for each item, in the order in which it can be done.

    :param present: all that is in Jenkins.
    :param configs: config.xml of the items that are there, or why it could not be read.
    :param seed: our seed id.
    :param adopt: take over what people made; without it that is left as it is, and refused.
    """
    there = {entry.key: entry for entry in present}
    # Jenkins finds `Books` when it is asked for `books`, and would change the one for the other.
    spelled = {entry.path.lower(): entry.path for entry in present if entry.kind != VIEW}
    actions = []
    for item in items:
        existing = there.get(item.key)
        if existing:
            actions.append(_present(item, existing, configs.get(item.key, b""), seed, adopt=adopt))
        elif item.kind != VIEW and item.path.lower() in spelled:
            other = spelled[item.path.lower()]
            actions.append(_refused(item, f"Jenkins has it as {other}, and does not tell upper from lower case"))
        else:
            actions.append(Action(CREATE, item.kind, item.path, config_xml.serialise(item.config)))
    return actions


def overtaken(tried: Sequence[Action], now: Sequence[Action], present: Sequence[Present]) -> list[Action]:
    """What is to be done instead of actions that failed, where Jenkins is not as it was when they were planned.

    :param now: the plan of the same items, made anew.
    :param present: all that is in Jenkins now.
    """
    there = {entry.key for entry in present}
    before = {(action.kind, action.path): action.symbol for action in tried}
    gone = [
        Action(KEEP, action.kind, action.path, note="is gone already")
        for action in tried
        if action.symbol == DELETE and key(action.kind, action.path) not in there
    ]
    return [*(action for action in now if action.symbol != before[action.kind, action.path]), *gone]


def prune(items: Sequence[Item], present: Sequence[Present], seed: str, glob: str, max_percent: float) -> list[Action]:
    """What our seed id owns and the seed file no longer has, children before their folders.

    :param items: all of the seed file, whatever ``--only`` chose.
    :param glob: only what matches is deleted.
    :param max_percent: per cent of what the seed id owns that may go.
    :raises UsageError: when too much would go, or the file is empty: a mistake is likelier than the wish.
    """
    wanted = {item.key for item in items}
    owned = [entry for entry in present if entry.seed == seed]
    doomed = [entry for entry in owned if entry.key not in wanted and fnmatchcase(entry.path, glob)]
    going = {entry.key for entry in doomed}
    actions = []
    for entry in sorted(doomed, key=lambda item: (item.kind == FOLDER, -item.path.count("/"), item.path)):
        if entry.kind == FOLDER and any(_stays(other, entry.path, going) for other in present):
            going.discard(entry.key)
            actions.append(Action(KEEP, entry.kind, entry.path, note="no longer seeded, but holds what others made"))
        else:
            actions.append(Action(DELETE, entry.kind, entry.path, note="no longer seeded"))
    _check_prune(len(going), len(owned), seed, max_percent, empty=not any(item.kind != FOLDER for item in items))
    return actions


def _stays(entry: Present, folder: str, going: set[tuple[str, str]]) -> bool:
    """Whether it is in the folder and not to be deleted, other than the view that every folder makes by itself."""
    return entry.path.startswith(f"{folder}/") and entry.key not in going and entry.key != key(VIEW, f"{folder}/All")


def _check_prune(going: int, owned: int, seed: str, max_percent: float, *, empty: bool) -> None:
    if empty and going:
        raise UsageError(
            f"--prune with a seed file that has no jobs would delete {going} items of seed {seed}",
            "delete them by hand when that is meant",
        )
    if going * 100 > max_percent * owned:
        raise UsageError(
            f"--prune would delete {going} of the {owned} items of seed {seed}, more than {max_percent:g} %",
            f"if that is meant: --max-prune {-(-going * 100 // owned)}",
        )


def _present(item: Item, existing: Present, config: bytes | JenkinsServerError, seed: str, *, adopt: bool) -> Action:
    if (item.kind == FOLDER) != (existing.kind == FOLDER):
        return _refused(item, f"Jenkins has a {existing.kind} of that name: rename or delete it")
    if item.only_present:
        return Action(KEEP, item.kind, item.path)
    if existing.seed not in ("", seed):
        return _refused(item, f"it belongs to the seed {existing.seed}")
    if isinstance(config, JenkinsServerError):
        return _refused(item, config.message)
    action = _compared(item, config)
    return action if existing.seed or action.symbol != CHANGE else _adopted(item, action, config, adopt=adopt)


def _adopted(item: Item, action: Action, config: bytes, *, adopt: bool) -> Action:
    if not adopt:
        return _refused(item, "made by hand: --adopt takes it over and keeps its config.xml, or rename one of the two")
    note = "; ".join(filter(None, (action.note, "made by hand, taken over")))
    return dataclasses.replace(action, note=note, before=config)


def _compared(item: Item, config: bytes) -> Action:
    try:
        current = config_xml.parse(config)
    except ValueError as error:
        return Action(
            CHANGE,
            item.kind,
            item.path,
            config_xml.serialise(item.config),
            note=f"written anew, as what is there is no XML: {error}",
        )
    if current.tag != item.config.tag:
        return _refused(item, f"Jenkins has a {current.tag} of that name, not a {item.config.tag}: rename or delete it")
    desired = config_xml.completed(current, item.config)
    diff = config_xml.difference(current, desired, item.managed)
    if not diff:
        return Action(KEEP, item.kind, item.path)
    merged = config_xml.overlay(current, desired, item.managed)
    return Action(CHANGE, item.kind, item.path, config_xml.serialise(merged), tuple(diff))


def _refused(item: Item, reason: str) -> Action:
    return Action(REFUSE, item.kind, item.path, note=reason)

"""Reads what is in Jenkins, in parallel within a bound, and carries out a plan, one write after the other."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import os
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from jenkins_proxy.errors import JenkinsServerError, UsageError
from jenkins_proxy.seeding.items import JOB, Item, JobServer, Present
from jenkins_proxy.seeding.jenkins_server import Refused
from jenkins_proxy.seeding.plan import CHANGE, CREATE, DELETE, REFUSE, Action
from jenkins_proxy.seeding.spec import Job

Progress = Callable[[str, int, int], None]

# A Jenkins that does not answer this often in a row is gone: hundreds of time limits would take hours to run out.
_PATIENCE = 3
DECLARATIVE = re.compile(r"^\s*pipeline\s*\{", re.MULTILINE)
"""A script with this in it is a Declarative pipeline."""


def read(
    connect: Callable[[], JobServer],
    items: Sequence[Item],
    present: Sequence[Present],
    connections: int,
    progress: Progress,
) -> dict[tuple[str, str], bytes | JenkinsServerError]:
    """The config.xml of each item that is there, or why it could not be read.

    :param connect: gives each thread a server of its own.
    :param connections: how many requests at a time.
    :raises JenkinsServerError: when Jenkins stops answering.
    """
    there = {item.key for item in present}
    wanted = [item for item in items if item.key in there and not item.only_present]
    local = threading.local()

    def get(item: Item) -> bytes:
        if not hasattr(local, "server"):
            local.server = connect()
        server: JobServer = local.server
        return server.config(item.kind, item.path)

    configs: dict[tuple[str, str], bytes | JenkinsServerError] = {}
    silence = _Silence()
    pool = ThreadPoolExecutor(connections)
    try:
        futures = {pool.submit(get, item): item for item in wanted}
        for future in as_completed(futures):
            try:
                configs[futures[future].key] = future.result()
                silence.broken()
            except JenkinsServerError as error:
                configs[futures[future].key] = error
                silence.count(error)
            progress("read", len(configs), len(wanted))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return configs


def scripts(items: Sequence[Item]) -> dict[str, str]:
    """The jobs' scripts, by their paths; empty for one whose script is elsewhere."""
    return {item.path: item.config.findtext("definition/script") or "" for item in items if item.kind == JOB}


def checked(server: JobServer, actions: Sequence[Action], items: Sequence[Item]) -> list[Action]:
    """The plan, without the writes of Declarative pipelines that Jenkins would refuse to run."""
    texts = scripts(items)

    def check(action: Action) -> Action:
        written = action.kind == JOB and action.symbol in (CREATE, CHANGE)
        if not written or not DECLARATIVE.search(texts[action.path]):
            return action
        problems = "; ".join(server.check_script(texts[action.path]))
        return _refused(action, f"Jenkins refuses the script: {problems}") if problems else action

    return [check(action) for action in actions]


def missing_credentials(server: JobServer, jobs: Sequence[Job]) -> list[str]:
    """A warning for each credentials id that is in none of the stores that its jobs may use and this user may see."""
    ids_of = functools.cache(server.credential_ids)
    missing: dict[str, list[str]] = {}
    for job in jobs:
        if job.credentials_id:
            folders = job.path.split("/")[:-1]
            stores = ["/".join(folders[:depth]) for depth in range(len(folders) + 1)]
            if not any(job.credentials_id in (ids_of(store) or ()) for store in stores):
                missing.setdefault(job.credentials_id, []).append(job.path)
    return [
        f"no credentials {wanted} where this user can see them, for {paths[0]}"
        + (f" and {len(paths) - 1} more" if paths[1:] else "")
        for wanted, paths in missing.items()
    ]


def keep_adopted(actions: Sequence[Action], folder: Path) -> list[Action]:
    """Write down what people made before a seed takes it over: ``FOLDER/job/teams/books/deploy.xml``.

    :return: the actions, those with the file that has the item's config.xml.
    :raises UsageError: when a file cannot be written.
    """
    adopted = [action.before and action.symbol == CHANGE for action in actions]
    return [_kept(action, folder) if taken else action for action, taken in zip(actions, adopted)]


def _kept(action: Action, folder: Path) -> Action:
    wanted = folder / action.kind / f"{action.path}.xml"
    try:
        wanted.parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            file = wanted if number == 1 else wanted.with_suffix(f".{number}.xml")
            with contextlib.suppress(FileExistsError), file.open("xb") as kept:
                # It may hold secrets, though Jenkins encrypts those that it knows.
                os.fchmod(kept.fileno(), 0o600)
                kept.write(action.before)
                break
    except OSError as error:
        raise UsageError(f"cannot keep the config.xml of {action.path}: {error}", "nothing was changed") from error
    return dataclasses.replace(action, kept=str(file))


def carry_out(server: JobServer, actions: Sequence[Action], progress: Progress) -> list[Action]:
    """Write and delete what the plan says; one that fails does not keep the others from it.

    :return: the actions that failed, with the reason as their note.
    :raises JenkinsServerError: when Jenkins stops answering.
    """
    verbs = {
        CREATE: lambda action: server.create(action.kind, action.path, action.xml),
        CHANGE: lambda action: server.update(action.kind, action.path, action.xml),
        DELETE: lambda action: server.delete(action.kind, action.path),
    }
    failed = []
    silence = _Silence()
    due = [action for action in actions if action.symbol in verbs]
    for done, action in enumerate(due, 1):
        try:
            verbs[action.symbol](action)
            silence.broken()
        except JenkinsServerError as error:
            failed.append(_refused(action, error.message))
            silence.count(error)
        progress("wrote", done, len(due))
    return failed


def _refused(action: Action, reason: str) -> Action:
    return dataclasses.replace(action, symbol=REFUSE, note=reason)


class _Silence:
    """Counts requests that got no answer, and gives up on Jenkins when they go on."""

    def __init__(self) -> None:
        self._count = 0

    def broken(self) -> None:
        self._count = 0

    def count(self, error: JenkinsServerError) -> None:
        self._count = 0 if isinstance(error, Refused) else self._count + 1
        if self._count >= _PATIENCE:
            raise error

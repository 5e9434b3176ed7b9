"""HAProxy's Runtime API and master CLI: commands in, answers out, over their unix sockets.

Management guide 2.6, sections 9.3 "Unix Socket commands" and 9.4 "Master CLI".
"""

from __future__ import annotations

import asyncio
import csv
import os
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from jenkins_proxy.aio import with_timeout
from jenkins_proxy.errors import ProxyError
from jenkins_proxy.proxy.haproxy.ring import COUNTED_MAP, Events, parse_counted, parse_pid
from jenkins_proxy.proxy.haproxy.sessions import parse_sessions
from jenkins_proxy.proxy.haproxy.totals import Totals, parse_finished, parse_totals
from jenkins_proxy.proxy.timing import DEFAULT, Timing

Answer = TypeVar("Answer")

STATS_SOCKET = "stats.sock"
MASTER_SOCKET = "master.sock"
_PROMPT = b"\n> "
# Of all proxies 1 asks for frontends, 2 for backends, 4 for servers; the servers of all would be megabytes.
_FRONTENDS = "show stat -1 1 -1"
_TOTALS = "show stat -1 3 -1"
_BACKEND = "show stat {} 2 -1"
_SERVERS = "show stat {} 4 -1"
_SPEAK = "show cli level"
"""Sent after what may say nothing: an answer without a byte looks like a worker that is gone."""
_WORKER = re.compile(r"^(\d+)\s+worker\s")
_CUT_AT_ONCE = 100  # a line for the master may have 16,384 bytes
_FAILED = re.compile(r"\[failed: (\d+)\]")


@dataclass(frozen=True)
class Workers:
    """The worker processes, from ``show proc``.

    :ivar old: process IDs of those that only finish what they began before a reload.
    :ivar failed: how many reloads failed since the last good one.
    """

    current: int
    old: tuple[int, ...]
    failed: int


@dataclass(frozen=True)
class Leftover:
    """What an old worker still has to do for one backend.

    :ivar servers: requests in flight and queued, by ``<backend>/<server>``.
    :ivar quiet: whether no client is connected any more that may send another request.
    """

    servers: Mapping[str, int]
    quiet: bool


class RuntimeAPI:
    """The sockets of one HAProxy.

    :param folder: where its sockets are.
    """

    def __init__(self, folder: Path, timing: Timing = DEFAULT) -> None:
        self._folder = folder
        self._timing = timing

    async def ask(self, *commands: str) -> list[str]:
        """Send commands to the current worker, over one connection.

        :return: the answers in order, without blanks around them. Most commands say nothing when they succeed.
        :raises ProxyError: when HAProxy does not answer.
        """
        return await self._guarded(self._converse(commands), STATS_SOCKET)

    async def ask_worker(self, pid: int, *commands: str) -> str:
        """Send commands to one worker, old ones included, through the master.

        :return: all answers together: nothing but their own form separates them.
        :raises ProxyError: when the master or the worker does not answer.
        """
        line = ";".join(f"@!{pid} {command}" for command in commands)
        return await self._guarded(self._single(line), MASTER_SOCKET)

    async def change_worker(self, pid: int, *commands: str) -> None:
        """Send commands that say nothing when they succeed, as :meth:`ask_worker`.

        :raises ProxyError: when the master or the worker does not answer.
        """
        await self.ask_worker(pid, *commands, _SPEAK)

    async def workers(self) -> Workers:
        """The master's own account.

        :raises ProxyError: when it does not answer, as while it starts or reloads.
        """
        return parse_workers(await self._guarded(self._single("show proc"), MASTER_SOCKET))

    async def description(self) -> str:
        """``description`` of the configuration that the current worker runs; empty without one."""
        return (await self.answering())[1]

    async def answering(self) -> tuple[int, str]:
        """Which worker answers: its process ID, and the ``description`` of its configuration. Right after a start it
        may be one of before, which has the same socket until it gets to read its signal."""
        info = dict(line.partition(": ")[::2] for line in (await self.ask("show info"))[0].splitlines())
        return int(info.get("Pid", 0)), info.get("description", "")

    async def load(self, backend: str) -> dict[str, int]:
        """Requests in flight and queued in the current worker, by ``<backend>/<server>``.

        :raises ProxyError: when it does not answer.
        """
        return parse_servers((await self.ask(_SERVERS.format(backend)))[0])

    async def down(self, backend: str) -> frozenset[str]:
        """The servers of a backend that their check has taken out, as ``<backend>/<server>``.

        :raises ProxyError: when it does not answer.
        """
        return parse_down((await self.ask(_SERVERS.format(backend)))[0])

    async def leftover(self, pid: int, backend: str) -> Leftover:
        """What an old worker still has to do for one backend.

        :raises ProxyError: when it does not answer.
        """
        commands = (_TOTALS, _SERVERS.format(backend), _TOTALS, _TOTALS)
        return parse_leftover(await self.ask_worker(pid, *commands))

    async def totals(self, pid: int, backend: str) -> Totals:
        """The requests of one worker's backend.

        :raises ProxyError: when it does not answer.
        """
        return parse_totals(await self.ask_worker(pid, _BACKEND.format(backend), _SPEAK))

    async def counted(self, pid: int) -> dict[str, str]:
        """What one worker's map of counted services says: tokens by backend.

        :raises ProxyError: when it does not answer.
        """
        return dict(parse_counted(await self.ask_worker(pid, f"show map {COUNTED_MAP}", _SPEAK)))

    async def finished(self, pid: int) -> bool:
        """Whether a worker neither takes connections of users any more nor has one.

        :raises ProxyError: when it does not answer.
        """
        return parse_finished(await self.ask_worker(pid, _FRONTENDS))

    async def accepts(self, pid: int) -> bool:
        """Whether a worker still takes new connections of users.

        :raises ProxyError: when it does not answer.
        """
        return parse_accepting(await self.ask_worker(pid, _FRONTENDS))

    async def cut_streams(self, pid: int, servers: Collection[str]) -> int:
        """End the streams of one worker that are under way to these servers: see :mod:`.sessions`.

        :param servers: as ``<backend>/<server>``.
        :return: how many.
        :raises ProxyError: when it does not answer.
        """
        streams = await self._streams(pid, servers)
        for start in range(0, len(streams), _CUT_AT_ONCE):
            commands = (f"shutdown session {identity}" for identity in streams[start : start + _CUT_AT_ONCE])
            await self.change_worker(pid, *commands)
        return len(streams)

    async def count_streams(self, pid: int, servers: Collection[str]) -> int:
        """How many streams are under way; parameters and errors as of :meth:`cut_streams`."""
        return len(await self._streams(pid, servers))

    async def _streams(self, pid: int, servers: Collection[str]) -> list[str]:
        """The identities of the streams of one worker that are under way to these servers."""
        sessions = parse_sessions(await self.ask_worker(pid, "show sess all"))
        return [session.identity for session in sessions if session.stream and session.server in servers]

    async def follow(self, ring: str, is_new: Callable[[int], bool]) -> Events:
        """Follow a ring of the worker that answers on the socket, over a connection of its own.

        :param is_new: whether a worker, by its process ID, is met for the first time: then the lines begin with those
            that its ring has already.
        :raises ProxyError: when it does not answer.
        """
        return await self._guarded(self._follow(ring, is_new), STATS_SOCKET)

    async def _follow(self, ring: str, is_new: Callable[[int], bool]) -> Events:
        reader, writer = await self._connect(STATS_SOCKET)
        try:
            writer.write(b"prompt\nshow info\n")
            info = [await reader.readuntil(_PROMPT) for _ in range(2)][1].decode(errors="replace")
            pid = parse_pid(info)
            writer.write(f"show events {ring} -w{'' if is_new(pid) else ' -n'}\n".encode())
        except BaseException:
            writer.close()
            raise
        return Events(pid, reader, writer)

    async def _guarded(self, conversation: Awaitable[Answer], socket: str) -> Answer:
        try:
            return await with_timeout(conversation, self._timing.haproxy_answer)
        except (TimeoutError, OSError, EOFError) as error:
            raise ProxyError(
                f"HAProxy does not answer on its socket {socket}: {str(error) or 'no answer in time'}",
                "its own words are in the daemon's log",
            ) from error

    async def _converse(self, commands: Sequence[str]) -> list[str]:
        reader, writer = await self._connect(STATS_SOCKET)
        try:
            # Interactive mode: a prompt ends each answer, and otherwise nothing separates two answers.
            writer.write("".join(f"{line}\n" for line in ("prompt", *commands)).encode())
            answers = [await reader.readuntil(_PROMPT) for _ in range(len(commands) + 1)]
        finally:
            writer.close()
        return [answer.removesuffix(_PROMPT).decode(errors="replace").strip() for answer in answers[1:]]

    async def _single(self, command: str) -> str:
        reader, writer = await self._connect(MASTER_SOCKET)
        try:
            writer.write(f"{command}\n".encode())
            # The master keeps a conversation open until its other end is closed.
            writer.write_eof()
            answer = (await reader.read()).decode(errors="replace").strip()
        finally:
            writer.close()
        if not answer:
            raise EOFError("it closed the connection")
        return answer

    async def _connect(self, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        # Through a descriptor of the folder: a socket's path may have 108 characters at the most, a folder's 4096.
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/{name}", limit=2**26)
        finally:
            os.close(folder)


def parse_workers(text: str) -> Workers:
    """The answer to ``show proc``."""
    current, _, old = text.partition("# old workers")
    failed = _FAILED.search(current)
    pids = [[int(match[1]) for match in map(_WORKER.match, part.splitlines()) if match] for part in (current, old)]
    return Workers(pids[0][0] if pids[0] else 0, tuple(pids[1]), int(failed[1]) if failed else 0)


def parse_servers(text: str) -> dict[str, int]:
    """The answer to ``show stat`` about servers: CSV, whose header begins with ``# ``."""
    return {f"{row['pxname']}/{row['svname']}": int(row["scur"]) + int(row["qcur"] or 0) for row in _rows(text)}


def parse_down(text: str) -> frozenset[str]:
    """The answer to ``show stat`` about servers: those that are down."""
    return frozenset(f"{row['pxname']}/{row['svname']}" for row in _rows(text) if row["status"].startswith("DOWN"))


def parse_accepting(text: str) -> bool:
    """The answer to ``show stat`` about frontends: whether one of them is open."""
    return any(row["status"] == "OPEN" for row in _rows(text))


def parse_leftover(text: str) -> Leftover:
    """The answers to ``show stat``: totals, servers, totals, totals.

    A frontend counts connections and a backend requests, so the difference are idle clients; but the counters are not
    read at one moment. Where no request has begun from the first totals to the last, they hold for all of it. A worker
    that accepts yet is not quiet either.
    """
    before, servers, between, after = (f"# {part}" for part in text.split("# ")[1:])
    totals = [list(_rows(part)) for part in (before, between, after)]
    begun = {sum(int(row["req_tot"]) for row in rows if row["svname"] == "FRONTEND") for rows in totals}
    accepting = any(row["status"] == "OPEN" for row in totals[0] if row["svname"] == "FRONTEND")
    idle = sum(int(row["scur"]) * (1 if row["svname"] == "FRONTEND" else -1) for row in totals[1])
    return Leftover(parse_servers(servers), quiet=len(begun) == 1 and not accepting and idle <= 0)


def _rows(text: str) -> csv.DictReader[str]:
    return csv.DictReader(text.removeprefix("# ").splitlines())

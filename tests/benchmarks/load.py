"""A strict load: every request is counted, by phase, and one that is not answered 200 in full is lost.

It speaks HTTP/1.1 itself, because a library would hide what is measured: most retry a request on a connection that
the server closed, and none says which phase a failure fell into.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import multiprocessing
import random
import time
from dataclasses import dataclass, field

TIMEOUT = 30.0
# By which a server's own log tells users from probes and checks.
USER_AGENT = "bench-user"


@dataclass
class Count:
    """What one phase sent, lost, and why."""

    sent: int = 0
    lost: collections.Counter = field(default_factory=collections.Counter)

    @property
    def failed(self) -> int:
        return sum(self.lost.values())


class Load:
    """Requests to one path from a process of its own, until it is stopped.

    :param clients: half of them keep their connection alive, half open one for each request; all of them do that
        without ``keep_alive``.
    :param rate: requests a second of all clients together, 0 for as many as are answered.
    """

    def __init__(self, port: int, path: str, clients: int = 16, rate: float = 0, *, keep_alive: bool = True) -> None:
        self._phases, theirs = multiprocessing.Pipe()
        arguments = (theirs, port, path, clients, rate, keep_alive)
        self._process = multiprocessing.Process(target=_generate, args=arguments, daemon=True)

    def __enter__(self) -> Load:
        self._process.start()
        self._phases.recv()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.is_alive():
            self._process.terminate()
        self._process.join()

    def phase(self, name: str) -> None:
        """Count what is answered from now on under this name."""
        self._phases.send(name)

    def counts(self) -> dict[str, Count]:
        """The counts by phase so far."""
        self._phases.send(None)
        return self._phases.recv()

    def sent(self) -> int:
        """How many requests were answered or lost so far."""
        return sum(count.sent for count in self.counts().values())

    def stop(self) -> dict[str, Count]:
        """Let every request under way end, and return the counts by phase."""
        self._phases.send(StopIteration)
        counts = self._phases.recv()
        self._process.join()
        return counts


def _generate(pipe, port: int, path: str, clients: int, rate: float, keep_alive: bool) -> None:
    pause = clients / rate if rate else 0.0
    asyncio.run(_Generator(pipe, port, path, pause).run(clients, keep_alive))


class _Generator:
    def __init__(self, pipe, port: int, path: str, pause: float) -> None:
        self._pipe = pipe
        self._port = port
        self._pause = pause
        self._head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {USER_AGENT}\r\n"
        self._counts: dict[str, Count] = collections.defaultdict(Count)
        self._phase = "before"
        self._stopping = False

    async def run(self, clients: int, keep_alive: bool) -> None:
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._command)
        self._pipe.send("started")
        await asyncio.gather(*(self._client(keep_alive=keep_alive and number % 2 == 0) for number in range(clients)))
        self._pipe.send(dict(self._counts))

    def _command(self) -> None:
        message = self._pipe.recv()
        if message is StopIteration:
            self._stopping = True
        elif message is None:
            self._pipe.send(dict(self._counts))
        else:
            self._phase = message

    async def _until(self, due: float) -> float:
        """Wait until the next request is due, and return when the one after it is. Who is late does not catch up."""
        now = time.monotonic()
        if due > now:
            await asyncio.sleep(due - now)
        return max(due, now) + self._pause

    async def _client(self, keep_alive: bool) -> None:
        request = (self._head + ("" if keep_alive else "Connection: close\r\n") + "\r\n").encode()
        connection = None
        # Spread over the pause, so that the clients do not ask in step.
        due = time.monotonic() + random.uniform(0, self._pause)
        while not self._stopping:
            due = await self._until(due)
            phase = self._phase
            reason = ""
            try:
                connection = connection or await asyncio.wait_for(
                    asyncio.open_connection("127.0.0.1", self._port), TIMEOUT
                )
                reader, writer = connection
                writer.write(request)
                reason, reusable = await asyncio.wait_for(_answer(reader), TIMEOUT)
            except (TimeoutError, OSError, EOFError, ValueError) as error:
                reason, reusable = type(error).__name__, False
            count = self._counts[phase]
            count.sent += 1
            if reason:
                count.lost[reason] += 1
            if connection and not (keep_alive and reusable):
                connection[1].close()
                connection = None
            if reason:
                await asyncio.sleep(0.01)
        if connection:
            connection[1].close()
            with contextlib.suppress(OSError):
                await connection[1].wait_closed()


async def _answer(reader: asyncio.StreamReader) -> tuple[str, bool]:
    """Read one answer to its end: (what is wrong with it or empty, whether the connection can be used again)."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = head.split(b" ", 2)[1]
    if b"content-length:" in head:
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
    elif b"transfer-encoding: chunked" in head:
        while (size := int(await reader.readline(), 16)) > 0:
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        await reader.read()
    reusable = b"connection: close" not in head
    return ("" if status == b"200" else f"status {status.decode()}"), reusable


def table(counts: dict[str, Count]) -> str:
    """The counts, a line a phase, and the sum."""
    lines = [f"{'phase':32} {'sent':>10} {'lost':>6}"]
    for name, count in counts.items():
        why = ", ".join(f"{number} x {reason}" for reason, number in count.lost.most_common())
        lines.append(f"{name:32} {count.sent:>10} {count.failed:>6}  {why}".rstrip())
    total = sum(count.sent for count in counts.values())
    lost = sum(count.failed for count in counts.values())
    lines.append(f"{'all':32} {total:>10} {lost:>6}")
    return "\n".join(lines)

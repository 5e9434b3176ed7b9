"""The only place that starts a process and waits for it: argv lists, never a shell, output shown as it comes."""

from __future__ import annotations

import collections
import contextlib
import io
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from jenkins_proxy.console import Console
from jenkins_proxy.errors import UsageError
from jenkins_proxy.retry import Deadline

Process = subprocess.Popen[bytes]
"""A program that runs beside this one."""

_TAIL = 200
_GRACE = 10.0
# Jenkins ends the processes of an aborted build from the youngest up: a child's end may come before our own signal.
_SIGNAL_TO_COME = 0.3


@dataclass(frozen=True)
class Completed:
    """How a command ended.

    :ivar stdout: everything it wrote to stdout when that was captured, else empty.
    :ivar tail: the last lines it showed, oldest first.
    :ivar timed_out: whether it was ended because the deadline passed.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    tail: tuple[str, ...]
    timed_out: bool = False

    @property
    def last_line(self) -> str:
        """The last line that is not blank: nearly always the reason."""
        return next((line.strip() for line in reversed(self.tail) if line.strip()), "")


def find(name: str, env: Mapping[str, str] | None = None) -> str | None:
    """The full path of a program on the PATH, or None."""
    return shutil.which(name, path=(env or os.environ).get("PATH"))


def run(
    argv: Sequence[str],
    *,
    console: Console | None = None,
    capture: bool = False,
    env: Mapping[str, str] | None = None,
    deadline: Deadline | None = None,
    stdin: str = "",
) -> Completed:
    """Run a command to its end.

    :param argv: the program and its arguments; nothing in it is interpreted, and no secret belongs into it.
    :param console: when given, the command and its output are shown there, line by line.
    :param capture: keep stdout for the caller, unshown; stderr is still shown.
    :param env: the whole environment; this process's when not given.
    :param deadline: when it passes, the process group gets SIGTERM, and SIGKILL 10 s later.
    :raises FileNotFoundError: when the program is not there.
    """
    if console:
        console.command(list(argv))
    # A process group of its own: compose v2 starts children that would outlive it.
    process = subprocess.Popen(
        list(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if capture else subprocess.STDOUT,
        env=dict(env) if env is not None else None,
        start_new_session=True,
    )
    try:
        tail: collections.deque[str] = collections.deque(maxlen=_TAIL)
        captured: list[str] = []
        shown = process.stderr if capture else process.stdout
        readers = [threading.Thread(target=_show, args=(shown, tail, console), daemon=True)]
        if capture:
            readers.append(threading.Thread(target=_keep, args=(process.stdout, captured), daemon=True))
        for reader in readers:
            reader.start()
        _feed(process, stdin)
        timed_out = _wait(process, deadline)
    except BaseException:
        # Ctrl-C and SIGTERM reach the child too, and it is gone before we say what happened.
        _abandon(process)
        raise
    for reader in readers:
        reader.join(timeout=_GRACE)
    if process.returncode and not timed_out:
        time.sleep(_SIGNAL_TO_COME)  # when we are being stopped, that is reported, and not that the child failed
    return Completed(tuple(argv), process.returncode, "".join(captured), tuple(tail), timed_out)


def ask(argv: Sequence[str], seconds: float, *, env: Mapping[str, str], stdin: str = "") -> Completed:
    """Run a program that has only to answer, and capture the answer.

    :param seconds: its time limit: what a deploy asks before it begins is short, or does not come at all.
    :raises UsageError: when it does not end in time.
    :raises FileNotFoundError: when the program is not there.
    """
    answer = run(argv, capture=True, env=env, deadline=Deadline(seconds), stdin=stdin)
    if answer.timed_out:
        raise UsageError(f"{' '.join(argv)} did not end within {seconds:g} s", "run it by hand: what does it wait for?")
    return answer


def attached(argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> int:
    """Run a program that writes straight to our own stdout and stderr.

    :return: its exit code.
    :raises FileNotFoundError: when the program is not there.
    """
    process = subprocess.Popen(
        list(argv), stdin=subprocess.DEVNULL, env=dict(env) if env is not None else None, start_new_session=True
    )
    try:
        return process.wait()
    except BaseException:
        terminate(process)
        raise


def _abandon(process: Process) -> None:
    terminate(process)
    if process.stdin:
        with contextlib.suppress(OSError):
            process.stdin.close()


def _feed(process: Process, text: str) -> None:
    # A program that ends without reading is no error here: its exit code says the rest.
    with contextlib.suppress(BrokenPipeError), process.stdin or contextlib.nullcontext() as stdin:
        if stdin:
            stdin.write(text.encode())


# Each reader closes its pipe itself: a grandchild may keep it open, and closing it elsewhere would then block.
def _show(pipe: BinaryIO, tail: collections.deque[str], console: Console | None) -> None:
    with _text(pipe) as stream:
        for line in stream:
            # Progress bars redraw with carriage returns: only what a line ended as is worth a console's line.
            text = line.rstrip("\r\n").rpartition("\r")[2]
            tail.append(text)
            if console and text.strip():
                console.output(text)


def _keep(pipe: BinaryIO, captured: list[str]) -> None:
    with _text(pipe) as stream:
        captured.append(stream.read())


def _text(pipe: BinaryIO) -> TextIO:
    # Popen's own text mode would make a line of each redraw.
    return io.TextIOWrapper(pipe, encoding="utf-8", errors="replace", newline="\n")


def _wait(process: Process, deadline: Deadline | None) -> bool:
    try:
        process.wait(timeout=deadline.remaining if deadline else None)
    except subprocess.TimeoutExpired:
        terminate(process)
        return True
    return False


def terminate(process: Process, grace: float = _GRACE) -> None:
    """End a process that was started in a session of its own, and its children: SIGTERM, then SIGKILL.

    :param grace: seconds between the two.
    """
    for signum in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signum)
        try:
            process.wait(timeout=grace)
            return
        except subprocess.TimeoutExpired:
            continue


def start(argv: Sequence[str], log: BinaryIO, *, env: Mapping[str, str] | None = None) -> Process:
    """Start a program that runs beside this one, in a session of its own; :func:`terminate` ends it.

    :param log: a file for everything it writes.
    :raises FileNotFoundError: when the program is not there.
    """
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=dict(env) if env is not None else None,
        start_new_session=True,
    )


async def answer(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None) -> tuple[int, str]:
    """Run a short program within an event loop, to its end.

    :return: its exit code, and everything that it wrote.
    :raises FileNotFoundError: when the program is not there.
    """
    import asyncio  # here, as most commands have no loop, and it takes its time to load

    process = await asyncio.create_subprocess_exec(
        *argv, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return await process.wait(), output.decode(errors="replace")


def start_piped(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdin: BinaryIO | None = None,
    stdout: BinaryIO | None = None,
) -> Process:
    """Start a program whose stderr is a pipe to us. It has a session of its own: Ctrl-C in a terminal reaches us, who
    let it finish.

    :param stdin: a file that it reads; None: it is at its end.
    :param stdout: a file for what it writes there; None: it is lost.
    :raises FileNotFoundError: when the program is not there.
    """
    return subprocess.Popen(
        list(argv),
        cwd=cwd,
        env=dict(env),
        start_new_session=True,
        stdin=stdin or subprocess.DEVNULL,
        stdout=stdout or subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )

"""Runs compose and ``docker stack``, and reports each failure with its reason."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jenkins_proxy import processes
from jenkins_proxy.console import Console
from jenkins_proxy.errors import DeployFailed, UsageError
from jenkins_proxy.orchestrator.timing import Timing
from jenkins_proxy.retry import Deadline

# Lines that stand around the reason, or after it.
_NOISE = re.compile(
    r"""\s*$
    | (ERROR:\ )?Encountered\ errors\ while\ bringing\ up\ the\ project
    | time="[^"]*"\ level=(warning|info)
    | \s*(Container|Network|Volume|Image|Service)\ .*\ (Creat|Start|Stopp|Remov|Recreat|Runn|Wait|Pull|Build|Kill|Error)
    | \s*\S+\ (Error|Pulling|Pulled|Interrupted|Skipped.*)\s*$
    | (Creating|Starting|Stopping|Removing|Recreating|Pulling)\ [^:]*\.\.\.
    | Digest:\ | Status:\ | DEPRECATED:
    | (ERROR:\ )?(For\ (more|further)\b|For\ help\b|Learn\ more\b|More\ (info|help)|See\ |Run\ ['"`]|run\ ['"`]|https?://)
    | You\ might\ be\ seeing\ this\ error\ because\ you're\ using\ the\ wrong\ Compose\ file\ version
    """,
    re.VERBOSE,
)

_BEGIN = re.compile(r"(?i)(error\b|failed\b|unable\b|unknown\b|no such\b|invalid\b|yaml[:.]|the compose file\b)")

_PREFIX = re.compile(r"(?i)^(error response from daemon: |error: |\.)+(for \S+\s+)?")

_HINTS = (
    (
        r"not on the engine|pull access denied|manifest|repository .*not found|no such image|image .*not found"
        r"|registry",
        "build the image on that engine first, or check its name, the image registry and docker login",
    ),
    (
        r"port is already allocated|address already in use",
        'another container or program has that host port: publish a dynamic one (`- "8080"`), or free it',
    ),
    (r"no space left", "free disk space on the engine's machine"),
    (r"permission denied.*(docker\.sock|daemon socket)", "let this user use Docker: add it to the group docker"),
    (r"is already in use by container", "another project has a container with that container_name: rename one of them"),
    (
        r"no suitable node|no resources available|unable to find a node",
        "no node can take it: docker node ls, and placement constraints",
    ),
)


@dataclass(frozen=True)
class Program:
    """An orchestrator that is installed.

    :ivar name: ``compose-v2``, ``compose-v1`` or ``stack``.
    :ivar argv: what starts it: ``("docker", "compose")``.
    """

    name: str
    argv: tuple[str, ...]
    version: str


@dataclass(frozen=True)
class Runner:
    """A program with what it always runs with.

    :ivar environment: with the Docker settings, without our secrets.
    """

    program: Program
    environment: Mapping[str, str]
    console: Console
    timing: Timing = Timing()

    def config(self, words: Sequence[str], files: Sequence[str], *, stdin: str = "") -> dict[str, Any]:
        """Render compose files with the ``config`` command in ``words``; shows nothing.

        :param files: for the error's text.
        :raises UsageError: with the program's own reason, or when it takes too long.
        """
        argv = [*self.program.argv, *words]
        answer = processes.ask(argv, self.timing.config, env=self.environment, stdin=stdin)
        if answer.returncode:
            what = f"compose file {', '.join(files)}" if files else "no -f is given, and here"
            raise UsageError(f"{what}: {reason(answer.tail)}", f"{' '.join(argv)} shows it")
        import yaml

        return yaml.safe_load(answer.stdout) or {}

    def lines(self, words: Sequence[str], *, stdin: str = "") -> list[str]:
        """What a command of it prints; shows nothing. None when it fails."""
        answer = processes.ask([*self.program.argv, *words], self.timing.config, env=self.environment, stdin=stdin)
        return [] if answer.returncode else answer.stdout.splitlines()

    def run(
        self, words: Sequence[str], what: str, deadline: Deadline, *, explain: Callable[[], str], stdin: str = ""
    ) -> None:
        """Run it to its end, with its output on the console.

        :param what: the command in short, for the error's text.
        :param explain: called after a failure for what the program's own reason leaves out; may raise the cause.
        :raises DeployFailed: when it fails or the deadline passes.
        """
        answer = processes.run(
            [*self.program.argv, *words], console=self.console, env=self.environment, deadline=deadline, stdin=stdin
        )
        what = f"{' '.join(self.program.argv)} {what}"
        if answer.timed_out:
            raise DeployFailed(f"{what} did not end in time ({deadline})", "give it more with --timeout")
        if answer.returncode:
            text = explain() + (reason(answer.tail) or f"exit code {answer.returncode}")
            raise DeployFailed(f"{what} failed: {text}", hint(text))


def file_arguments(files: Sequence[str], option: str) -> list[str]:
    """``["-f", "a.yml", "-f", "b.yml"]``.

    :raises UsageError: when one of the files is not there.
    """
    missing = [file for file in files if not os.path.isfile(file)]
    if missing:
        raise UsageError(f"no compose file at {', '.join(missing)}", "give it with -f, relative to where this runs")
    return [word for file in files for word in (option, file)]


def reason(lines: Sequence[str]) -> str:
    """The reason of a failure in one line: the last error and what belongs to it; empty when nothing was printed."""
    meant = [line.rstrip() for line in lines if not _NOISE.match(line)]
    begin = next((at for at in reversed(range(len(meant))) if _BEGIN.match(meant[at])), len(meant) - 1)
    text = " ".join(" ".join(meant[begin:]).split()) if meant else ""
    return _PREFIX.sub("", text)


def hint(text: str) -> str:
    """The next step for a reason that is known, else empty."""
    return next((step for pattern, step in _HINTS if re.search(pattern, text, re.IGNORECASE)), "")

"""Runs compose and ``docker stack``, and tells each failure by its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable

from jenkins_proxy import command
from jenkins_proxy.console import Console
from jenkins_proxy.errors import DeployFailed, UsageError
from jenkins_proxy.orchestrator import output
from jenkins_proxy.waiting import Deadline

# A compose file may include others from a Git repository.
_CONFIG_SECONDS = 60.0


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

    def config(self, words: Sequence[str], files: Sequence[str], *, stdin: str = "") -> dict[str, Any]:
        """Render compose files with the ``config`` command in ``words``; shows nothing.

        :param files: for the error's text.
        :raises UsageError: with the program's own reason, or when it takes too long.
        """
        argv = [*self.program.argv, *words]
        answer = command.ask(argv, _CONFIG_SECONDS, env=self.environment, stdin=stdin)
        if answer.returncode:
            what = f"compose file {', '.join(files)}" if files else "no -f is given, and here"
            raise UsageError(f"{what}: {output.reason(answer.tail)}", f"{' '.join(argv)} shows it")
        import yaml

        return yaml.safe_load(answer.stdout) or {}

    def run(
        self, words: Sequence[str], what: str, deadline: Deadline, *, explain: Callable[[], str], stdin: str = ""
    ) -> None:
        """Run it to its end, with its output on the console.

        :param what: the command in short, for the error's text.
        :param explain: asked after a failure for what the program's own reason does not tell; may raise the cause.
        :raises DeployFailed: when it fails or the deadline passes.
        """
        answer = command.run(
            [*self.program.argv, *words], console=self.console, env=self.environment, deadline=deadline, stdin=stdin
        )
        what = f"{' '.join(self.program.argv)} {what}"
        if answer.timed_out:
            raise DeployFailed(f"{what} did not end in time ({deadline})", "give it more with --timeout")
        if answer.returncode:
            text = explain() + (output.reason(answer.tail) or f"exit code {answer.returncode}")
            raise DeployFailed(f"{what} failed: {text}", output.hint(text))

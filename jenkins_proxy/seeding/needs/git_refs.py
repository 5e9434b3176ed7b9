"""What a git repository has: its branches and tags, as ``git ls-remote`` lists them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from jenkins_proxy import processes
from jenkins_proxy.errors import UsageError

_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_SHOWN = 5
# Nobody is there to be asked for a password; helpers that people have set up are used.
_SILENT = {"GIT_TERMINAL_PROMPT": "0", "SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C"}


@dataclass(frozen=True)
class Refs:
    """The answer of a repository.

    :ivar names: of its branches and tags, the newest version last.
    :ivar reason: why they are not known; empty when they are.
    """

    names: tuple[str, ...] = ()
    reason: str = ""

    def lacks(self, version: str) -> bool:
        """Whether the repository is known not to have a branch or tag of that name; a commit is not listed."""
        return not self.reason and version not in self.names and not _COMMIT.fullmatch(version)

    def shown(self) -> str:
        """Some of the names, for a message."""
        more = len(self.names) - _SHOWN
        return ", ".join(self.names[-_SHOWN:]) + (f" and {more} more" if more > 0 else "") or "no branch and no tag"


def read(remote: str, seconds: float) -> Refs:
    """Ask a repository, with what this user may read.

    :param remote: its address.
    :param seconds: time limit of the answer.
    """
    environment = {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes", **os.environ, **_SILENT}
    argv = ["git", "ls-remote", "--quiet", "--heads", "--tags", "--", remote]
    try:
        answer = processes.ask(argv, seconds, env=environment)
    except FileNotFoundError:
        return Refs(reason="git is not installed here")
    except UsageError:
        return Refs(reason=f"no answer within {seconds:g} s")
    if answer.returncode:
        # The lines behind it are advice.
        fatal = next((line for line in answer.tail if line.startswith("fatal: ")), answer.last_line)
        return Refs(reason=without_password(fatal.removeprefix("fatal: ")) or f"git ended with {answer.returncode}")
    return Refs(_names(answer.stdout))


def _names(listed: str) -> tuple[str, ...]:
    found = re.findall(r"^\S+\trefs/(?:heads|tags)/(\S+)$", listed, re.MULTILINE)
    numbers = {name: [int(digits) for digits in re.findall(r"\d{1,9}", name)] for name in found}
    # An annotated tag is listed a second time, as `1.0.0^{}`.
    return tuple(sorted({name for name in found if not name.endswith("^{}")}, key=lambda name: (numbers[name], name)))


def without_password(text: str) -> str:
    """The text without what may stand before the host in an address."""
    return re.sub(r"//[^/@\s]*@", "//", text)

"""What the output of compose and docker means when it fails: the one reason, and what to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Lines that stand around the reason, or after it.
_NOISE = re.compile(
    r"""\s*$
    | (ERROR:\ )?Encountered\ errors\ while\ bringing\ up\ the\ project
    | time="[^"]*"\ level=(warning|info)
    | \s*(Container|Network|Volume|Image|Service)\ .*\ (Creat|Start|Stopp|Remov|Recreat|Runn|Wait|Pull|Build|Kill|Error)
    | \s*\S+\ (Error|Pulling|Pulled|Interrupted|Skipped.*)\s*$
    | (Creating|Starting|Stopping|Removing|Recreating|Pulling)\ [^:]*\.\.\.
    | Digest:\ | Status:\ | DEPRECATED:
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


def reason(lines: Sequence[str]) -> str:
    """The reason of a failure in one line: the last error and what belongs to it; empty when nothing was printed."""
    told = [line.rstrip() for line in lines if not _NOISE.match(line)]
    begin = next((at for at in reversed(range(len(told))) if _BEGIN.match(told[at])), len(told) - 1)
    text = " ".join(" ".join(told[begin:]).split()) if told else ""
    return _PREFIX.sub("", text)


def hint(text: str) -> str:
    """The next step for a reason that is known, else empty."""
    return next((step for pattern, step in _HINTS if re.search(pattern, text, re.IGNORECASE)), "")

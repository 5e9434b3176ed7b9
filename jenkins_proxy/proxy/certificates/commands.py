"""What HAProxy is told to serve other certificates without a reload, and what it answers. Pure.

Management guide 2.6, section 9.3 "set ssl cert", "commit ssl cert", "new ssl cert", "add ssl crt-list",
"del ssl crt-list", "del ssl cert".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from jenkins_proxy.proxy.haproxy.entry.options import CERTIFICATE_LIST, CERTIFICATES


class Result(Enum):
    """How a conversation about a certificate ended."""

    DONE = "done"
    REFUSED = "refused"
    """HAProxy has read it and cannot serve it."""
    IMPOSSIBLE = "impossible"
    """HAProxy is not in the state that was expected: only a reload brings it there."""


@dataclass(frozen=True)
class Step:
    """A command, and what is in its answer when it succeeds."""

    command: str
    success: str


def file_of(name: str) -> str:
    """A certificate's file as HAProxy calls it: within the folder that it runs in."""
    return f"{CERTIFICATES}/{name}.pem"


def addition(name: str, pem: str) -> tuple[Step, ...]:
    """HAProxy comes to serve one more certificate."""
    file = file_of(name)
    return (
        Step(f"new ssl cert {file}", "New empty certificate store"),
        *renewal(name, pem),
        Step(f"add ssl crt-list {CERTIFICATE_LIST} {file}", "Success"),
    )


def renewal(name: str, pem: str) -> tuple[Step, ...]:
    """HAProxy serves another certificate under the same name.

    :param pem: without an empty line, which would end it.
    """
    file = file_of(name)
    return (
        Step(f"set ssl cert {file} <<\n{pem.strip()}\n", "Transaction "),
        Step(f"commit ssl cert {file}", "Success"),
    )


def removal(name: str) -> tuple[Step, ...]:
    """HAProxy serves a certificate no longer."""
    file = file_of(name)
    return (
        Step(f"del ssl crt-list {CERTIFICATE_LIST} {file}", "deleted in crtlist"),
        Step(f"del ssl cert {file}", "deleted!"),
    )


def undo(name: str, *, added: bool) -> tuple[str, ...]:
    """What takes back a change that failed half-way: a transaction left open would keep the next one out."""
    file = file_of(name)
    taken_out = (f"del ssl crt-list {CERTIFICATE_LIST} {file}", f"del ssl cert {file}") if added else ()
    return (f"abort ssl cert {file}", *taken_out)


def result(steps: Sequence[Step], answers: Sequence[str]) -> Result:
    """How a conversation ended."""
    for step, answer in zip(steps, answers):
        if step.success not in answer:
            return Result.REFUSED if "unable to load" in answer or "an't load" in answer else Result.IMPOSSIBLE
    return Result.DONE


def list_text(default: str, names: Sequence[str]) -> str:
    """The list that HAProxy reads at its start.

    :param default: the name of the first one. It is for no host, only for clients that no other is for: ``!*``.
    :param names: in their order: of two that are for one host, the first serves.
    """
    return "".join((f"{file_of(default)} !*\n", *(f"{file_of(name)}\n" for name in names)))

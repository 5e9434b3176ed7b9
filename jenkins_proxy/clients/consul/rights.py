"""What each part of this package needs of a Consul with ACLs: as a policy, and to find what a token lacks.

Consul hides what a token may not read and answers as if there were nothing, so that a right that is missing looks like
an empty registry. Hence it is asked for, and said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

PROXY = "proxy"
REGISTRATOR = "registrator"
DEPLOY = "deploy"

SHARE_CERTS = "--share-certs"
_KEYS = "jenkins-proxy/"


@dataclass(frozen=True)
class Right:
    """A rule of a policy.

    :ivar resource: ``key``, ``node``, ``service`` or ``session``.
    :ivar prefix: what the names begin with; empty: all of them.
    :ivar access: ``read`` or ``write``.
    :ivar without: what happens without it.
    :ivar option: the option of the part that alone needs it; empty: it is always needed.
    """

    resource: str
    prefix: str
    access: str
    without: str
    option: str = ""

    @property
    def rule(self) -> str:
        """The rule in HCL."""
        return f'{self.resource}_prefix "{self.prefix}" {{ policy = "{self.access}" }}'

    def question(self) -> dict[str, str]:
        """The question of Consul's ``/v1/internal/acl/authorize``."""
        return {"Resource": self.resource, "Access": self.access, "Segment": self.prefix}


def _write(folder: str, without: str, option: str = "") -> Right:
    return Right("key", _KEYS + folder, "write", without, option)


_SERVICES = Right("service", "", "read", "no service is seen: each looks as if nothing were registered")
_NODES = Right("node", "", "read", "no instance is seen: each service looks as if none were registered")

RIGHTS: dict[str, tuple[Right, ...]] = {
    PROXY: (
        _NODES,
        _SERVICES,
        Right("session", "", "write", "this proxy is not counted among the live ones: no deploy waits for it"),
        _write("routes/", "routes are not seen, or can not be changed"),
        _write("drains/", "no instance can be drained"),
        _write("holds/", "no deploy can hold back what it starts"),
        _write("counts/", "users' requests are not counted during a deploy"),
        _write("proxies/", "this proxy is not counted among the live ones: no deploy waits for it"),
        _write("certificates/", "no certificate is shared with other proxies", SHARE_CERTS),
        Right("key", _KEYS + "deploys/.releases/", "read", "no history of releases is shown"),
    ),
    REGISTRATOR: (Right("service", "", "write", "no container is registered"),),
    DEPLOY: (
        _NODES,
        _SERVICES,
        Right("session", "", "write", "no deploy can lock its service"),
        _write("locks/", "no deploy can lock its service"),
        _write("project-locks/", "no deploy can lock its project"),
        _write("deploys/", "a deploy that was killed is not cleaned up after"),
        Right("key", _KEYS + "holds/", "read", "what a deploy holds back is not seen"),
    ),
}
"""By the part that needs them."""


def policy(part: str) -> str:
    """The policy of a part, as ``consul acl policy create -rules -`` reads it."""
    head = f"# What jenkins-proxy {'serve' if part == PROXY else part} needs, and what happens without it."
    return "\n".join([head, *(f"# {_reason(right)}\n{right.rule}" for right in RIGHTS[part])])


def _reason(right: Right) -> str:
    return f"{right.without} (only with {right.option})" if right.option else right.without


def needed(part: str, options: Iterable[str] = ()) -> list[Right]:
    """The rights that a part needs.

    :param options: those of its options that it runs with.
    """
    return [right for right in RIGHTS[part] if not right.option or right.option in options]


def questions(rights: Iterable[Right]) -> list[dict[str, str]]:
    """The body of a call that asks for all of them."""
    return [right.question() for right in rights]


def missing(rights: Sequence[Right], answers: Sequence[dict[str, Any]]) -> list[Right]:
    """The rights that a token lacks.

    :param answers: Consul's, in the order of the questions.
    :raises ValueError: when they are not as many.
    """
    return [right for right, answer in zip(rights, answers, strict=True) if not answer["Allow"]]


def lack(part: str, found: Sequence[Right]) -> tuple[str, str]:
    """What to say of the rights that a token lacks, and the next step."""
    words = "; ".join(f"{right.rule} ({right.without})" for right in found)
    return (
        f"the registry's token lacks what {part} needs: {words}",
        f"`jenkins-proxy doctor --consul-policy {part}` prints the whole policy; a token with it goes into "
        "CONSUL_HTTP_TOKEN",
    )

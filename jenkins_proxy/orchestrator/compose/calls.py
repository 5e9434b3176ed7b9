"""How compose is called so that it touches some services and no others. Pure: what runs in, words out.

Both versions bring up what a service needs along with it: they recreate it where its files have changed, give it the
count of the file, and start a one-shot again. How each is kept from that was tried on 1.29.2 and 2.26.1, and
tests/system/deployment/test_neighbours.py holds it:

* v1 has ``--no-deps``, and hashes a service in the same way with it.
* v2 takes ``depends_on`` out of a service with ``--no-deps`` before it hashes it, so that the next plain ``up -d``
  would recreate what was started. It is told the present count of each need instead. A need that has ended makes it
  ``--no-start``, after which the new containers are started one by one. Only what v2 would touch in spite of that, as
  its files or its image have changed or as it is paused, takes ``--no-deps``: a plain ``up -d`` recreates a changed
  need and then all that depends on it, whatever is done here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator.base import COMPOSE_V1

RUNS = ("running", "restarting", "paused")


@dataclass(frozen=True)
class Call:
    """One call of compose.

    :ivar starts: whether compose starts what it creates; else the caller has to.
    """

    words: tuple[str, ...]
    starts: bool = True


def alone(
    name: str,
    services: Sequence[str],
    needs: Mapping[str, Sequence[Container]],
    scale: Mapping[str, int],
    *,
    recreate: bool,
    changed: Collection[str] = (),
    start: bool = True,
) -> Call:
    """Bring services to what the files say, and leave what they need alone.

    :param name: ``compose-v1`` or ``compose-v2``.
    :param needs: the containers of what they need, by service.
    :param scale: the number of containers by service.
    :param recreate: whether containers of the services whose files have changed are replaced.
    :param changed: the needs that compose would recreate.
    :param start: whether compose may start the services' own containers that have ended.
    """
    flags = [] if recreate else ["--no-recreate"]
    there = [container for containers in needs.values() for container in containers]
    paused = any(container.state == "paused" for container in there)
    if name == COMPOSE_V1 or paused or (recreate and changed):
        flags.append("--no-deps")
        counts = dict(scale)
    else:
        counts = {**{need: len(containers) for need, containers in needs.items()}, **scale}
        start = start and all(container.state in RUNS for container in there)
    return Call(("up", "-d" if start else "--no-start", *flags, *scaled(counts), *services), start)


def idle(needs: Mapping[str, Sequence[Container]], one_shots: Collection[str], done: Collection[str]) -> list[str]:
    """The needs that are to be started, by name.

    :param needs: the containers of each.
    :param one_shots: those that have to run to their end.
    :param done: those that have had their turn in this deploy, or in the last one: none of them does its work again.
    """
    return [
        name
        for name, containers in needs.items()
        if not (name in done and name in one_shots)
        and (not containers or any(_rests(container, name in done) for container in containers))
    ]


def _rests(container: Container, done: bool) -> bool:
    """Whether a container is to be started."""
    did_its_work = done and container.state == "exited" and not container.exit_code
    return container.state not in RUNS and not did_its_work


def scaled(scale: Mapping[str, int]) -> list[str]:
    """``["--scale", "app=2"]``."""
    return [word for service, count in scale.items() for word in ("--scale", f"{service}={count}")]

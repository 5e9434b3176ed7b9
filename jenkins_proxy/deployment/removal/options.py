"""What an undeploy is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from jenkins_proxy.orchestrator.base import AUTO


@dataclass(frozen=True)
class UndeployOptions:
    """The command line's options as data; none of them is checked yet.

    :ivar project: the compose project or stack; empty means the one that :func:`look.project` finds.
    :ivar files: compose files; none means that the engine's labels have to do.
    :ivar targets: the compose services whose containers are the instances, and more that go with them.
    :ivar sides: other services that go, too.
    :ivar with_sides: whether all of the project goes.
    :ivar volumes: whether named volumes go.
    :ivar proxy: whether the route goes.
    :ivar lock_timeout: seconds to wait for a deploy of the same service or project.
    """

    service: str
    project: str = ""
    files: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()
    with_sides: bool = False
    orchestrator: str = AUTO
    volumes: bool = False
    proxy: bool = True
    lock_timeout: float = 0.0

"""When the other targets of a deploy are steady: looks at containers, one after the other, to how the wait ends."""

from __future__ import annotations

import io

import pytest

from jenkins_proxy import settings
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.steps.wait import ContainerDied, Unhealthy
from jenkins_proxy.deployment.strategies import steady
from jenkins_proxy.deployment.timing import Timing
from jenkins_proxy.errors import WaitTimeout
from jenkins_proxy.orchestrator.project import ComposeProject, Service
from jenkins_proxy.retry import Deadline
from tests.fixtures.orchestrators import InMemoryCompose

WORKER = ComposeProject("books", {"worker": Service("worker")})
TIMING = Timing(poll=0.02, steady=0.1, restart_loop=0.05)


class Played(InMemoryCompose):
    """The worker's one container is what the next look says; the last look stays."""

    def __init__(self, looks) -> None:
        super().__init__(WORKER)
        self.looks = list(looks)

    def containers(self, service=""):
        return [self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]]


@pytest.mark.parametrize(
    ("looks", "error"),
    [
        ([{}], None),
        ([{"health": "starting"}, {"health": "healthy"}], None),
        ([{"state": "restarting"}, {"restarts": 1}], None),
        ([{"state": "exited", "exit_code": 0}], None),
        ([{"state": "exited", "exit_code": 3}], (ContainerDied, "ended with exit code 3")),
        ([{}, {"state": "exited", "exit_code": 3}], (ContainerDied, "ended with exit code 3")),
        ([{"state": "restarting", "exit_code": 3}], (ContainerDied, "restarts again and again")),
        ([{"health": "unhealthy"}], (Unhealthy, "its HEALTHCHECK says unhealthy")),
        ([{"health": "starting"}], (WaitTimeout, "worker: not steady after 0.4 s: worker-1 is starting")),
        ([{"restarts": n} for n in range(200)], (WaitTimeout, "worker-1 has restarted")),
    ],
)
def test_looks_to_an_end(a_container, looks, error):
    played = Played(a_container("worker-1", service="worker", **look) for look in looks)
    context = Context(settings.resolve({}), Console(io.StringIO()), None, None, Deadline(0.4), timing=TIMING)

    def run() -> None:
        steady.wait(context, played, ["worker"], settle=0.0, before=())

    if error is None:
        run()
        assert context.deadline.elapsed >= TIMING.steady
        return
    with pytest.raises(error[0], match=error[1]):
        run()

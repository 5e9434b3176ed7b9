"""The deploy: finished when users reach the new instances through the proxy, and not before."""

from __future__ import annotations

from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.deployment.context import Request, World
from jenkins_proxy.deployment.dry_run import show as show_plan
from jenkins_proxy.deployment.failure import resume, revert
from jenkins_proxy.deployment.failure.intent_log import Journal
from jenkins_proxy.deployment.report import Report
from jenkins_proxy.deployment.steps import lock, preflight, proxy_route, wait
from jenkins_proxy.deployment.steps.probe import prove
from jenkins_proxy.deployment.strategies import select
from jenkins_proxy.deployment.strategies.base import Change
from jenkins_proxy.errors import ProbeFailed

_FORWARD = "the new instances serve, and what is left of the old ones goes with the next deploy"


def deploy(request: Request, world: World, report: Report, *, dry_run: bool = False) -> None:
    """Bring a compose service up, route it and prove it; on failure put back what served before.

    :param report: filled on the way.
    :param dry_run: say what would be done, and change nothing.
    :raises JenkinsProxyError: by the phase that failed: 2 and 4 from preflight, 5 from bring up, 3 from wait, 4 from
        reconfigure, 6 from probe.
    """
    report.afterwards = "nothing was changed"
    ready = preflight.check(request, world)
    report.strategy, report.orchestrator = ready.strategy, ready.orchestrator.name
    report.route = request.route
    world.console.step(f"strategy {ready.strategy}: {ready.why}")
    if dry_run:
        report.plan = show_plan(select.begin(request, world, ready), world)
        return
    # The thread that keeps the lock alive has a registry client of its own.
    with lock.hold(Consul.from_settings(world.settings), request.service, request.lock_timeout, world.console) as held:
        world = world.anew()
        journal = Journal(world.registry, request.service)
        wanted = resume.recover(journal, world, ready, report)
        change = select.begin(request, world, ready, wanted)
        if request.pull:
            with report.phase("bring_up"):
                ready.orchestrator.pull(deadline=world.deadline)
        journal.begin(change)
        with revert.on_failure(change, world, report, journal):
            for count in change.steps:
                _bring_up_and_prove(change, count, world, report, held)
        report.during, report.afterwards = "retire", _FORWARD
        journal.proven()
        in_the_end = change.finish()
        if in_the_end:
            report.found(in_the_end)
        journal.end()
    report.during = report.afterwards = ""
    _tell(world, report)


def _bring_up_and_prove(change: Change, count: int, world: World, report: Report, held: lock.Lock) -> None:
    with report.phase("bring_up"):
        new = change.bring_up(count)
    with report.phase("wait"):
        report.found(
            wait.for_containers(
                world,
                change.orchestrator,
                change.registry_name,
                new,
                beside=change.beside,
                settle=change.request.settle,
            )
        )
    if change.route is None:
        return
    with report.phase("reconfigure"):
        held.confirm()
        answer = proxy_route.put(world, change.route)
        report.route = change.route
    with report.phase("probe"):
        try:
            prove(world, change.route, change.request.probe_path, answer, report.addresses)
        except ProbeFailed:
            # One that died after it was passing answers nobody: its own last words say more than the proxy's 503.
            wait.check_alive(change.orchestrator, new)
            raise
        report.url = proxy_route.url(world.settings.entry, change.route)


def _tell(world: World, report: Report) -> None:
    where = f" at {report.url}" if report.url else ""
    world.console.step(
        f"done: {report.service}{where}: {len(report.instances)} instance(s): "
        + ", ".join(str(address) for address in report.addresses)
    )

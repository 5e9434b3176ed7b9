"""Waiting, against a real Consul. The engine is played: no real container loops or changes its health on cue."""

from __future__ import annotations

import dataclasses
import threading
import uuid

import pytest

from jenkins_proxy import settings
from jenkins_proxy.clients.consul import calls
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.steps import wait, wait_count
from jenkins_proxy.deployment.timing import Timing
from jenkins_proxy.errors import DeployFailed, RegistryError, WaitTimeout
from jenkins_proxy.model import Container


class Played:
    """An orchestrator whose containers are what the test says, look by look; the last look stays."""

    project = "books"

    def __init__(self, *looks: list[Container], others: tuple[Container, ...] = ()) -> None:
        self.looks = list(looks)
        self.others = others

    def running_anywhere(self) -> list[Container]:
        return [*self.looks[0], *self.others]

    def containers(self, service: str = "") -> list[Container]:
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return [container for container in look if service in ("", container.service)]

    def logs(self, container: Container, lines: int = 50) -> list[str]:
        return ["starting", "cannot reach the database", ""]

    def health_output(self, container: Container) -> str:
        return ""


@pytest.fixture
def service() -> str:
    return f"f2-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def context(consul_url):
    """``context(seconds)`` has so much time, and a Consul; more arguments are fields of its Timing."""
    made = []

    def make(seconds: float = 20.0, url: str = "", **timing: float) -> Context:
        resolved = settings.resolve({"consul": url or consul_url})
        made.append(Context.from_settings(resolved, Console(), seconds, timing=Timing(**timing)))
        return made[-1]

    yield make
    for one in made:
        one.registry.close()


@pytest.fixture
def register(context, service):
    """``register(32768)`` enters an instance as Registrator would; gone after the test."""
    registry, ids = context().registry, []

    def enter(port: int, name: str = "books_app_1", as_service: str = "", **more) -> str:
        ids.append(f"node-1:{name}-{service}:8080")
        registry.register({"ID": ids[-1], "Name": as_service or service, "Address": "10.0.0.1", "Port": port, **more})
        return ids[-1]

    yield enter
    for one in ids:
        registry.deregister(one)


def test_it_ends_when_every_container_is_passing(context, service, register, a_container):
    containers = [a_container("books_app_1", 32768), a_container("books_app_2", 32769)]
    register(32768)
    threading.Timer(0.2, register, (32769, "books_app_2")).start()

    found = wait.for_containers(context(), Played(containers), service, containers)

    assert [match.container.name for match in found.ready] == ["books_app_1", "books_app_2"]


def test_it_says_how_far_it_is(context, service, register, a_container, capsys):
    container = a_container("books_app_1", 32768)
    threading.Timer(0.2, register, (32768,)).start()

    wait.for_containers(context(60), Played([container]), service, [container])

    said = capsys.readouterr().err
    assert f"* waiting for {service}: 0/1 instances passing, 1 to come: books_app_1 (0 s of 60 s)" in said
    assert f"* waiting for {service}: 1/1 instances passing" in said


def test_the_predecessors_entry_is_not_taken_for_the_new_container(context, service, register, a_container, capsys):
    """A recreated container keeps its ID; only the port tells."""
    container = a_container("books_app_1", 32768)
    register(32760)

    with pytest.raises(WaitTimeout) as failure:
        wait.for_containers(context(0.3), Played([container]), service, [container])

    assert failure.value.exit_code == 3
    assert f"{service}: 0/1 instances passing after 0.3 s: books_app_1: no entry at" in failure.value.message


def test_it_names_the_container_that_was_renamed(context, service, register, a_container):
    container = a_container("books_app_1", 32768)
    register(32768, as_service="books-ms")

    with pytest.raises(WaitTimeout, match="registered under the name of its image: books-ms at") as failure:
        wait.for_containers(context(0.3), Played([container]), service, [container])

    assert f"SERVICE_8080_NAME={service}" in failure.value.hint


def test_it_shows_the_output_of_the_check(context, service, register, a_container):
    container = a_container("books_app_1", 32768)
    identity = register(32768, Check={"TTL": "60s", "Status": "critical", "Notes": "n"})

    with pytest.raises(WaitTimeout, match="critical at 10.0.0.1:32768"):
        wait.for_containers(context(0.3), Played([container]), service, [container])
    assert identity


def test_a_container_that_ended_is_noticed_although_nothing_changes_in_the_registry(context, service, a_container):
    container = a_container("books_app_1", 32768)
    ended = dataclasses.replace(container, state="exited", exit_code=3)

    with pytest.raises(DeployFailed, match="books_app_1 ended with exit code 3: cannot reach the database") as failure:
        wait.for_containers(context(), Played([container], [ended]), service, [container])

    assert failure.value.exit_code == 5


def test_a_container_that_was_removed_is_noticed(context, service, a_container):
    container = a_container("books_app_1", 32768)

    with pytest.raises(DeployFailed, match="books_app_1 was removed"):
        wait.for_containers(context(), Played([container], []), service, [container])


def test_a_restart_is_borne_and_a_loop_is_not(context, service, register, a_container):
    container = a_container("books_app_1", 32768)
    restarting = dataclasses.replace(container, state="restarting", exit_code=1)
    register(32768, Check={"TTL": "60s", "Status": "critical"})

    with pytest.raises(DeployFailed, match=r"restarts again and again \(exit code 1\): cannot reach the database"):
        wait.for_containers(context(restart_loop=0.0), Played([container], [restarting]), service, [container])

    with pytest.raises(WaitTimeout):
        wait.for_containers(context(0.2), Played([restarting], [container]), service, [container])


def test_health_that_comes_without_a_change_in_the_registry(context, service, register, a_container):
    starting = a_container("books_app_1", 32768, health="starting")
    healthy = dataclasses.replace(starting, health="healthy")
    register(32768)

    found = wait.for_containers(context(), Played([starting], [healthy]), service, [starting])

    assert found.complete


def test_an_entry_that_nobody_takes_away_is_told_of_and_borne(context, service, register, a_container, capsys):
    container = a_container("books_app_1", 32768)
    register(32768)
    register(32760, "books_app_7")

    found = wait.for_containers(context(stale_grace=0.1), Played([container]), service, [container])

    assert found.complete
    assert "WARNING: stale entry node-1:books_app_7" in capsys.readouterr().err


def test_those_beside_may_be_of_another_compose_service(context, service, register, a_container, capsys):
    """The standby of a Swarm service is: their entries are not stale, and nothing is waited for."""
    old, new = a_container("books_app_1", 32768), a_container("books_app_7", 32769, service="app-standby")
    register(32768)
    register(32769, "books_app_7")
    here = context()

    found = wait.for_containers(here, Played([old, new]), service, [new], keep_running=[old])

    assert not found.stale
    assert "stale" not in capsys.readouterr().err
    assert here.deadline.elapsed < here.timing.stale_grace


def test_an_entry_that_goes_in_time_is_waited_for(context, service, register, a_container, capsys):
    container = a_container("books_app_1", 32768)
    register(32768)
    leaving = register(32760, "books_app_7")
    threading.Timer(0.2, context().registry.deregister, (leaving,)).start()

    found = wait.for_containers(context(), Played([container]), service, [container])

    assert not found.stale
    assert "stale" not in capsys.readouterr().err


def test_settle_starts_anew_when_health_is_lost(context, service, register, a_container):
    healthy = a_container("books_app_1", 32768, health="healthy")
    starting = dataclasses.replace(healthy, health="starting")
    register(32768)
    played = Played([healthy], [starting], [healthy])
    here = context()

    wait.for_containers(here, played, service, [healthy], settle=0.5)

    # Two looks without settling, each at most a second apart, and then the time itself.
    assert len(played.looks) == 1
    assert here.deadline.elapsed >= 0.5


def test_what_docker_calls_unhealthy_fails_then(context, service, register, a_container):
    starting = a_container("books_app_1", 32768, health="starting")
    unhealthy = dataclasses.replace(starting, health="unhealthy")
    register(32768)
    here = context()

    with pytest.raises(wait.Unhealthy, match="books_app_1: its HEALTHCHECK says unhealthy: ") as failure:
        wait.for_containers(here, Played([starting], [unhealthy]), service, [starting])

    assert failure.value.exit_code == 3
    assert here.deadline.elapsed < 3


def test_what_has_passed_and_is_critical_fails_then(context, service, register, a_container):
    one, other = a_container("books_app_1", 32768), a_container("books_app_2", 32769)
    identity = register(32768, Check={"TTL": "60s", "Status": "passing"})
    here = context()
    critical = calls.update_check(f"service:{identity}", "critical", "connection refused")
    threading.Timer(0.3, here.registry.call, (critical,)).start()

    with pytest.raises(wait.Unhealthy, match="it passed, and is critical now at 10.0.0.1:32768: connection refused"):
        wait.for_containers(here, Played([one, other]), service, [one, other])


def test_what_is_not_steady_for_long_enough_is_said(context, service, register, a_container):
    container = a_container("books_app_1", 32768)
    register(32768)

    with pytest.raises(WaitTimeout, match="1/1 instances passing after 0.2 s: not steady for 60 s"):
        wait.for_containers(context(0.2), Played([container]), service, [container], settle=60)


def test_a_registry_that_is_away_for_good(context, free_port, service, a_container, capsys):
    container = a_container("books_app_1", 32768)
    away = context(0.3, f"http://127.0.0.1:{free_port()}")

    with pytest.raises(RegistryError):
        wait.for_containers(away, Played([container]), service, [container])

    assert "waiting for it to come back" in capsys.readouterr().err


def test_a_registry_that_comes_back_in_time(context, service, register, a_container, capsys, mocker):
    container = a_container("books_app_1", 32768)
    register(32768)
    here = context()
    away = RegistryError("no registry answers")
    answers = [away, away, here.registry.instances(service)]
    mocker.patch.object(here.registry, "instances", side_effect=answers)

    found = wait.for_containers(here, Played([container]), service, [container])

    assert found.complete
    assert "WARNING: no registry answers; waiting for it to come back" in capsys.readouterr().err


def test_an_address_other_than_expected_is_told(context, service, register, a_container, capsys):
    container = a_container(f"books_app_1-{service}", 32768, node_addresses=("192.168.7.7",))
    register(32768)

    wait.for_containers(context(), Played([container]), service, [container])

    assert "registered at 10.0.0.1:32768, an address other than expected (192.168.7.7)" in capsys.readouterr().err


def test_a_count_of_instances_whoever_started_them(context, service, register):
    register(32768)
    threading.Timer(0.2, register, (32769, "other")).start()

    assert [i.address.port for i in wait_count.for_count(context(), service, 2)] == [32768, 32769]


def test_a_count_that_is_not_reached_names_the_others(context, service, register):
    register(32768)
    register(32769, "other", Check={"TTL": "60s", "Status": "critical"})

    with pytest.raises(WaitTimeout) as failure:
        wait_count.for_count(context(0.2), service, 2)

    assert f"{service}: 1/2 instances passing after 0.2 s: node-1:other-{service}:8080" in failure.value.message
    assert "is critical" in failure.value.message


def test_a_count_goes_on_when_the_registry_has_been_away(context, service, register, capsys, mocker):
    here = context()
    none = here.registry.instances(service)
    register(32768)
    answers = [none, RegistryError("no registry answers"), here.registry.instances(service)]
    mocker.patch.object(here.registry, "instances", side_effect=answers)

    assert [one.address.port for one in wait_count.for_count(here, service, 1)] == [32768]
    assert "the registry is back" in capsys.readouterr().err


def test_a_count_of_a_service_that_is_not_there(context, service):
    with pytest.raises(WaitTimeout) as failure:
        wait_count.for_count(context(0.1), service, 1)

    assert f"no service {service}" in failure.value.hint


def test_another_name_at_this_very_address_is_told_in_seconds(context, service, register, a_container):
    container = a_container("books_app_1", 32768)
    register(32768, as_service=f"{service}-other")
    patient = context(60, hopeless=0.3, poll=0.1)

    with pytest.raises(WaitTimeout, match=f"registered under another name: {service}-other at") as failure:
        wait.for_containers(patient, Played([container]), service, [container])

    assert patient.deadline.elapsed < 10
    assert f"SERVICE_8080_NAME={service}" in failure.value.hint


def test_a_name_that_is_set_right_in_a_moment_is_waited_for(context, service, register, a_container):
    container = a_container("books_app_1", 32768)
    register(32768, as_service=f"{service}-other")
    threading.Timer(0.4, register, (32768,)).start()

    found = wait.for_containers(context(60, hopeless=3.0, poll=0.1), Played([container]), service, [container])

    assert found.complete


def test_what_has_restarted_is_watched_until_it_runs_steadily(context, service, register, a_container):
    container = a_container("books_app_1", 32768)
    again = dataclasses.replace(container, restarts=1)
    register(32768)
    looks = context(20, steady=0.6, poll=0.05)

    wait.for_containers(looks, Played([container], [again]), service, [container], settle=0.2)

    assert looks.deadline.elapsed >= 0.6


def test_a_loop_of_restarts_is_no_success_however_short_each_look_is(context, service, register, a_container):
    """Between two restarts it runs for a moment, and its entry stays in the registry meanwhile."""
    container = a_container("books_app_1", 32768)
    looks = [[dataclasses.replace(container, restarts=number)] for number in range(200)]
    register(32768)

    with pytest.raises(WaitTimeout, match="books_app_1 has restarted meanwhile"):
        wait.for_containers(context(1.5, steady=1.0, poll=0.05), Played(*looks), service, [container], settle=0.3)


def test_an_entry_of_anothers_container_is_no_stale_entry(context, service, register, a_container, capsys):
    container = a_container("books_app_1", 32768)
    other = a_container("shop_app_1", 32769, project="shop")
    register(32768)
    register(32769, "shop_app_1")

    played, soon = Played([container], others=(other,)), context(20, stale_grace=0.2)

    with pytest.raises(WaitTimeout, match="also to shop_app_1 of project shop, service app at 10.0.0.1:32769"):
        wait.for_containers(soon, played, service, [container], alone=True)
    assert wait.for_containers(soon, played, service, [container]).complete
    said = capsys.readouterr().err
    assert "WARNING: the registry leads users of" in said
    assert "stale" not in said


def test_what_is_taken_over_from_another_project_keeps_its_entry(context, service, register, a_container):
    container = a_container("books_app_1", 32768)
    other = a_container("shop_app_1", 32769, project="shop")
    register(32768)
    register(32769, "shop_app_1")

    found = wait.for_containers(context(), Played([container]), service, [container], keep_running=[other])

    assert (found.complete, found.stale) == (True, ())

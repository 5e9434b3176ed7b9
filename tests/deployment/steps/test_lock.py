"""One deploy of a service at a time, against a real Consul."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

from jenkins_proxy import signals
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.steps import lock
from jenkins_proxy.deployment.timing import Timing
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.orchestrator.base import Place

HOLDER = """
import sys
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.steps import lock
from jenkins_proxy.clients.consul.client import Consul
with lock.hold(Consul(sys.argv[1]), lock.Subject.of_service(sys.argv[2]), 0, Console()):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def registry(consul_url, wait_for):
    with Consul(consul_url) as client:
        # A Consul that has just begun has a leader before it has a node, and sessions belong to nodes.
        wait_for(client.services, "Consul to enter itself")
        yield client


@pytest.fixture
def service() -> str:
    return f"f2-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def holder(consul_url, service):
    """Another process that holds the lock until its stdin ends."""
    argv = [sys.executable, "-c", HOLDER, consul_url, service]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def hold(registry, service, timeout=0.0, *, timing=None, **environ):
    subject = service if isinstance(service, lock.Subject) else lock.Subject.of_service(service)
    return lock.hold(registry, subject, timeout, Console(), environ, timing=timing)


def test_it_is_there_while_held_and_gone_after(registry, service):
    with hold(registry, service, BUILD_URL="http://jenkins/job/books-ms/17/"):
        held = registry.kv_get(lock.PREFIX + service)
        assert held.session
        assert json.loads(held.value)["build"] == "http://jenkins/job/books-ms/17/"

    assert registry.kv_get(lock.PREFIX + service) is None


def test_a_second_one_says_who_holds_it_since_when_and_from_which_build(consul_url, registry, service):
    with (
        hold(registry, service, BUILD_TAG="jenkins-books-ms-17"),
        Consul(consul_url) as other,
        pytest.raises(RegistryError) as refused,
        hold(other, service),
    ):
        pytest.fail("two hold it")

    assert refused.value.exit_code == 4
    assert refused.value.message.startswith(f"{service} is being deployed: ")
    assert f"(pid {os.getpid()})" in refused.value.message
    assert "build jenkins-books-ms-17" in refused.value.message
    assert "since 20" in refused.value.message


def test_a_second_one_leaves_no_session_behind(consul_url, registry, service):
    with hold(registry, service), Consul(consul_url) as other:
        before = registry.kv_get(lock.PREFIX + service)
        with pytest.raises(RegistryError), hold(other, service):
            pytest.fail("two hold it")
        assert registry.kv_get(lock.PREFIX + service) == before


def test_a_second_one_waits_if_told_to(registry, service, holder, capsys):
    threading.Timer(0.2, holder.stdin.close).start()

    with hold(registry, service, timeout=20):
        assert holder.wait(10) == 0

    assert f"waiting for another deploy of {service}" in capsys.readouterr().err


class Signalling(Consul):
    """Its user is told to stop while a lock is released."""

    def kv_delete(self, key, **more):
        os.kill(os.getpid(), signal.SIGTERM)
        return super().kv_delete(key, **more)


def test_a_signal_does_not_leave_it_to_the_registry_to_give_it_up(consul_url, registry, service):
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
    signals.raise_stopped()
    try:
        with Signalling(consul_url) as told, hold(told, service):
            assert registry.kv_get(lock.PREFIX + service)
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    assert registry.kv_get(lock.PREFIX + service) is None


def test_services_do_not_hinder_each_other(consul_url, registry, service):
    with hold(registry, service), Consul(consul_url) as other, hold(other, service + "-2"):
        pass


def test_two_services_of_a_project_hinder_each_other(consul_url, registry, service):
    shop = Place(service, "engine")
    with (
        hold(registry, lock.Subject.of_project(shop, "front")),
        Consul(consul_url) as other,
        pytest.raises(RegistryError) as refused,
        hold(other, lock.Subject.of_project(shop, "back")),
    ):
        pytest.fail("two hold it")

    assert refused.value.message.startswith(f"project {service} is being deployed: ")
    assert refused.value.message.endswith(", service front")


def test_a_project_of_the_same_name_on_another_engine_is_another(consul_url, registry, service):
    one, two = (lock.Subject.of_project(Place(service, engine), "front") for engine in ("one", "two"))
    with hold(registry, one), Consul(consul_url) as other, hold(other, two):
        pass


@pytest.mark.parametrize(
    "info, engine",
    [
        ({"ID": "A:B", "Swarm": {"Cluster": {"ID": "xyz"}}}, "xyz"),
        ({"ID": "A:B", "Swarm": {"LocalNodeState": "inactive"}}, "A:B"),
        ({}, "tcp://manager:2375"),
    ],
)
def test_where_a_project_is(info, engine):
    assert Place.of("shop", info, "tcp://manager:2375") == Place("shop", engine)


def test_a_holder_of_this_machine_that_was_killed_is_seen_at_once(registry, service, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)

    with hold(registry, service):
        pass


def test_a_killed_holder_that_nobody_reaps_is_dead_all_the_same(registry, service, holder, wait_for):
    holder.send_signal(signal.SIGKILL)
    wait_for(lambda: Path(f"/proc/{holder.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z", "the zombie")

    with hold(registry, service):
        pass


def test_a_lost_lock_is_noticed(registry, service, wait_for):
    with hold(registry, service, timing=Timing(lock_renew=0.05)) as held:
        held.ensure_held()
        registry.session_destroy(registry.kv_get(lock.PREFIX + service).session)
        other = registry.session_create("other", 10)
        while not registry.kv_put(lock.PREFIX + service, b'{"who": "other"}', acquire=other):
            registry.session_destroy(registry.kv_get(lock.PREFIX + service).session)

        def lost():
            try:
                held.ensure_held()
            except RegistryError as error:
                return error

        error = wait_for(lost, "the loss of the lock")
        assert "other on an unknown host" in error.message
        registry.session_destroy(other)


def test_a_session_that_the_registry_forgot_is_made_again(registry, service, wait_for):
    with hold(registry, service, timing=Timing(lock_renew=0.05)) as held:
        first = registry.kv_get(lock.PREFIX + service).session
        registry.session_destroy(first)

        wait_for(lambda: registry.kv_get(lock.PREFIX + service).session, "the lock to be taken again")
        held.ensure_held()
        assert registry.kv_get(lock.PREFIX + service).session != first


def test_a_lock_that_another_deploy_had_meanwhile_is_not_taken_again(consul_url, registry, service):
    """As after a pause: the session has ended, another deploy has come and gone, and the key is free again."""
    with hold(registry, service, timing=Timing(lock_renew=60.0)) as held:
        registry.session_destroy(registry.kv_get(lock.PREFIX + service).session)
        with Consul(consul_url) as other, hold(other, service):
            pass

        with pytest.raises(lock.LockLost, match="another deploy had it meanwhile"):
            held.ensure_held()


def test_what_was_killed_meanwhile_had_the_lock_as_well(consul_url, registry, service):
    with hold(registry, service, timing=Timing(lock_renew=60.0)) as held:
        registry.session_destroy(registry.kv_get(lock.PREFIX + service).session)
        session = registry.session_create("killed", 10, behavior="release")
        assert registry.kv_put(lock.PREFIX + service, b"{}", acquire=session)
        registry.session_destroy(session)

        with pytest.raises(lock.LockLost):
            held.ensure_held()


class Faulty(Consul):
    """A registry whose next answers of a kind are others than they should be."""

    denied = 0
    unread = 0

    def session_renew(self, session_id: str) -> bool:
        self.denied -= 1
        return self.denied < 0 and super().session_renew(session_id)

    def kv_get(self, key: str):
        self.unread -= 1
        if self.unread >= 0:
            raise RegistryError("no leader")
        return super().kv_get(key)


@pytest.fixture
def faulty(registry, consul_url):
    with Faulty(consul_url) as client:
        yield client


def test_a_session_that_the_registry_denies_and_has_all_the_same_is_kept(faulty, service):
    """As a server does that has just come to lead, and does not know of it yet."""
    with hold(faulty, service, timing=Timing(lock_renew=60.0)) as held:
        before = faulty.kv_get(lock.PREFIX + service)
        faulty.denied = 1

        held.ensure_held()

        assert faulty.kv_get(lock.PREFIX + service) == before
        held.ensure_held()


@pytest.mark.parametrize("others", [True, False], ids=["another-deploy-had-it", "nobody-had-it"])
def test_what_became_of_a_lost_lock_is_asked_until_it_is_known(faulty, consul_url, service, others):
    """The registry answers that the key is ours again, and then not who had it meanwhile."""
    with hold(faulty, service, timing=Timing(lock_renew=60.0)) as held:
        faulty.session_destroy(faulty.kv_get(lock.PREFIX + service).session)
        if others:
            with Consul(consul_url) as other, hold(other, service):
                pass
        faulty.unread = 2

        if others:
            with pytest.raises(lock.LockLost, match="another deploy had it meanwhile"):
                held.ensure_held()
        else:
            held.ensure_held()


def test_what_cannot_be_known_of_a_lost_lock_is_no_lock(faulty, service):
    with hold(faulty, service, timing=Timing(lock_renew=60.0, registry_back=0.2)) as held:
        faulty.session_destroy(faulty.kv_get(lock.PREFIX + service).session)
        faulty.unread = 1000

        with pytest.raises(RegistryError, match="whether another deploy had it is not known: no leader"):
            held.ensure_held()

        faulty.unread = 0


def test_without_a_thread_that_renews_it_is_taken_again_before_the_next_phase(registry, service):
    with hold(registry, service, timing=Timing(lock_renew=60.0)) as held:
        first = registry.kv_get(lock.PREFIX + service).session
        registry.session_destroy(first)

        held.ensure_held()

        assert registry.kv_get(lock.PREFIX + service).session not in ("", first)


@pytest.mark.parametrize("value", [b"", b"nonsense", b"[]"])
def test_a_lock_that_is_not_ours_to_read_still_holds(registry, service, consul_url, value):
    session = registry.session_create("by hand", 10)
    assert registry.kv_put(lock.PREFIX + service, value, acquire=session)

    with pytest.raises(RegistryError, match="somebody on an unknown host"), hold(registry, service):
        pytest.fail("two hold it")

    registry.session_destroy(session)

"""A deploy whose candidates answer: counted, promoted, held, in batches. Real ones are in tests/system."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from jenkins_proxy.deployment import deploy
from jenkins_proxy.deployment.context import DeployOptions, Ready
from jenkins_proxy.deployment.failure.intent_log import IntentLog
from jenkins_proxy.deployment.matching import Matching
from jenkins_proxy.deployment.outcome import Outcome, Users
from jenkins_proxy.deployment.removal import note
from jenkins_proxy.deployment.steps import drain
from jenkins_proxy.deployment.strategies.record import HELD
from jenkins_proxy.deployment.strategies.select import select
from jenkins_proxy.errors import DeployFailed, ProxyError, RegistryError
from jenkins_proxy.model import Address
from jenkins_proxy.orchestrator.project import COMPLETED, ComposeProject, Service
from tests.deployment.deploy.world import PROJECT, ROUTE, Starting
from tests.fixtures.orchestrators import InMemoryCompose


def test_only_what_gets_new_containers_is_pulled(a_container):
    done = {"migrate": COMPLETED}
    app = Service("app", needs=frozenset({"db", "cache", "migrate"}), conditions=done)
    others = ("db", "cache", "migrate", "worker", "tests")
    project = ComposeProject("books", {"app": app, **{name: Service(name) for name in others}})
    running = [a_container(name, service=name) for name in ("db", "migrate", "worker")]
    orchestrator = InMemoryCompose(project, *running)
    ready = Ready(orchestrator, project, app, sides=project.sides("app", ["worker"]))

    assert sorted(deploy._pulled(ready)) == ["app", "cache", "migrate", "worker"]


def test_the_candidates_are_promoted_and_the_hold_ends_last(deployment, context, verified):
    ended = deployment().run(Outcome())

    assert ended.error is None
    assert context.proxy.calls == ["hold", "count_users", "promote 10.0.0.1:32768", "end_hold"]
    assert ended.users == Users(10, 1, 2.0, exact=True)
    assert "users meanwhile: 10 requests, 1 failed, p99 2 ms" in context.console._stream.getvalue()


def test_what_is_held_is_neither_promoted_nor_ended(deployment, context, verified, tmp_path):
    begun = deployment(hold=True, key_file=str(tmp_path / "key"))

    ended = begun.run(Outcome())

    assert context.proxy.calls == ["hold", "count_users"]
    assert (ended.candidate.id, ended.candidate.instances) == ("1a2b3c4d", ("10.0.0.1:32768",))
    record = begun.intent_log.read()
    assert (record.phase, record.hold) == (HELD, "1a2b3c4d")
    assert (tmp_path / "key").read_text().strip() == begun.candidates.key.text
    assert begun.candidates.key.text not in repr(begun.candidates)


@pytest.mark.parametrize(("max_errors", "code"), [(0, 6), (1, None)])
def test_more_errors_than_are_allowed_are_reverted(deployment, context, verified, max_errors, code):
    ended = deployment(max_errors=max_errors).run(Outcome())

    assert (ended.error.exit_code if ended.error else None) == code
    assert ended.reverted is bool(code)
    assert ("demote" in context.proxy.calls) is bool(code)


def test_a_daemon_that_cannot_count_is_one_line(deployment, context, verified, monkeypatch):
    def refuse(*_words) -> None:
        raise ProxyError("it is older")

    monkeypatch.setattr(context.proxy, "count_users", refuse)
    ended = deployment().run(Outcome())

    assert (ended.error, ended.users) == (None, None)
    assert "WARNING: users are not counted meanwhile: it is older" in context.console._stream.getvalue()


def test_a_deploy_past_the_proxy_ends_with_its_instances(deployment, context):
    begun = deployment(route=None)

    ended = begun.finish(begun.replace(Outcome()))

    assert ended.error is None
    assert ended.addresses == [Address("10.0.0.1", 32768)]
    assert begun.intent_log.read() is None
    # An undeploy may come without the files.
    assert note.read(context.registry, "books-ms") == note.Note("books", "app", {"app": []})


def test_a_registry_that_takes_no_note_fails_no_deploy(deployment, monkeypatch):
    begun = deployment(route=None)
    served = begun.replace(Outcome())

    def refuse(*_words):
        raise RegistryError("Permission denied")

    monkeypatch.setattr(note, "write", refuse)

    assert begun.finish(served).error is None


class TwoBatches(Starting):
    """It starts one container a batch."""

    def surge(self, service, count, *, deadline):
        self.calls.append("surge")
        self.present.append(self.container)
        return [self.container]


@pytest.mark.parametrize(("dies", "code"), [(False, None), (True, 5)])
def test_the_pause_between_two_batches_is_kept_and_looked_at(context, a_container, monkeypatch, dies, code):
    ready = Ready(TwoBatches(a_container("books_app_1", 32768)), PROJECT, PROJECT.services["app"])
    options = DeployOptions("books-ms", "books", strategy="rolling", scale=2, batch=1, batch_delay=0.2)
    strategy = select(options, context, ready)
    begun = deploy._Deployment(
        strategy, context, SimpleNamespace(ensure_held=lambda: None), IntentLog(context.registry, "books-ms"), None
    )
    looked = []

    def look(_orchestrator, containers) -> None:
        looked.append(len(containers))
        if dies:
            raise DeployFailed("it ended")

    monkeypatch.setattr(deploy.wait, "for_containers", lambda *_words, **_more: Matching((), (), ()))
    monkeypatch.setattr(deploy.wait, "check_alive", look)

    ended = begun.replace(Outcome())

    assert (ended.error.exit_code if ended.error else None) == code
    assert looked and (dies or context.deadline.elapsed >= 0.2)
    assert strategy.orchestrator.calls.count("surge") == (1 if dies else 2)


def test_a_line_names_three_instances_at_most(context, a_container, an_instance):
    many = [a_container(f"books_app_{number}", 32768 + number) for number in range(5)]
    registry = SimpleNamespace(instances=lambda _name: ([an_instance(32768 + n, id=str(n)) for n in range(5)], 1))
    now = dataclasses.replace(context, registry=registry)
    orchestrator = InMemoryCompose(PROJECT, *many)

    drain.retire(now, orchestrator, ROUTE, many)

    said = context.console._stream.getvalue()
    assert "draining 10.0.0.1:32768, 10.0.0.1:32769, 10.0.0.1:32770 and 2 more" in said
    assert "stopping books_app_0, books_app_1, books_app_2 and 2 more" in said
    assert orchestrator.present == []
    assert max(line.count("10.0.0.1:") for line in said.splitlines()) == 3

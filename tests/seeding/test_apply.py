from __future__ import annotations

import threading

import pytest

from jenkins_proxy.errors import JenkinsServerError
from jenkins_proxy.seeding import config_xml
from jenkins_proxy.seeding.apply import carry_out, checked, missing_credentials, read
from jenkins_proxy.seeding.items import JOB, Item, Present
from jenkins_proxy.seeding.jenkins_server import Refused
from jenkins_proxy.seeding.plan import Action
from jenkins_proxy.seeding.spec import Git, Job, Scm, Service, Template


class Server:
    """A JobServer whose answers are given; an exception is raised."""

    def __init__(self, **answers) -> None:
        self.answers = answers
        self.calls: list[tuple] = []

    def __getattr__(self, verb: str):
        def call(*arguments):
            self.calls.append((verb, *arguments))
            answer = self.answers.get(verb)
            answer = answer(*arguments) if callable(answer) else answer
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def items(*names: str, script: str = "x") -> list[Item]:
    xml = f"<flow-definition><definition><script>{script}</script></definition></flow-definition>"
    return [Item(JOB, name, config_xml.parse(xml)) for name in names]


def quiet(*_) -> None:
    pass


def test_only_what_is_there_is_read_and_one_failure_stays_alone() -> None:
    refused = Refused("no", "", 500)
    server = Server(config=lambda kind, path: refused if path == "b" else path.encode())
    told = []
    present = [Present(JOB, "a"), Present(JOB, "b"), Present(JOB, "foreign")]
    configs = read(lambda: server, items("a", "b", "c"), present, 2, lambda *text: told.append(text))
    assert configs == {("item", "a"): b"a", ("item", "b"): refused}
    assert told == [("read", 1, 2), ("read", 2, 2)]


def test_reading_ends_when_jenkins_no_longer_answers() -> None:
    """Else hundreds of time limits would have to run out."""
    ended = threading.Event()

    def config(kind: str, path: str) -> JenkinsServerError:
        if path == "j3":
            assert ended.wait(timeout=10)
        return JenkinsServerError("gone")

    names = [f"j{number}" for number in range(200)]
    server = Server(config=config)
    with pytest.raises(JenkinsServerError, match="gone"):
        read(lambda: server, items(*names), [Present(JOB, name) for name in names], 1, quiet)
    ended.set()
    for thread in threading.enumerate():
        if thread.name.startswith("ThreadPoolExecutor"):
            thread.join(timeout=10)
    assert len(server.calls) <= 4


def test_reads_are_in_parallel_within_their_bound() -> None:
    together = threading.Barrier(3, timeout=10)
    names = [f"j{number}" for number in range(9)]
    server = Server(config=lambda kind, path: together.wait() and b"" or b"")
    made = []

    def connect():
        made.append(server)
        return server

    read(connect, items(*names), [Present(JOB, name) for name in names], 3, quiet)
    assert len(made) == 3


def test_the_plan_is_carried_out_past_a_failure() -> None:
    server = Server(update=lambda kind, path, xml: Refused("no", "", 500) if path == "b" else None)
    plan = [
        Action("+", JOB, "a", "<a/>"),
        Action("~", JOB, "b", "<b/>"),
        Action("=", JOB, "c"),
        Action("!", JOB, "d"),
        Action("-", JOB, "e"),
    ]
    told = []
    assert carry_out(server, plan, lambda *text: told.append(text)) == [Action("!", JOB, "b", "<b/>", note="no")]
    assert server.calls == [("create", JOB, "a", "<a/>"), ("update", JOB, "b", "<b/>"), ("delete", JOB, "e")]
    assert told == [("wrote", 1, 3), ("wrote", 2, 3), ("wrote", 3, 3)]


def test_writing_ends_when_jenkins_no_longer_answers() -> None:
    server = Server(create=JenkinsServerError("gone"))
    with pytest.raises(JenkinsServerError, match="gone"):
        carry_out(server, [Action("+", JOB, str(number)) for number in range(9)], quiet)
    assert len(server.calls) == 3


def test_a_jenkins_that_refuses_everything_is_still_asked_for_everything() -> None:
    server = Server(create=Refused("no", "", 403))
    assert len(carry_out(server, [Action("+", JOB, str(number)) for number in range(9)], quiet)) == 9


def test_declarative_scripts_that_would_be_written_are_checked_first() -> None:
    server = Server(check_script=lambda script: ["Missing stages"])
    declarative = items("a", "b", script="// c\npipeline { }")
    actions = [Action("+", JOB, "a", "<a/>"), Action("=", JOB, "b"), Action("+", JOB, "c", "<c/>")]
    scripted = items("c", script="node { }")
    assert [str(action) for action in checked(server, actions, [*declarative, *scripted])] == [
        "! a (Jenkins refuses the script: Missing stages)",
        "= b",
        "+ c",
    ]
    assert server.calls == [("check_script", "// c\npipeline { }")]


def test_missing_credentials_are_looked_for_where_a_job_may_use_them() -> None:
    stores = {"": {"everywhere"}, "a": {"in-a"}, "a/b": None}
    server = Server(credential_ids=lambda folder: stores[folder])

    def job(path: str, wanted: str) -> Job:
        return Job(path, Scm(Git("u", "m", wanted)))

    jobs = [
        job("a/b/1", "everywhere"),
        job("a/b/2", "in-a"),
        job("a/b/3", "nowhere"),
        job("4", "in-a"),
        job("5", "in-a"),
        Job("6", "script"),
        Job("7", Template("deploy", Service("s", git=Git("u", "m", "x")), {})),
    ]
    assert missing_credentials(server, jobs) == [
        "no credentials nowhere where this user can see them, for a/b/3",
        "no credentials in-a where this user can see them, for 4 and 1 more",
        "no credentials x where this user can see them, for 7",
    ]
    assert len(server.calls) == 3

from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest

from jenkins_proxy.errors import JenkinsServerError, UsageError
from jenkins_proxy.seeding import build

QUEUE = "/queue/item/7/api/json"
LOG = "/job/a/job/b/3/logText/progressiveText"
ABOUT = "/job/a/job/b/3/api/json"


@pytest.fixture
def say(fake, answer):
    """``say(path, {…}, …)`` gives these JSON answers, ``say(path, b"…", …)`` these parts of a console."""

    def give(path: str, *replies) -> None:
        fake.fault(
            "GET",
            path,
            *(reply if isinstance(reply, answer) else answer(200, json.dumps(reply).encode()) for reply in replies),
        )

    return give


@pytest.fixture
def job(fake, answer, say):
    """A job that can be built; ``job("A")`` has the parameter A."""

    def make(*parameters: str) -> None:
        definitions = [{"parameterDefinitions": [{"name": name} for name in parameters]}] if parameters else []
        say("/job/a/job/b/api/json", {"property": [{}, *definitions]})
        for action in ("build", "buildWithParameters"):
            fake.fault("POST", f"/job/a/job/b/{action}", answer(201, headers={"Location": f"{fake.url}/queue/item/7/"}))

    return make


def running(fake) -> dict:
    return {"executable": {"number": 3, "url": f"{fake.url}/job/a/job/b/3/"}}


def part(answer, text: bytes, size: int, more: bool):
    return answer(200, text, {"X-Text-Size": str(size), **({"X-More-Data": "true"} if more else {})})


def follow(fake) -> tuple[build.Build, list[str], list[str]]:
    shown, told = [], []
    done = build.follow(fake.connect(), "a/b", 7, shown.append, told.append, sleep=lambda seconds: None)
    return done, shown, told


def test_parameters_travel_in_the_body_and_without_a_quiet_period(fake, job) -> None:
    job("SCALE", "OTHER")
    assert build.start(fake.connect(), "a/b", {"SCALE": "+2 ü&"}) == 7
    at = fake.requests.index(("POST", "/job/a/job/b/buildWithParameters"))
    assert parse_qs(fake.bodies[at].decode()) == {"SCALE": ["+2 ü&"], "delay": ["0sec"]}


def test_a_job_without_parameters(fake, job) -> None:
    job()
    assert build.start(fake.connect(), "a/b", {}) == 7
    assert fake.writes() == ["/job/a/job/b/build"]


def test_a_job_with_parameters_is_built_with_their_defaults(fake, job) -> None:
    job("SCALE")
    assert build.start(fake.connect(), "a/b", {}) == 7
    assert fake.writes() == ["/job/a/job/b/buildWithParameters"]


def test_a_parameter_that_the_job_does_not_have(fake, job) -> None:
    job("SCALE")
    with pytest.raises(UsageError, match="the job a/b has no parameter SCLAE") as caught:
        build.start(fake.connect(), "a/b", {"SCLAE": "3"})
    assert caught.value.hint == "it has: SCALE"
    assert fake.writes() == []


def test_no_such_job(fake) -> None:
    with pytest.raises(JenkinsServerError, match="cannot find the job a/b in Jenkins at .*: 404"):
        build.start(fake.connect(), "a/b", {})


def test_an_answer_whose_location_got_lost(fake, answer, job) -> None:
    job()
    fake.fault("POST", "/job/a/job/b/build", answer(201))
    with pytest.raises(JenkinsServerError, match="took the build of a/b, but not where it is in the queue") as caught:
        build.start(fake.connect(), "a/b", {})
    assert "drops the Location header" in caught.value.hint


def test_a_build_from_the_queue_to_its_result(fake, answer, say) -> None:
    say(
        QUEUE,
        {"why": "In the quiet period. Expires in 4.9 sec"},
        {"why": "In the quiet period. Expires in 4.4 sec"},
        {"why": "In the quiet period. Expires in 3.9 sec"},
        {"why": "docker is offline"},
        {"why": "docker is offline"},
        {"why": "Finished waiting"},
        running(fake),
    )
    text = "one\nzwölf\r\nthree\nlast".encode()
    cut = text.index("ö".encode()) + 1
    say(
        LOG,
        part(answer, text[:cut], cut, True),
        part(answer, b"", cut, True),
        part(answer, text[cut:-3], len(text) - 3, False),
        part(answer, b"", len(text) - 3, False),
        part(answer, text[-3:], len(text), False),
    )
    say(ABOUT, {"building": True, "result": None}, *[{"building": False, "result": "UNSTABLE"}] * 2)
    done, shown, told = follow(fake)
    assert done == build.Build("a/b", 3, f"{fake.url}/job/a/job/b/3/", "UNSTABLE")
    assert shown == ["one", "zwölf", "three", "last"]
    assert told == [
        "a/b is queued: In the quiet period. Expires in 4.4 sec",
        "a/b is queued: docker is offline",
        f"building a/b #3: {fake.url}/job/a/job/b/3/console",
    ]


def test_a_restart_of_jenkins_is_waited_out(fake, answer, say) -> None:
    say(QUEUE, answer(silent=True), running(fake))
    say(
        LOG,
        part(answer, b"one\n", 4, True),
        answer(503),
        answer(silent=True),
        answer(502),
        part(answer, b"two\n", 8, False),
        part(answer, b"", 8, False),
    )
    say(ABOUT, answer(503), *[{"building": False, "result": "SUCCESS"}] * 2)
    done, shown, _ = follow(fake)
    assert (done.result, shown) == ("SUCCESS", ["one", "two"])


def test_a_build_that_is_deleted_is_not_waited_for(fake, answer, say) -> None:
    say(QUEUE, running(fake))
    with pytest.raises(JenkinsServerError, match="cannot follow the build in Jenkins at .*: 404"):
        follow(fake)


def test_a_cancelled_build(fake, say) -> None:
    say(QUEUE, {"cancelled": True, "why": None})
    with pytest.raises(JenkinsServerError, match="the build of a/b was cancelled in Jenkins' queue"):
        follow(fake)


def test_a_jenkins_that_stays_away(fake, free_port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_RESTART_SECONDS", 0.0)
    from jenkins_proxy.seeding.jenkins_server import JenkinsServer

    with pytest.raises(JenkinsServerError, match="cannot follow the build in Jenkins"):
        build.follow(JenkinsServer(f"http://127.0.0.1:{free_port()}", "a", "b"), "a/b", 7, print, print)

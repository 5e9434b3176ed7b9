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
    done = build.follow(fake.connect(), build.Queued("a/b", 7), shown.append, told.append, sleep=lambda seconds: None)
    return done, shown, told


def test_parameters_travel_in_the_body_and_without_a_quiet_period(fake, job) -> None:
    job("SCALE", "OTHER")
    assert build.start(fake.connect(), "a/b", {"SCALE": "+2 ü&"}) == build.Queued("a/b", 7)
    at = fake.requests.index(("POST", "/job/a/job/b/buildWithParameters"))
    assert parse_qs(fake.bodies[at].decode()) == {"SCALE": ["+2 ü&"], "delay": ["0sec"]}


def test_a_job_without_parameters(fake, job) -> None:
    job()
    assert build.start(fake.connect(), "a/b", {}) == build.Queued("a/b", 7)
    assert fake.writes() == ["/job/a/job/b/build"]


def test_a_job_with_parameters_is_built_with_their_defaults(fake, job) -> None:
    job("SCALE")
    assert build.start(fake.connect(), "a/b", {}) == build.Queued("a/b", 7)
    assert fake.writes() == ["/job/a/job/b/buildWithParameters"]


def test_a_parameter_that_the_job_does_not_have(fake, job) -> None:
    job("SCALE")
    with pytest.raises(UsageError, match="the job a/b has no parameter SCLAE") as caught:
        build.start(fake.connect(), "a/b", {"SCLAE": "3"})
    assert caught.value.hint == "it has: SCALE"
    assert fake.writes() == []


def test_the_parameters_of_a_pipeline_are_known_after_its_first_build(fake, say) -> None:
    say("/job/a/job/b/api/json", {"property": [], "lastBuild": None})
    with pytest.raises(UsageError, match="the job a/b has no parameter SCALE") as caught:
        build.start(fake.connect(), "a/b", {"SCALE": "3"})
    assert caught.value.hint == "it has: none; what its pipeline declares is known after its first build"


@pytest.mark.parametrize("given", ["{url}/job/a/job/b/", "job/a/job/b", "/a/b"])
def test_a_job_may_be_given_as_in_its_address(fake, job, given: str) -> None:
    job()
    assert build.start(fake.connect(), given.format(url=fake.url), {}) == build.Queued("a/b", 7)


def test_no_such_job(fake) -> None:
    fake.put("job", "c", "<flow-definition/>")
    with pytest.raises(JenkinsServerError, match="cannot find the job a/b in Jenkins at .*: 404") as caught:
        build.start(fake.connect(), "a/b", {})
    assert caught.value.hint == "Jenkins has c"


KINDS = {
    "SIZE": {"type": "ChoiceParameterDefinition", "choices": ["small", "large"]},
    "FORCE": {"type": "BooleanParameterDefinition"},
    "KEY": {"type": "FileParameterDefinition"},
    "TEXT": {"type": "StringParameterDefinition"},
}


def test_parameters_of_the_wrong_kind_are_all_named_and_never_shown(fake, say) -> None:
    definitions = [{"name": name, **kind} for name, kind in KINDS.items()]
    say("/job/a/job/b/api/json", {"property": [{"parameterDefinitions": definitions}]})
    given = {"SIZE": "s3cret", "FORCE": "s3cret", "KEY": "s3cret", "TEXT": "s3cret", "TYPO": "s3cret"}
    with pytest.raises(UsageError) as caught:
        build.start(fake.connect(), "a/b", given)
    assert caught.value.message == (
        "4 problems: (1) the job a/b has no parameter TYPO "
        "(2) the parameter SIZE of the job a/b takes one of small, large "
        "(3) the parameter FORCE of the job a/b takes true or false "
        "(4) the parameter KEY of the job a/b takes a file, which --param cannot give"
    )
    assert fake.writes() == []


BRANCHES = [{"name": "main"}, {"name": "feature%2Fx", "displayName": "feature/x"}]
MULTIBRANCH = {"_class": "org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject", "jobs": BRANCHES}


@pytest.mark.parametrize(
    ("about", "message", "hint"),
    [
        ({"color": "disabled", "buildable": False}, "the job a/b is disabled", "enable it at {url}/job/a/job/b/"),
        ({"color": "blue", "buildable": False}, "the job a/b cannot be built", "see {url}/job/a/job/b/"),
        (
            {"_class": "com.cloudbees.hudson.plugins.folder.Folder", "jobs": [{"name": "x"}]},
            "a/b is a folder, of which nothing is built",
            "build a job of it, as a/b/NAME: it has x",
        ),
        (
            MULTIBRANCH,
            "a/b is a multibranch project, of which nothing is built",
            "build a branch of it, as a/b/NAME: it has main, feature/x",
        ),
    ],
)
def test_what_cannot_be_built_says_why_and_is_not_asked_for(fake, say, about, message: str, hint: str) -> None:
    say("/job/a/job/b/api/json", about)
    with pytest.raises(JenkinsServerError) as caught:
        build.start(fake.connect(), "a/b/", {})
    assert (caught.value.message, caught.value.hint) == (message, hint.format(url=fake.url))
    assert fake.writes() == []


def test_a_branch_with_a_slash_is_found_as_jenkins_names_it(fake, answer, say) -> None:
    say("/job/mb/api/json", MULTIBRANCH)
    say("/job/mb/job/feature%252Fx/api/json", {"property": []})
    fake.fault("POST", "/job/mb/job/feature%252Fx/build", answer(201, headers={"Location": "/queue/item/7/"}))
    assert build.start(fake.connect(), "mb/feature/x", {}) == build.Queued("mb/feature%2Fx", 7)


def test_a_branch_that_is_not_there_says_which_are(fake, say) -> None:
    say("/job/mb/api/json", MULTIBRANCH)
    with pytest.raises(JenkinsServerError, match="cannot find the job mb/feature/y in Jenkins at .*: 404") as caught:
        build.start(fake.connect(), "mb/feature/y", {})
    assert caught.value.hint == "mb has main, feature/x"


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
        answer(401),  # of one that does not know its users yet
        answer(404),  # nor its jobs
        part(answer, b"two\n", 8, False),
        part(answer, b"", 8, False),
    )
    say(ABOUT, answer(503), *[{"building": False, "result": "SUCCESS"}] * 2)
    done, shown, _ = follow(fake)
    assert (done.result, shown) == ("SUCCESS", ["one", "two"])


def test_a_build_that_is_gone_after_a_restart_is_not_waited_for(fake, answer, say) -> None:
    say(QUEUE, running(fake))
    fake.fault("GET", LOG, answer(503), *[answer(404)] * 30)
    with pytest.raises(JenkinsServerError, match="cannot follow the build in Jenkins at .*: 404"):
        follow(fake)


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
        build.follow(JenkinsServer(f"http://127.0.0.1:{free_port()}", "a", "b"), build.Queued("a/b", 7), print, print)

"""Nothing unproven meets a user: bad and slow releases behind a real proxy, and what is held for a test."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import time
from collections.abc import Iterator

import pytest

from jenkins_proxy.deployment import release_log
from tests.fixtures.traffic import asking

OLD, NEW = (200, "version 1\n"), (200, "version 2\n")
# Of a request, its head goes to the container's log in one line.
HEAR = r"""cr=$(printf '\r'); head=; while read -r line; do line=${line%$cr}; [ -n "$line" ] || break;
[ -n "$head" ] || first=$line; head="$head|$line"; done; [ -z "$head" ] || echo "REQUEST $head" >&2;"""
ERROR = HEAR + r"printf 'HTTP/1.0 500 Broken\r\n\r\nTraceback: boom\n'"
OPTIONS_ONLY = (
    HEAR
    + r"""case "$first" in OPTIONS*) printf 'HTTP/1.0 200 OK\r\n\r\n';;
*) printf 'HTTP/1.0 500 Broken\r\n\r\nboom\n';; esac"""
)
SERVE = "/bin/busybox mkdir -p /www/$BOOKS; echo version $VERSION > /www/$BOOKS/index.html; \
exec /bin/busybox httpd -f -p 8080 -h /www"


def listening(script: str) -> list[str]:
    """A container's command that answers each connection by a script."""
    return ["/bin/busybox", "nc", "-ll", "-p", "8080", "-e", "/bin/sh", "-c", compose_text(script)]


def compose_text(script: str) -> str:
    return script.replace("$", "$$")


BAD = {
    "answers 500": ({"command": listening(ERROR)}, 6, "HTTP 500 from"),
    "answers OPTIONS only": ({"command": listening(OPTIONS_ONLY)}, 6, "HTTP 500 from"),
    "accepts and closes": ({"command": listening("exit 0")}, 6, "HTTP 50"),
    "exits at once": ({"command": ["/bin/sh", "-c", "echo no database; exit 3"]}, 5, "ended with exit code 3: no"),
}


@contextlib.contextmanager
def watching(project) -> Iterator[list[tuple[int, str]]]:
    """The answers that users get meanwhile, each other one than the one before once."""
    answers: list[tuple[int, str]] = []

    def ask() -> None:
        try:
            answer = project.get()
        except (OSError, http.client.HTTPException) as error:
            answer = (0, repr(error))
        if answer not in answers:
            answers.append(answer)

    with asking(ask, ask):
        yield answers


def nothing_left(project, before: dict[str, str]) -> None:
    assert project.containers(every=True) == before
    for color in ("blue", "green"):
        assert project.containers(project=f"{project.name}-{color}", every=True) == {}
    for kind in ("holds", "deploys", "locks"):
        assert project.machine.registry.kv_list(f"jenkins-proxy/{kind}/{project.name}") == []


def without_the_mark(report: dict) -> list[str]:
    """The requests that the failing containers have logged and that were no candidate's."""
    lines = [line for container in report.get("failing", ()) for line in container["log"]]
    requests = [line for line in lines if line.startswith("REQUEST |")]
    # HAProxy's and the daemon's own question comes without a user.
    return [line for line in requests if "x-jenkins-proxy-candidate: " not in line.lower() and "|OPTIONS" not in line]


@pytest.mark.parametrize(
    ("fault", "strategy"),
    [
        ("answers 500", "rolling"),
        ("answers 500", "blue-green"),
        ("answers OPTIONS only", "rolling"),
        ("accepts and closes", "blue-green"),
        ("exits at once", "rolling"),
        ("exits at once", "blue-green"),
    ],
)
def test_a_bad_release_meets_no_user(project, strategy, fault):
    project.serve(1)
    before = project.containers(every=True)
    app, code, text = BAD[fault]

    project.compose(2, **app)
    with watching(project) as answers:
        begun = time.monotonic()
        done = project.deploy("--strategy", strategy)
        seconds = time.monotonic() - begun

    assert done.code == code, done.text
    assert text in done.report["error"]["message"]
    assert "; rolled back to 1 container(s)" in done.report["error"]["message"]
    assert answers == [OLD]
    assert without_the_mark(done.report) == []
    nothing_left(project, before)
    assert seconds < 60


def test_one_bad_of_three_fails_the_deploy(project):
    project.serve(1, count=3)
    before = project.containers(every=True)
    shared = project.folder / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    script = (
        f"/bin/busybox mkdir /shared/bad 2>/dev/null || {{ {SERVE}; }}; exec /bin/busybox nc -ll -p 8080 -e /bin/sh -c "
    )
    command = ["/bin/sh", "-c", compose_text(script) + "\"printf 'HTTP/1.0 500 Broken\\r\\n\\r\\nboom\\n'\""]

    project.compose(2, command=command, volumes=[f"{shared}:/shared"])
    with watching(project) as answers:
        done = project.deploy()

    assert done.code == 6, done.text
    assert answers == [OLD]
    nothing_left(project, before)


def test_one_that_listens_late_is_waited_for(project):
    project.serve(1)

    project.compose(2, command=["/bin/sh", "-c", compose_text(f"/bin/busybox sleep 2; {SERVE}")])
    with watching(project) as answers:
        done = project.deploy("--strategy", "blue-green")

    assert done.code == 0, done.text
    assert answers == [OLD, NEW]


def test_a_bad_first_release_has_no_route(project):
    project.compose(1, **BAD["answers 500"][0])
    with watching(project) as answers:
        done = project.deploy()

    assert done.code == 6, done.text
    assert [status for status, _ in answers] == [503]
    assert without_the_mark(done.report) == []
    nothing_left(project, {})


def test_at_a_fixed_port_the_new_one_is_verified_too(project, free_port):
    """It has the address of the one whose place it takes, which is no candidate's."""
    port = free_port()
    for version, answer in ((1, OLD), (2, NEW)):
        project.compose(version, ports=[f"{port}:8080"])
        done = project.deploy()
        assert (done.code, done.report["strategy"]) == (0, "recreate"), done.text
        assert project.get() == answer


def test_errors_are_not_waited_for_to_the_end(project):
    project.compose(1, **BAD["answers 500"][0])
    process = project.deploying("--check-timeout", "30")
    text = project.until(process, "* verify: GET")
    begun = time.monotonic()
    done = project.finish(process, text)

    assert done.code == 6, done.text
    assert done.report["timings"]["verify"] < 8
    assert time.monotonic() - begun < 25


def test_what_docker_calls_unhealthy_is_not_waited_for(project):
    project.compose(1, "never healthy")
    begun = time.monotonic()
    done = project.deploy()

    assert done.code == 3, done.text
    assert "its HEALTHCHECK says unhealthy: no database" in done.report["error"]["message"]
    assert time.monotonic() - begun < 40


@pytest.fixture
def held(project):
    """A project whose second version is held: its first one serves. And the report of that deploy."""
    project.serve(1)
    project.compose(2)
    done = project.deploy("--hold", "--key-file", str(project.folder / "key"))
    assert done.code == 0, done.text
    return project, done


def ask_candidate(project, header: str) -> tuple[int, str, str]:
    """What a test meets that has the key, with the instance that answered."""
    key = (project.folder / "key").read_text().strip()
    connection = http.client.HTTPConnection(project.machine.entry.partition("//")[2], timeout=10)
    try:
        connection.request("GET", f"/{project.name}/", headers={header: key})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.getheader("X-Jenkins-Proxy-Instance", "")
    finally:
        connection.close()


def test_what_is_held_is_reached_by_its_key_alone(held):
    project, done = held
    candidate = done.report["candidate"]

    assert done.report["status"] == "held"
    assert (project.folder / "key").stat().st_mode & 0o777 == 0o600
    key = (project.folder / "key").read_text().strip()
    assert key not in done.text
    assert key not in str(done.report)
    assert project.get() == OLD
    assert ask_candidate(project, candidate["header_name"]) == (*NEW, candidate["instances"][0])
    assert candidate["url"] == f"{project.machine.entry}/{project.name}"

    assert project.run("abort", compose=False).code == 0


def test_promoted_from_anywhere_it_serves(held, tmp_path_factory):
    project, _ = held
    # Neither the compose file nor the key is there.
    project.folder = tmp_path_factory.mktemp("elsewhere")
    with watching(project) as answers:
        done = project.run("promote", "--probe-path", f"/{project.name}/", compose=False)

    assert done.code == 0, done.text
    assert answers == [OLD, NEW]
    assert done.report["status"] == "done"
    assert len(done.report["instances"]) == 1
    nothing_left(project, project.containers())
    newest, *_ = release_log.read(project.machine.registry, project.name)
    assert (newest.command, newest.outcome, newest.instances, bool(newest.image)) == ("promote", "done", 1, True)
    again = project.run("promote", compose=False)
    assert again.code == 2
    assert f"nothing of {project.name} is held" in again.report["error"]["message"]


def test_a_color_is_held_and_promoted_too(project):
    project.serve(1)
    project.compose(2)
    done = project.deploy("--strategy", "blue-green", "--hold", "--key-file", str(project.folder / "key"))
    assert done.code == 0, done.text
    assert ask_candidate(project, done.report["candidate"]["header_name"])[:2] == NEW

    with watching(project) as answers:
        promoted = project.run("promote", "--probe-path", f"/{project.name}/", compose=False)

    assert promoted.code == 0, promoted.text
    assert answers == [OLD, NEW]
    assert project.containers(every=True) == {}
    assert len(project.containers(project=f"{project.name}-blue", every=True)) == 1
    assert project.machine.client.get_route(project.name)["route"]["color"] == "blue"


def test_aborted_it_is_gone(held):
    project, _ = held
    with watching(project) as answers:
        done = project.run("abort", compose=False)

    assert done.code == 0, done.text
    assert answers == [OLD]
    assert len(project.containers(every=True)) == 1
    nothing_left(project, project.containers())
    again = project.run("abort", compose=False)
    assert again.code == 0
    assert f"nothing of {project.name} is held" in again.text
    history = release_log.read(project.machine.registry, project.name)
    assert [(one.command, one.outcome) for one in history[:2]] == [("abort", "done"), ("deploy", "held")]
    assert history[0].image == history[1].image != ""


def test_meanwhile_another_deploy_is_told_who_holds(held):
    project, _ = held

    done = project.deploy()

    assert done.code == 4, done.text
    message = done.report["error"]["message"]
    assert message.startswith(f"{project.name} is held by ")
    assert f"jenkins-proxy promote {project.name} or abort {project.name} ends it" in message
    assert project.get() == OLD
    assert project.run("scale", "2").code == 4
    assert project.run("abort", compose=False).code == 0


def test_once_its_time_is_over_the_next_deploy_takes_its_place(project):
    project.serve(1)
    project.compose(2)
    assert project.deploy("--hold", "--hold-timeout", "1", "--key-file", str(project.folder / "key")).code == 0
    time.sleep(1.5)

    with watching(project) as answers:
        done = project.deploy()

    assert done.code == 0, done.text
    assert answers == [OLD, NEW]
    nothing_left(project, project.containers())


def test_candidates_that_died_meanwhile_are_not_promoted(held):
    project, done = held
    names = [instance["container"] for instance in done.report["instances"]]
    subprocess.run([project.docker, "kill", *names], check=True, capture_output=True)

    with watching(project) as answers:
        promoted = project.run("promote", compose=False)

    assert promoted.code == 5, promoted.text
    assert answers == [OLD]
    assert promoted.report["rolled_back"] is True
    nothing_left(project, project.containers())


def test_a_paused_deploy_that_lost_its_lock_changes_nothing_more(project):
    import signal

    project.serve(1)
    project.compose(2)
    process = project.deploying("--settle", "5")
    text = project.until(process, "waiting for")
    process.send_signal(signal.SIGSTOP)
    try:
        project.compose(1)
        other = project.deploy("--lock-timeout", "60")
    finally:
        process.send_signal(signal.SIGCONT)
    done = project.finish(process, text)

    assert other.code == 0, other.text
    assert done.code != 0, done.text
    assert project.get() == OLD
    nothing_left(project, project.containers())

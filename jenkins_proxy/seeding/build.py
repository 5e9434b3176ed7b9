"""Builds one job and shows its console as it grows, across a restart of Jenkins."""

from __future__ import annotations

import codecs
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from jenkins_proxy.errors import JenkinsServerError
from jenkins_proxy.retry import Deadline, retry
from jenkins_proxy.seeding import build_request
from jenkins_proxy.seeding.items import JOB
from jenkins_proxy.seeding.jenkins_server import JenkinsServer, Refused, item_path

SUCCESS = "SUCCESS"

Sleep = Callable[[float], None]

_INTERVAL = 0.5
# Long enough for Jenkins to restart: a running `sh` is taken up again afterwards.
_RESTART_SECONDS = 300.0
_STARTING = 20


@dataclass(frozen=True)
class Build:
    """A build.

    :ivar result: ``SUCCESS``, ``UNSTABLE``, ``FAILURE``, ``ABORTED``, ``NOT_BUILT``; empty while it runs.
    """

    job: str
    number: int
    url: str
    result: str = ""


@dataclass(frozen=True)
class Queued:
    """A build that was asked for.

    :ivar job: its path as Jenkins has it.
    :ivar number: in the queue.
    """

    job: str
    number: int


def start(server: JenkinsServer, job: str, parameters: Mapping[str, str]) -> Queued:
    """Ask for a build, without Jenkins' quiet period.

    :raises UsageError: for parameters that the job does not have, which Jenkins would drop silently, or does not take.
    :raises JenkinsServerError: when there is no such job, or it cannot be built.
    """
    found = build_request.find(server, job, parameters)
    action = "buildWithParameters" if found.has_parameters else "build"
    # In the body, where no access log keeps them; a job's first parameter may be a secret.
    answer = server.call(
        "POST",
        f"{item_path(JOB, found.path)}/{action}",
        doing=f"build the job {job} in",
        data={**parameters, "delay": "0sec"},
    )
    match = re.search(r"/queue/item/(\d+)", answer.headers.get("Location", ""))
    if not match:
        raise JenkinsServerError(
            f"Jenkins at {server.url} took the build of {job}, but not where it is in the queue",
            "something between here and Jenkins drops the Location header",
        )
    return Queued(found.path, int(match.group(1)))


def follow(
    server: JenkinsServer,
    queued: Queued,
    show: Callable[[str], None],
    on_progress: Callable[[str], None],
    *,
    sleep: Sleep = time.sleep,
) -> Build:
    """Wait for a queued build to begin and to end.

    :param show: gets each line of the build's console.
    :param on_progress: gets what the build waits for, and where it runs.
    :return: the build, with its result.
    :raises JenkinsServerError: when it was cancelled, or Jenkins stays away for five minutes.
    """
    build = _wait_begun(server, queued.job, queued.number, on_progress, sleep)
    on_progress(f"building {build.job} #{build.number}: {build.url}console")
    for line in _console(server, build, sleep):
        show(line)
    result = _about(server, build, sleep)["result"]
    return Build(build.job, build.number, build.url, result or "NOT_BUILT")


def _wait_begun(
    server: JenkinsServer, job: str, queued: int, on_progress: Callable[[str], None], sleep: Sleep
) -> Build:
    seen = reported = ""
    while True:
        item = _ask(server, f"queue/item/{queued}/api/json", None, sleep)
        if item.get("cancelled"):
            raise JenkinsServerError(f"the build of {job} was cancelled in Jenkins' queue")
        if item.get("executable"):
            return Build(job, item["executable"]["number"], item["executable"]["url"])
        why = item.get("why") or ""
        # The seconds in it count down; a reason that is over at the next look is not worth a line.
        before, seen = seen, re.sub(r"\d+", "", why)
        if seen == before != reported:
            reported = seen
            on_progress(f"{job} is queued: {why}")
        sleep(_INTERVAL)


def _console(server: JenkinsServer, build: Build, sleep: Sleep) -> Iterator[str]:
    """The console's lines as they come; an answer may end inside a line, and inside a character."""
    decoder, rest, at, over = codecs.getincrementaldecoder("utf-8")("replace"), "", 0, False
    while True:
        answer = _get(server, f"{_path(build)}/logText/progressiveText", {"start": str(at)}, sleep)
        at = int(answer.headers.get("X-Text-Size", at))
        *lines, rest = (rest + decoder.decode(answer.content)).split("\n")
        yield from (line.rstrip("\r") for line in lines)
        if over:
            break
        if answer.headers.get("X-More-Data") != "true":
            # Right after a restart a console looks complete that goes on; and lines may come while we ask.
            over = not _about(server, build, sleep)["building"]
        if not over:
            sleep(_INTERVAL)
    if rest:
        yield rest


def _about(server: JenkinsServer, build: Build, sleep: Sleep) -> Mapping[str, Any]:
    return _ask(server, f"{_path(build)}/api/json", {"tree": "building,result"}, sleep)


def _ask(server: JenkinsServer, path: str, params: Mapping[str, str] | None, sleep: Sleep) -> Mapping[str, Any]:
    answer: Mapping[str, Any] = server.json(_get(server, path, params, sleep))
    return answer


def _get(server: JenkinsServer, path: str, params: Mapping[str, str] | None, sleep: Sleep) -> requests.Response:
    """A GET that outlasts a restart of Jenkins; a refusal is raised at once, but not while Jenkins is starting."""
    away = False
    refused = 0

    def ask() -> requests.Response | Refused:
        nonlocal away, refused
        try:
            return server.call("GET", path, params=params, doing="follow the build in")
        except Refused as error:
            away = away or error.status >= 500
            refused += error.status < 500
            # One that has just come back may know neither its users nor its jobs yet.
            if away and refused < _STARTING:
                raise
            return error
        except JenkinsServerError:
            away = True
            raise

    answer = retry(ask, Deadline(_RESTART_SECONDS), (JenkinsServerError,), min_pause=1.0, sleep=sleep)
    if isinstance(answer, Refused):
        raise answer
    return answer


def _path(build: Build) -> str:
    return f"{item_path(JOB, build.job)}/{build.number}"

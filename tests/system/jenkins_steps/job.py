"""A pipeline job of a real Jenkins, and what is left of its builds."""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from xml.sax.saxutils import escape

import requests

from jenkins_proxy.seeding.build import follow, start
from jenkins_proxy.seeding.items import JOB
from jenkins_proxy.seeding.jenkins_server import JenkinsServer, Refused, item_path

# What Jenkins says when a step does what it should not.
COMPLAINTS = (
    "Scripts not permitted",
    "Groovy String interpolation",
    "expected to call",
    "NotSerializableException",
    "Configuration error",
)
# Looks at a build that often: most take no longer than a few seconds.
POLL = 0.15
Stays = Callable[[], contextlib.AbstractContextManager[None]]


@dataclass(frozen=True)
class Page:
    """A summary."""

    name: str
    text: str


@dataclass(frozen=True)
class Ended:
    """A build that has ended.

    :ivar lines: its console without Jenkins' own notes.
    """

    server: JenkinsServer
    path: str
    result: str
    lines: list[str]
    stays: Stays

    def _get(self, path: str) -> requests.Response:
        with self.stays():
            return self.server.call("GET", f"{self.path}/{path}", doing="read a build in")

    @property
    def about(self) -> dict:
        return self.server.json(self._get("api/json"))

    def artifact(self, name: str) -> dict:
        """:param name: of a report, or its path."""
        return self.server.json(self._get("artifact/" + name.rpartition("/")[2]))

    @property
    def reports(self) -> list[dict]:
        """The reports that are kept with the build."""
        names = [one["relativePath"] for one in self.about["artifacts"]]
        return [self.artifact(name) for name in names if name.endswith(".json")]

    @property
    def pages(self) -> list[Page]:
        """The summaries that are kept with the build."""
        names = [one["relativePath"] for one in self.about["artifacts"]]
        return [Page(name, self._get(f"artifact/{name}").text) for name in names if name.endswith(".html")]

    @property
    def error(self) -> str:
        return next(line for line in reversed(self.lines) if line.startswith("ERROR: "))

    def value(self, mark: str) -> str:
        (line,) = [line for line in self.lines if line.startswith(mark + " ")]
        return line[len(mark) + 1 :]


class Job:
    """A pipeline of its own for each test.

    :ivar library: whose steps it runs; ``sandboxed`` or ``trusted``. Every job's own script is sandboxed.
    :ivar stays: what keeps Jenkins from being restarted while a build runs.
    """

    def __init__(self, server: JenkinsServer, folder: str, library: str, secret: str, wait_for, stays: Stays) -> None:
        self._secret, self._wait_for, self._stays = secret, wait_for, stays
        self._server, self._path = server, f"{folder}/{uuid.uuid4().hex[:8]}"
        self._library = f"{folder}-{library}"

    def build(self, script: str, on_line=lambda line: None) -> Ended:
        """Run a pipeline to its end; ``on_line`` sees each line of its console when it comes."""
        with self._stays():
            return self._build(script, on_line)

    def _build(self, script: str, on_line) -> Ended:
        text = f"@Library('{self._library}') _\n{script}"
        xml = (
            "<flow-definition><definition class='org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition'>"
            f"<script>{escape(text)}</script><sandbox>true</sandbox></definition></flow-definition>"
        )
        try:
            self._server.create(JOB, self._path, xml)
        except Refused:
            self._server.update(JOB, self._path, xml)
        lines: list[str] = []

        def show(line: str) -> None:
            line = re.sub(r"\x1b\[8m.*?\x1b\[0m", "", line)
            lines.append(line)
            on_line(line)

        queued = start(self._server, self._path, {})
        done = follow(
            self._server,
            queued,
            show,
            lambda text: None,
            sleep=lambda seconds: time.sleep(POLL if seconds < 1 else seconds),
        )
        text = "\n".join(lines)
        assert not [complaint for complaint in COMPLAINTS if complaint in text], text
        assert self._secret not in text
        return Ended(
            self._server,
            f"{item_path(JOB, self._path)}/{done.number}",
            done.result,
            [line for line in lines if not line.startswith("[Pipeline]")],
            self._stays,
        )

    def stop(self) -> None:
        self._server.call("POST", f"{item_path(JOB, self._path)}/lastBuild/stop", doing="stop a build in")

    def proceed(self, question: str) -> None:
        """Answer an ``input`` of the running build, which may be a moment away when Jenkins has just started."""
        answer = f"{item_path(JOB, self._path)}/lastBuild/input/{question}/proceedEmpty"

        def answered() -> bool:
            with contextlib.suppress(Refused):
                self._server.call("POST", answer, doing="answer a build in")
                return True
            return False

        self._wait_for(answered, "the build to ask")

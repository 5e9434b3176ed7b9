"""Runs one command for one Jenkins step, and answers in lines that sandboxed Groovy can parse.

Groovy in Jenkins' sandbox may not parse JSON, and ``sh(returnStdout: true)`` drops the stdout of a script that fails.
So stdout carries ``key=value`` lines, and the exit code is 0 once they are written; the command's own exit code is one
of them. ``JENKINS_PROXY_STEP`` (set by ``resources/jenkins_proxy/jenkins/step.sh``) turns this on and names the
directory to work in.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jenkins_proxy import cli, settings
from jenkins_proxy.cli.jenkins_step import params as step_params
from jenkins_proxy.cli.jenkins_step import summary as step_summary
from jenkins_proxy.cli.jenkins_step import words as step_words
from jenkins_proxy.clients.docker.login import logged_in
from jenkins_proxy.console import Console
from jenkins_proxy.errors import JenkinsProxyError, Stopped
from jenkins_proxy.model import Address

VARIABLE = "JENKINS_PROXY_STEP"
_CHECK = "JENKINS_PROXY_CHECK"
_SERVICE = "JENKINS_PROXY_SERVICE"
_SUMMARY = "JENKINS_PROXY_SUMMARY"
_JOB = "JOB_URL"
_COPIED = ("service", "status", "strategy", "orchestrator", "url")


class _StepConsole(Console):
    """Speaks a Jenkinsfile's words, and keeps the last error: it becomes the one-line reason of the failed build."""

    reason = ""

    def __init__(self, command: str, service: str) -> None:
        super().__init__(service=service)
        self._keys = functools.cache(lambda: step_words.keys(command))

    def step(self, text: str) -> None:
        super().step(self._translated(text))

    def warning(self, text: str) -> None:
        super().warning(self._translated(text))

    def error(self, text: str, hint: str = "") -> None:
        self.reason = self._translated(text)
        super().error(self.reason, self._translated(hint))

    def _translated(self, text: str) -> str:
        # Most lines name no option and no variable, and need no table of them.
        return step_words.translate(text, self._keys()) if step_words.MAY_NEED.search(text) else text


def main(argv: Sequence[str]) -> int:
    """Run one command and answer in lines.

    :param argv: the command's name and its arguments; its values come from ``JENKINS_PROXY_PARAMS``.
    :return: 0 when the lines are on stdout, 143 when the command was stopped.
    """
    # The script starts Python in /, so that it does not import a folder jenkins_proxy of the workspace.
    os.chdir(os.environ.pop(VARIABLE))
    command = argv[0] if argv and argv[0] in cli.COMMANDS else "deploy"
    # Branches of `parallel` share one console.
    console = _StepConsole(command, os.environ.pop(_SERVICE, ""))
    if os.environ.pop(_CHECK, ""):
        print("\n".join(["exit=0", *(f"problem={_line(text)}" for text in cli.value_problems(command, os.environ))]))
        return 0

    def work() -> int:
        with logged_in(os.environ, console):
            return cli.dispatch(list(argv), console)

    summary = os.environ.pop(_SUMMARY, "")
    with contextlib.redirect_stdout(io.StringIO()):
        code = cli.guarded(work, console)
    if summary:
        _summarize(summary, console)
    if code == Stopped.exit_code:
        return code
    print("\n".join(answer_lines(code, console.reason, _report() if code == 0 else {})))
    return 0


def _report() -> Mapping[str, Any]:
    path = json.loads(os.environ.get(step_params.VARIABLE) or "{}").get("report")
    there = path and Path(path).is_file()
    report: Mapping[str, Any] = json.loads(Path(path).read_text(encoding="utf-8")) if there else {}
    return report


def _summarize(path: str, console: Console) -> None:
    """Write the page for people beside the report, where there is one, and say where the build will have it."""
    try:
        report = _report()
        if report:
            Path(path).write_text(step_summary.render(report, _links(report)), encoding="utf-8")
    except (OSError, ValueError) as error:
        console.warning(f"no summary of the report: {error}")
        return
    build = os.environ.get("BUILD_URL")
    if report and build:
        console.step(f"summary: {build.rstrip('/')}/artifact/{Path(path).name}")


def _links(report: Mapping[str, Any]) -> dict[str, str]:
    values = json.loads(os.environ.get(step_params.VARIABLE) or "{}")
    links = {"builds of the job": os.environ[_JOB]} if os.environ.get(_JOB) else {}
    with contextlib.suppress(JenkinsProxyError):  # the command has told what is wrong with them
        proxy = settings.resolve({"proxy": values.get("proxy")}, file=values.get("config") or "").proxy
        name = quote(str(report["service"]), safe="")
        links = {
            "its releases": f"{proxy}/releases/{name}",
            "the proxy's page": f"{proxy}/",
            "what the proxy has of it": f"{proxy}/v1/routes/{name}",
            **links,
        }
    return links


def answer_lines(code: int, reason: str, report: Mapping[str, Any]) -> list[str]:
    """The lines for the step.

    :param code: the command's exit code.
    :param reason: why it failed, or empty.
    :param report: the command's report; empty when there is none.
    :return: ``key=value`` lines: ``exit``, ``reason``, some of the report's values, ``instances`` as ``host:port,…``,
        ``timings.<phase>`` in seconds, ``candidate.<name>`` of a deploy that is held, ``left`` of an undeploy, and
        ``description`` for the build's page where something was changed.
    """
    instances = [str(Address(instance["address"], instance["port"])) for instance in report.get("instances") or ()]
    values = {"exit": code, "reason": reason, **{key: report[key] for key in _COPIED if key in report}}
    if report:
        values["instances"] = ",".join(instances)
        values.update({f"timings.{phase}": seconds for phase, seconds in (report.get("timings") or {}).items()})
    for name, value in (report.get("candidate") or {}).items():
        values[f"candidate.{name}"] = ",".join(value) if isinstance(value, list) else value
    if "left" in report:
        values["left"] = "; ".join(report["left"])
    if report.get("status") == "done":
        values["description"] = _description(report, len(instances))
    return [f"{key}={_line(value)}" for key, value in values.items()]


def _line(value: Any) -> str:
    """The value as text in one line: what follows a line's end would be taken for a line of its own."""
    return " ".join(str(value).split())


def _description(report: Mapping[str, Any], count: int) -> str:
    if "removed" in report:
        return f"{report['service']}: {'undeployed' if report['removed'] else 'not there'}"
    words = [f"{report['service']}:"]
    if count:
        words.append(f"{count} instance{'s' if count > 1 else ''}")
    if report.get("url"):
        words.append(f"at {report['url']}")
    return " ".join(words) if len(words) > 1 else f"{report['service']}: not routed"

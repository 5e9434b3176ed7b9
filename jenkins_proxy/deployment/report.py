"""What a command reports to the machine that started it: one JSON document, built and written once, at the end."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jenkins_proxy.console import Console, json_wanted, print_json
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.phases import Phases, process_age
from jenkins_proxy.errors import JenkinsProxyError, Stopped, UsageError


@dataclass(frozen=True)
class Report:
    """The document of one command.

    :ivar seconds: how long each phase took, and the total.
    """

    service: str
    outcome: Outcome
    seconds: Mapping[str, float]

    @property
    def status(self) -> str:
        """``done``, ``held`` (``deploy --hold``), ``planned`` (a dry run), ``failed`` or ``stopped``."""
        if self.outcome.error is not None:
            return "stopped" if isinstance(self.outcome.error, Stopped) else "failed"
        if self.outcome.candidate is not None:
            return "held"
        return "done" if self.outcome.plan is None else "planned"

    def as_dict(self) -> dict[str, Any]:
        """The document, with the keys that the documentation names; timings in seconds."""
        outcome = self.outcome
        data: dict[str, Any] = {
            "service": self.service,
            "status": self.status,
            "strategy": outcome.strategy,
            "orchestrator": outcome.orchestrator,
            "instances": [instance.as_dict() for instance in outcome.instances],
            "route": outcome.route.as_shown() if outcome.route else None,
            "url": outcome.url,
            "timings": {name: round(seconds, 3) for name, seconds in self.seconds.items()},
            "rolled_back": outcome.reverted,
            "error": _error(outcome),
        }
        if outcome.candidate is not None:
            data["candidate"] = outcome.candidate.as_dict()
        if outcome.users is not None:
            data["users"] = dataclasses.asdict(outcome.users)
        if outcome.failing:
            data["failing"] = [container.as_dict() for container in outcome.failing]
        if outcome.removed is not None:
            data["removed"], data["left"] = list(outcome.removed), list(outcome.left)
        if outcome.plan is not None:
            data["plan"] = outcome.plan
        return data


def _error(outcome: Outcome) -> dict[str, Any] | None:
    """The error and what serves after it, as one message."""
    error, after = outcome.error, f"; {outcome.text}" if outcome.text else ""
    if error is None:
        return None
    if isinstance(error, (JenkinsProxyError, Stopped)):
        return {"code": error.exit_code, "message": error.message, "hint": getattr(error, "hint", "")}
    return {"code": JenkinsProxyError.exit_code, "message": f"a bug: {error!r}{after}", "hint": ""}


def run_reported(
    service: str,
    path: str,
    command: Callable[[Phases], Outcome],
    *,
    as_json: bool = False,
    tell: Callable[[Mapping[str, Any]], None] | None = None,
) -> None:
    """Run a command and write its report, whatever becomes of it.

    :param path: of the report's file; empty means stdout, unless that is a terminal: a person has read the console.
    :param command: gets the stopwatch of its phases. An error that it raises instead of returning it is one that came
        before anything was done.
    :param as_json: write the report to stdout in any case.
    :param tell: gets the report once it is written.
    :raises UsageError: at once, when the file could not be written; at the end, when that is so by then.
    :raises JenkinsProxyError: the outcome's error, with what serves now as part of its text.
    :raises Stopped: when the command was stopped; its text, too, says when, and what serves now.
    """
    if path:
        _check_writable(path)
    phases = Phases(process_age())
    try:
        outcome = command(phases)
    except (Exception, Stopped) as error:
        outcome = Outcome().failed(error, phases.current)
    failure = outcome.error
    if isinstance(failure, JenkinsProxyError) and not isinstance(failure, UsageError) and outcome.text:
        failure.message = f"{failure.message}; {outcome.text}"
    if isinstance(failure, Stopped):
        during = f" during {outcome.phase}" if outcome.phase else ""
        failure.message = f"{failure.message}{during}" + (f"; {outcome.text}" if outcome.text else "")
    report = Report(service, outcome, phases.seconds())
    late = _told(report, path, as_json, tell)
    if failure is not None:
        raise failure
    if late is not None:
        late.message = f"{late.message}; {outcome.stopped_late(late).text}"
        raise late


def _told(report: Report, path: str, as_json: bool, tell: Callable[[Mapping[str, Any]], None] | None) -> Stopped | None:
    """Write the report and tell it.

    :return: the signal that came meanwhile; no second one comes, as the first has switched them off.
    """
    late = None
    try:
        _write(report, path, as_json)
    except Stopped as stopped:
        late = stopped
        _write(report, path, as_json)
    try:
        if tell is not None:
            tell(report.as_dict())
    except Stopped as stopped:
        return stopped
    return late


def _write(report: Report, path: str, as_json: bool) -> None:
    if json_wanted(as_json, path):
        print_json(report.as_dict())
    if not path:
        return
    from jenkins_proxy.files import atomic_write

    try:
        atomic_write(path, json.dumps(report.as_dict(), indent=2) + "\n")
    except OSError as error:
        lost = f"--report {path}: cannot be written: {error.strerror}"
        if report.outcome.error is None:
            raise UsageError(f"{lost}; {report.service} itself: {report.status}") from error
        # The failure is more important.
        Console().warning(lost)


def _check_writable(path: str) -> None:
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK) or os.path.isdir(path):
        raise UsageError(f"--report {path}: cannot be written", "name a file in a folder that exists and is writable")

"""What a command tells the machine that started it: one JSON document, written whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from jenkins_proxy.console import Console, json_wanted, print_json
from jenkins_proxy.deployment.matching import Matching
from jenkins_proxy.errors import JenkinsProxyError, Stopped, UsageError
from jenkins_proxy.files import atomic_write
from jenkins_proxy.model import Address, Instance, Route

PHASES = ("bring_up", "wait", "reconfigure", "probe")


class Report:
    """Filled as a command goes on; :func:`recording` writes it.

    :ivar status: ``done``, ``planned`` (a dry run), ``failed`` or ``stopped``.
    :ivar during: the phase that runs, or empty between two.
    :ivar rolled_back: whether what served before the command serves again after its failure.
    :ivar afterwards: what serves if the command fails now, or has failed; it becomes part of the error's text.
    :ivar failing: for each container that failed: its name, state, last log lines and health check's output.
    """

    def __init__(self, service: str) -> None:
        self.service = service
        self.status = "failed"
        self.strategy = ""
        self.orchestrator = ""
        self.instances: list[dict[str, Any]] = []
        self.route: Route | None = None
        self.url = ""
        self.during = ""
        self.rolled_back = False
        self.afterwards = ""
        self.error: dict[str, Any] | None = None
        self.failing: list[dict[str, Any]] = []
        self.plan: dict[str, Any] | None = None
        self._seconds = dict.fromkeys(PHASES, 0.0)
        self._start = time.monotonic()

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase; the batches of a rolling deploy add up. After an error :attr:`during` still names it."""
        self.during = name
        start = time.monotonic()
        try:
            yield
        finally:
            self._seconds[name] += time.monotonic() - start
        self.during = ""

    def found(self, found: Matching) -> None:
        """Take over the instances that a wait ended with."""
        self.instances = [
            _instance(instance, match.container.name, match.container.node or instance.node)
            for match in found.matches
            for instance in match.instances
        ]

    @property
    def addresses(self) -> list[Address]:
        """Of the instances found."""
        return [Address(instance["address"], instance["port"]) for instance in self.instances]

    def registered(self, instances: Sequence[Instance]) -> None:
        """Take over instances whose containers nobody asked for."""
        self.instances = [_instance(instance, "", instance.node) for instance in instances]

    def as_dict(self) -> dict[str, Any]:
        """The document, with the keys that README names; timings in seconds."""
        timings = {**self._seconds, "total": time.monotonic() - self._start}
        data = {
            "service": self.service,
            "status": self.status,
            "strategy": self.strategy,
            "orchestrator": self.orchestrator,
            "instances": self.instances,
            "route": self.route.as_dict() if self.route else None,
            "url": self.url,
            "timings": {name: round(seconds, 3) for name, seconds in timings.items()},
            "rolled_back": self.rolled_back,
            "error": self.error,
        }
        if self.failing:
            data["failing"] = self.failing
        if self.plan is not None:
            data["plan"] = self.plan
        return data


def _instance(instance: Instance, container: str, node: str) -> dict[str, Any]:
    return {
        "address": instance.address.host,
        "port": instance.address.port,
        "id": instance.id,
        "container": container,
        "node": node,
    }


@contextlib.contextmanager
def recording(report: Report, path: str, *, as_json: bool = False) -> Iterator[Report]:
    """Write the report when the block ends, also by an error or a signal.

    :param path: of the file; empty means stdout, unless that is a terminal: a person has read the console.
    :param as_json: write it to stdout in any case.
    :raises UsageError: at once, when the file could not be written; at the end, when that is so by then.
    """
    if path:
        _check_writable(path)
    try:
        yield report
        report.status = "planned" if report.plan is not None else "done"
    except JenkinsProxyError as error:
        if report.afterwards and not isinstance(error, UsageError):
            error.message = f"{error.message}; {report.afterwards}"
        report.error = {"code": error.exit_code, "message": error.message, "hint": error.hint}
        raise
    except Stopped as stopped:
        report.status = "stopped"
        during = f" during {report.during}" if report.during else ""
        after = f"; {report.afterwards}" if report.afterwards else ""
        message = f"stopped by {stopped.signal_name}{during}{after}"
        report.error = {"code": stopped.exit_code, "message": message, "hint": ""}
        raise
    except Exception as error:
        after = f"; {report.afterwards}" if report.afterwards else ""
        report.error = {"code": JenkinsProxyError.exit_code, "message": f"a bug: {error!r}{after}", "hint": ""}
        raise
    finally:
        try:
            _write(report, path, as_json)
        except Stopped:
            # It came at the last moment. There is no second one: the first has switched signals off.
            _write(report, path, as_json)
            raise


def _write(report: Report, path: str, as_json: bool) -> None:
    if json_wanted(as_json, path):
        print_json(report.as_dict())
    if not path:
        return
    try:
        atomic_write(path, json.dumps(report.as_dict(), indent=2) + "\n")
    except OSError as error:
        lost = f"--report {path}: cannot be written: {error.strerror}"
        if report.error is None:
            raise UsageError(f"{lost}; {report.service} itself: {report.status}") from error
        # The failure is what has to be told.
        Console().warning(lost)


def _check_writable(path: str) -> None:
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK) or os.path.isdir(path):
        raise UsageError(f"--report {path}: cannot be written", "name a file in a folder that exists and is writable")

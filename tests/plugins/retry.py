"""Tries a test that bears ``@pytest.mark.flaky(reason=…)`` once more when it fails. No other test gets a second try.

What was tried again is listed in the last lines with its first failure, and more than three of them fail the run.
"""

from __future__ import annotations

import pytest
from _pytest.runner import runtestprotocol

MOST_RETRIED = 3
FIRST_FAILURE = "first failure"
"""The property of a report that carries the text of the first try's failure, also from a worker to its controller."""

_SECOND_TRY = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "flaky(reason): is tried a second time when it fails; the reason is printed")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Controller())


def _has_reason(mark: pytest.Mark) -> bool:
    return not mark.args and set(mark.kwargs) == {"reason"} and bool(mark.kwargs["reason"])


def pytest_runtest_setup(item: pytest.Item) -> None:
    mark = item.get_closest_marker("flaky")
    if mark and not _has_reason(mark):
        pytest.fail("a flaky test has to say why: @pytest.mark.flaky(reason=…)", pytrace=False)


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    mark = item.get_closest_marker("flaky")
    if not mark or not _has_reason(mark):
        return None
    hook = item.ihook
    first_failure = item.stash.get(_SECOND_TRY, "")
    if not first_failure:
        hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    failed = [report for report in reports if report.failed]
    if failed and not first_failure:
        item.stash[_SECOND_TRY] = f"({mark.kwargs['reason']})\n{failed[0].longreprtext or failed[0].when}"
        # All of the protocol again, with what other plugins put around it: pytest-timeout starts its clock anew.
        return bool(hook.pytest_runtest_protocol(item=item, nextitem=nextitem))
    for report in reports:
        if first_failure and report is reports[-1]:
            report.user_properties = [*report.user_properties, (FIRST_FAILURE, first_failure)]
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


class _Controller:
    """Counts what was tried again, in this process or in its workers."""

    def __init__(self) -> None:
        self._retried: list[tuple[str, str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if name == FIRST_FAILURE:
                self._retried.append((report.nodeid, str(value)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if len(self._retried) > MOST_RETRIED and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._retried:
            return
        terminalreporter.section(f"{len(self._retried)} tried a second time", sep="-")
        for nodeid, text in self._retried:
            reason, *lines = text.splitlines()
            terminalreporter.line(f"RETRIED {nodeid} {reason}, which failed at first:")
            for line in lines:
                terminalreporter.line(f"    {line}")
        if len(self._retried) > MOST_RETRIED:
            terminalreporter.line(
                f"{len(self._retried)} tests needed a second try; more than {MOST_RETRIED} fail the run", red=True
            )

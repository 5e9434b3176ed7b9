"""Marks tests by the real parts that they use, and names at the end the tests that are not run for want of one.

A test that uses the fixture ``docker`` (itself or through another fixture) bears the mark ``docker``; one that uses no
part at all bears the mark ``fast``. No test is marked by hand.

With workers, each of them collects the tests and the controller collects none: what a worker leaves out goes to the
controller as the worker ends.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter

import pytest

MARKS = {
    "docker": "needs a Docker Engine (bash tests/run starts one)",
    "compose_v1": "needs docker-compose 1.x",
    "consul": "needs the consul program",
    "haproxy": "needs the haproxy program",
    "groovy": "needs Groovy 2.4 and a JDK",
    "chromium": "needs Chromium",
    "tools": "needs curl, jq or git",
    "acme": "needs pebble and certbot (bash tests/run acme)",
    "jenkins": "needs a Jenkins given by JENKINS_URL, JENKINS_USER and JENKINS_TOKEN",
    "registrator": "needs gliderlabs/registrator, built from its source",
    "classic_swarm": "needs the manager of classic Swarm, built from its source",
    "fast": "needs none of these",
}
BY_FIXTURE = {
    "docker": "docker",
    "compose_v1": "compose_v1",
    "consul_program": "consul",
    "haproxy": "haproxy",
    "groovy": "groovy",
    "chromium": "chromium",
    "tool": "tools",
    "acme_programs": "acme",
    "jenkins": "jenkins",
    "real_registrator": "registrator",
    "classic_swarm_program": "classic_swarm",
}
# A parametrized fixture asks for the fixture that its parameter names: only these tests use that one.
BY_PARAMETER = {"start_consul": "consul", "consul_url": "consul", "real_registrator": "registrator"}
NOT_INSTALLED = {"registrator": ("registrator",), "classic_swarm": ("swarm",), "acme": ("pebble", "certbot")}
"""Programs that no package has, and no test run installs: by mark. Where they are on PATH, its tests are run."""
ABSENT = "PARTS_ABSENT"
"""The variable with the parts that this platform does not have: a line each, ``mark: why``."""

_NOT_RUN = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    for mark, text in MARKS.items():
        config.addinivalue_line("markers", f"{mark}: {text}")
    config.stash[_NOT_RUN] = {}
    config.pluginmanager.register(_LeavesOut())
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Controller(config))


def parts_of(item: pytest.Item) -> set[str]:
    """The marks of the parts that a test uses."""
    found = {BY_FIXTURE[name] for name in getattr(item, "fixturenames", ()) if name in BY_FIXTURE}
    callspec = getattr(item, "callspec", None)
    values = {value for value in callspec.params.values() if isinstance(value, str)} if callspec else set()
    found |= {BY_PARAMETER[value] for value in values & BY_PARAMETER.keys()}
    if "docker" in found and "compose-v1" in values:
        found.add("compose_v1")
    return found


def absent_parts(environ: dict[str, str]) -> dict[str, str]:
    """Why no test that bears the mark is run, by mark."""
    lines = [line.partition(":") for line in environ.get(ABSENT, "").splitlines() if line.strip()]
    absent = {mark.strip(): why.strip() for mark, _, why in lines}
    if unknown := absent.keys() - MARKS.keys():
        raise pytest.UsageError(f"{ABSENT} names no part of ours: {', '.join(sorted(unknown))}")
    if not environ.get("JENKINS_URL"):
        absent["jenkins"] = "set JENKINS_URL, JENKINS_USER and JENKINS_TOKEN"
    for mark, programs in NOT_INSTALLED.items():
        if missing := [name for name in programs if not shutil.which(name, path=environ.get("PATH", ""))]:
            absent[mark] = f"not on PATH: {', '.join(missing)}"
    return absent


# Before pytest's own, which selects by `-m`.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in sorted(parts_of(item)) or ["fast"]:
            item.add_marker(mark)


class _LeavesOut:
    """Takes out the tests whose parts are absent, of those that were asked for."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        absent = absent_parts(dict(os.environ))
        lacking = {item: sorted(parts_of(item) & absent.keys()) for item in items}
        left_out = [item for item in items if lacking[item]]
        config.stash[_NOT_RUN].update(
            {item.nodeid: f"{lacking[item][0]}: {absent[lacking[item][0]]}" for item in left_out}
        )
        if left_out:
            items[:] = [item for item in items if not lacking[item]]
            config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["not_run"] = session.config.stash[_NOT_RUN]


class _Controller:
    """Where the summary is written: this process when there are no workers, else the one that has them."""

    def __init__(self, config: pytest.Config) -> None:
        self._not_run = config.stash[_NOT_RUN]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node, error: object) -> None:
        self._not_run.update(getattr(node, "workeroutput", {}).get("not_run", {}))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._not_run:
            return
        terminalreporter.section(f"{len(self._not_run)} not run", sep="-")
        for name, why in self._not_run.items():
            terminalreporter.line(f"NOT RUN {name} - {why}")
        for why, count in Counter(self._not_run.values()).items():
            terminalreporter.line(f"{count} not run: {MARKS[why.partition(':')[0]]} ({why.partition(': ')[2]})")

"""The checks that run: HTTP, TCP and gRPC at their intervals, and those that become critical when reports stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp

from jenkins_proxy.aio import cancel_all, with_timeout
from jenkins_proxy.consul_server import grpc_health
from jenkins_proxy.consul_server.state.state_store import Timing
from jenkins_proxy.errors import root_cause
from jenkins_proxy.model import CRITICAL, PASSING, WARNING

_LOG = logging.getLogger(__name__)

Report = Callable[[str, str], None]
"""Takes a status and its output. :raises OSError: when it cannot be kept; the store has logged that."""

_OUTPUT_SIZE = 4096
_TIMEOUT = 10.0


class TtlCheck:
    """A check that somebody else reports: critical when the reports stop.

    :param seconds: the longest time between two reports.
    """

    def __init__(self, seconds: float, report: Report, timing: Timing) -> None:
        self._seconds = seconds
        self._report = report
        self._timing = timing
        self._last = ""
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._expire_in(self._seconds)

    def report(self, status: str, output: str) -> None:
        """Take a report from outside."""
        self._last = output
        self.stop()
        self.start()
        self._report(status, output)

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _expire(self) -> None:
        last = f" (last output before timeout follows): {self._last}" if self._last else ""
        try:
            self._report(CRITICAL, f"TTL expired{last}")
        except OSError:
            self._expire_in(self._timing.retry)

    def _expire_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)


class PolledCheck:
    """A check that asks at an interval.

    :param definition: a check's structure, as ``go_json.CHECK`` has it.
    """

    def __init__(self, definition: dict[str, Any], report: Report, timing: Timing) -> None:
        self._definition = definition
        self._report = report
        self._timing = timing
        self._task: asyncio.Task[None] | None = None
        self._same = 0
        self._failed = False

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        if self._task:
            self._task.cancel()

    async def wait_ended(self) -> None:
        """Wait until a stopped check is really over."""
        if self._task:
            await cancel_all([self._task])

    async def _run(self) -> None:
        interval = max(self._definition["Interval"], self._timing.min_check_interval)
        await asyncio.sleep(random.uniform(0, min(interval, self._timing.first_check_within)))
        while True:
            try:
                status, output = await probe(self._definition)
            except Exception as error:
                # A bug must not end the check, whose last status would stand for ever.
                _LOG.error("a bug in the check of %s", self._definition["Name"], exc_info=error)
                status, output = CRITICAL, f"the check failed by a bug: {error!r}"
            # A result that cannot be kept is reported again after the next run.
            with contextlib.suppress(OSError):
                self._count(status, output[:_OUTPUT_SIZE])
            await asyncio.sleep(interval)

    def _count(self, status: str, output: str) -> None:
        """Report, unless the check wants to see the same several times first."""
        failed = status == CRITICAL
        self._same = self._same + 1 if failed == self._failed else 1
        self._failed = failed
        needed = self._definition["FailuresBeforeCritical" if failed else "SuccessBeforePassing"]
        if self._same >= needed:
            self._report(status, output)


async def probe(definition: dict[str, Any]) -> tuple[str, str]:
    """Run an HTTP, TCP or gRPC check once: its status and output, in Consul's words."""
    timeout = definition["Timeout"] if definition["Timeout"] > 0 else _TIMEOUT
    target = definition["HTTP"] or definition["TCP"] or definition["GRPC"]
    kind = _http if definition["HTTP"] else _tcp if definition["TCP"] else _grpc
    try:
        return await with_timeout(kind(definition), timeout)
    except TimeoutError:
        return CRITICAL, f"no answer from {target} in {timeout:g}s"
    except Exception as error:
        # Whatever a definition holds: a check that cannot be made has failed, and is made again.
        return CRITICAL, f"{target}: {root_cause(error)}"


async def _http(definition: dict[str, Any]) -> tuple[str, str]:
    method = definition["Method"] or "GET"
    headers = [(name, value) for name, values in (definition["Header"] or {}).items() for value in values]
    tls: ssl.SSLContext | bool = not definition["TLSSkipVerify"]
    # A connection of its own each time: a kept one would not notice that the port has another listener.
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
        session.request(
            method, definition["HTTP"], headers=headers, data=definition["Body"] or None, ssl=tls, allow_redirects=True
        ) as answer,
    ):
        start = (await answer.content.read(_OUTPUT_SIZE)).decode("utf-8", "replace")
    output = f"HTTP {method} {definition['HTTP']}: {answer.status} {answer.reason} Output: {start}"
    if 200 <= answer.status < 300:
        return PASSING, output
    return (WARNING if answer.status == 429 else CRITICAL), output


async def _tcp(definition: dict[str, Any]) -> tuple[str, str]:
    address = definition["TCP"]
    _, writer = await asyncio.open_connection(*_host_and_port(address))
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return PASSING, f"TCP connect {address}: Success"


async def _grpc(definition: dict[str, Any]) -> tuple[str, str]:
    target = definition["GRPC"]
    address, _, service = target.partition("/")
    tls = _tls(definition) if definition["GRPCUseTLS"] else None
    status = await grpc_health.serving_status(*_host_and_port(address), service, tls)
    if status == "SERVING":
        return PASSING, f"gRPC check {target}: success"
    return CRITICAL, f"gRPC {service} serving status: {status}"


def _tls(definition: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if definition["TLSSkipVerify"]:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)

"""The agent's side: the services and checks of this node, as ``/v1/agent`` registers them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from jenkins_proxy.consul_server import definitions
from jenkins_proxy.consul_server.catalog import Catalog
from jenkins_proxy.consul_server.checks import PolledCheck, TtlCheck
from jenkins_proxy.consul_server.errors import ConsulError
from jenkins_proxy.consul_server.records import check_row, service_row
from jenkins_proxy.consul_server.state.state_store import Row, Store, Timing
from jenkins_proxy.model import CRITICAL

_LOG = logging.getLogger(__name__)
Monitor = TtlCheck | PolledCheck

_NODE_MAINTENANCE = "_node_maintenance"
_NO_REASON = "Maintenance mode is enabled for this {}, but no reason was provided. This is a default message."


class Agent:
    """The node that this process is.

    :param node: its name.
    """

    def __init__(self, store: Store, catalog: Catalog, node: str, timing: Timing) -> None:
        self._store = store
        self._catalog = catalog
        self._timing = timing
        self._definitions: dict[str, dict[str, Any]] = store.tables["definitions"]
        self._monitors: dict[str, Monitor] = {}
        self._reapers: dict[str, asyncio.TimerHandle] = {}
        self.node = node

    def start(self) -> None:
        """Start the checks that were loaded. They keep their status until their first run: a restart of the registry
        must not take services out of rotation that never stopped. One that the API would refuse, from a damaged file or
        an older version, goes: the service is there without it."""
        for check_id, kept in list(self._definitions.items()):
            try:
                definition = definitions.loaded(kept)
            except ConsulError as error:
                _LOG.warning("the check %r in the state file is left out: %s", check_id[:80], error.text[:200])
                self._forget_check(check_id)
            else:
                self._start_monitor(check_id, definition)

    def _forget_check(self, check_id: str) -> None:
        self._store.keep_aside()
        self._store.advance()
        # The store has logged it; the next start tries again.
        with contextlib.suppress(OSError):
            self._remove_check(check_id)

    async def stop(self) -> None:
        """Stop the checks; the services stay."""
        for reaper in self._reapers.values():
            reaper.cancel()
        for monitor in self._monitors.values():
            monitor.stop()
        for monitor in self._monitors.values():
            if isinstance(monitor, PolledCheck):
                await monitor.wait_ended()

    def services(self) -> list[Row]:
        return self._catalog.services_on(self.node)

    def service(self, service_id: str) -> Row | None:
        return self._catalog.service(self.node, service_id)

    def checks(self) -> list[Row]:
        """The checks of this agent: not the node's own health."""
        return [row for row in self._catalog.checks_on(self.node) if row["CheckID"] != "serfHealth"]

    def register_service(self, service: dict[str, Any], replace_checks: bool) -> None:
        """Register a service with its checks.

        :param service: the structure ``go_json.SERVICE``.
        :param replace_checks: take away the checks that it had and does not name again.
        :raises ConsulError: for what Consul refuses.
        """
        service_id = service["ID"] or service["Name"]
        definitions.check_service(service)
        checks = definitions.checks_of(service, service_id)
        self._store.advance()
        self._catalog.put_service(self.node, service_row(service, service_id))
        if replace_checks:
            for check in self._catalog.checks_of(self.node, service_id):
                if check["CheckID"] not in checks:
                    self._remove_check(check["CheckID"])
        for check_id, definition in checks.items():
            self._put_check(check_id, definition, keep_status=True)

    def deregister_service(self, service_id: str) -> None:
        """Take a service away, if it is there."""
        self._store.advance()
        for check in self._catalog.checks_of(self.node, service_id):
            self._remove_check(check["CheckID"])
        self._catalog.remove_service(self.node, service_id)

    def register_check(self, check: dict[str, Any]) -> None:
        """Register a check of the node, or of one of its services.

        :param check: the structure ``go_json.CHECK``.
        """
        if not check["Name"]:
            raise ConsulError(400, "Missing check name")
        if check["Status"] and check["Status"] not in definitions.STATUSES:
            raise ConsulError(400, "Bad check status")
        definitions.validate(check)
        if check["ServiceID"] and not self._catalog.service(self.node, check["ServiceID"]):
            raise ConsulError(500, f'ServiceID "{check["ServiceID"]}" does not exist')
        self._store.advance()
        self._put_check(check["CheckID"] or check["ID"] or check["Name"], check, keep_status=False)

    def deregister_check(self, check_id: str) -> None:
        self._store.advance()
        self._remove_check(check_id)

    def update_ttl(self, check_id: str, status: str, output: str) -> None:
        """Report a TTL check."""
        check = self._monitors.get(check_id)
        if not isinstance(check, TtlCheck):
            raise ConsulError(500, f'CheckID "{check_id}" does not have associated TTL')
        check.report(status, output)

    def service_maintenance(self, service_id: str, enable: bool, reason: str) -> None:
        """Take a service out of passing, or back."""
        if not self._catalog.service(self.node, service_id):
            raise ConsulError(404, f'No service registered with ID "{service_id}"')
        self._maintenance(f"_service_maintenance:{service_id}", "Service", service_id, enable, reason)

    def node_maintenance(self, enable: bool, reason: str) -> None:
        """Take the whole node out of passing, or back."""
        self._maintenance(_NODE_MAINTENANCE, "Node", "", enable, reason)

    def _maintenance(self, check_id: str, kind: str, service_id: str, enable: bool, reason: str) -> None:
        self._store.advance()
        if not enable:
            self._catalog.remove_check(self.node, check_id)
        elif not self._catalog.check(self.node, check_id):
            notes = reason or _NO_REASON.format(kind.lower())
            self._catalog.put_check(
                check_row(
                    self.node,
                    check_id,
                    name=f"{kind} Maintenance Mode",
                    status=CRITICAL,
                    notes=notes,
                    kind="maintenance",
                    service=self._catalog.service(self.node, service_id),
                )
            )

    def _put_check(self, check_id: str, definition: dict[str, Any], keep_status: bool) -> None:
        old = self._catalog.check(self.node, check_id)
        row = check_row(
            self.node,
            check_id,
            name=definition["Name"],
            status=definition["Status"] or CRITICAL,
            notes=definition["Notes"],
            kind=definitions.kind_of(definition),
            service=self._catalog.service(self.node, definition["ServiceID"]),
        )
        if old and keep_status:
            row.update(Status=old["Status"], Output=old["Output"])
        self._catalog.put_check(row)
        if self._definitions.get(check_id) != definition:
            self._store.put("definitions", check_id, definition)
        self._start_monitor(check_id, definition)

    def _remove_check(self, check_id: str) -> None:
        # First, as it may fail: then the check is still there and goes on.
        self._store.drop("definitions", check_id)
        self._stop_monitor(check_id)
        self._catalog.remove_check(self.node, check_id)

    def _start_monitor(self, check_id: str, definition: dict[str, Any]) -> None:
        self._stop_monitor(check_id)

        def report(status: str, output: str) -> None:
            self._report(check_id, status, output)

        ttl = definition["TTL"]
        monitor: Monitor = TtlCheck(ttl, report, self._timing) if ttl else PolledCheck(definition, report, self._timing)
        self._monitors[check_id] = monitor
        monitor.start()
        self._reap_later(check_id)

    def _stop_monitor(self, check_id: str) -> None:
        monitor = self._monitors.pop(check_id, None)
        if monitor:
            monitor.stop()
        self._cancel_reaper(check_id)

    def _cancel_reaper(self, check_id: str) -> None:
        reaper = self._reapers.pop(check_id, None)
        if reaper:
            reaper.cancel()

    def _report(self, check_id: str, status: str, output: str) -> None:
        row = self._catalog.check(self.node, check_id)
        if row is None:
            return
        if row["Status"] != status:
            self._store.advance()
        self._catalog.put_check({**row, "Status": status, "Output": output})
        self._reap_later(check_id)

    def _reap_later(self, check_id: str) -> None:
        """Have a service that stays critical taken away, where its check asks for it."""
        row = self._catalog.check(self.node, check_id)
        seconds = self._definitions[check_id]["DeregisterCriticalServiceAfter"]
        if seconds <= 0 or row is None or not row["ServiceID"]:
            return
        if row["Status"] != CRITICAL:
            self._cancel_reaper(check_id)
        elif check_id not in self._reapers:
            self._reap_in(max(seconds, self._timing.min_deregister_after), check_id, row["ServiceID"])

    def _reap_in(self, seconds: float, check_id: str, service_id: str) -> None:
        self._reapers[check_id] = asyncio.get_running_loop().call_later(seconds, self._reap, check_id, service_id)

    def _reap(self, check_id: str, service_id: str) -> None:
        try:
            self.deregister_service(service_id)
        except OSError:
            self._reap_in(self._timing.retry, check_id, service_id)

"""Keeping a service's releases in the registry, where every deploy and every proxy can read them."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable, Sequence

from jenkins_proxy import releases
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.report import Report
from jenkins_proxy.deployment.steps import lock_holder
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.releases import Release
from jenkins_proxy.signals import undisturbed

_ATTEMPTS = 5


def record(
    context: Context,
    service: str,
    command: str,
    outcome: Outcome,
    *,
    like: Callable[[Release], bool] | None = None,
) -> None:
    """Keep what became of a release. It is what it is: where it cannot be kept, a warning says so.

    :param command: one of ``releases.COMMANDS``.
    :param like: which earlier release has the same image, where the outcome names none.
    """
    ours, report = lock_holder.ourselves(os.environ), Report(service, outcome, {})
    before = Release(0.0, command, report.status)

    def made(known: Sequence[Release]) -> Release:
        image = (releases.latest(known, like) if like and not outcome.image else None) or before
        return Release(
            time=round(time.time(), 3),
            command=command,
            outcome=report.status,
            code=getattr(outcome.error, "exit_code", 1) if outcome.error else 0,
            phase=outcome.phase,
            image=outcome.image or image.image,
            image_id=outcome.image_id or image.image_id,
            color=outcome.route.color if outcome.route else "",
            strategy=outcome.strategy,
            instances=len(outcome.instances),
            seconds=round(context.phases.seconds()["total"], 3),
            who=ours["who"],
            host=ours["host"],
            build=ours["build"],
        )

    try:
        with undisturbed():
            _add(context.registry, releases.KEYS + service, made)
    except RegistryError as error:
        context.console.warning(f"this release of {service} is not in its history: {error.message}")


def _add(registry: Consul, key: str, made: Callable[[Sequence[Release]], Release]) -> None:
    for _ in range(_ATTEMPTS):
        pair = registry.kv_get(key)
        known = releases.parse(pair.value) if pair else ()
        if registry.kv_put(key, releases.with_newest(known, made(known)), cas=pair.modify_index if pair else 0):
            return
    raise RegistryError(f"others wrote there {_ATTEMPTS} times in a row")


def read(registry: Consul, service: str) -> tuple[Release, ...]:
    """The releases that are kept, the newest first.

    :raises RegistryError: when the registry does not answer.
    """
    pair = registry.kv_get(releases.KEYS + service)
    return releases.parse(pair.value) if pair else ()


def forget(registry: Consul, service: str) -> None:
    """Forget them all."""
    registry.kv_delete(releases.KEYS + service)


_HEADER = ("WHEN", "WHAT", "OUTCOME", "IMAGE", "INSTANCES", "SECONDS", "BY", "BUILD")


def table(found: Sequence[Release]) -> list[str]:
    """The releases as lines of aligned columns, times in UTC."""
    rows = [_HEADER, *(_row(release) for release in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _row(release: Release) -> tuple[str, ...]:
    during = f" in {release.phase}" if release.phase and release.outcome in (releases.FAILED, releases.STOPPED) else ""
    code = f" ({release.code})" if release.code else ""
    return (
        datetime.datetime.fromtimestamp(release.time, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        f"{release.command} {release.color}".rstrip(),
        f"{release.outcome}{during}{code}",
        release.image or "-",
        str(release.instances),
        f"{release.seconds:.1f}",
        f"{release.who}@{release.host}".strip("@") or "-",
        release.build or "-",
    )

"""A report as a page for people, kept with a build: what happened, how long each phase took, and where to look.

Jenkins serves what a build keeps in a sandbox without scripts and without styles of the page's own, so it has neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from jenkins_proxy.model import Address

PHASES = {
    "hold": "keep users from what joins",
    "bring_up": "deploy: start the containers",
    "wait": "wait until the registry shows them passing",
    "verify": "verify each through the proxy",
    "promote": "promote: let users in",
    "reconfigure": "set the route",
    "probe": "probe the route as a user",
    "retire": "retire: drain and stop the old ones",
    "total": "total",
}
"""What each phase of a report does."""


def render(report: Mapping[str, Any], links: Mapping[str, str]) -> str:
    """The page.

    :param report: a command's report; nothing in it is taken for HTML.
    :param links: addresses by their texts; what is no ``http://`` or ``https://`` address becomes no link.
    :return: an HTML document.
    """
    service, status = str(report.get("service", "")), str(report.get("status", ""))
    timings: Mapping[str, Any] = report.get("timings") or {}
    parts = [f"<h1>{escape(service)}: {escape(status)}</h1>", *_facts(report)]
    parts += _table(
        ("phase", "what it does", "seconds"),
        [(name, PHASES.get(name, ""), f"{seconds:.1f}") for name, seconds in timings.items() if seconds],
    )
    instances = report.get("instances") or ()
    parts += _table(
        ("instance", "container", "node"),
        [
            (str(Address(str(one.get("address")), one.get("port"))), one.get("container"), one.get("node"))
            for one in instances
        ],
    )
    where = {**({"users' address": report["url"]} if report.get("url") else {}), **links}
    parts += [f"<p>{escape(text)}: {_link(str(address))}</p>" for text, address in where.items()]
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{escape(service)}: {escape(status)}'
        f"</title></head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _facts(report: Mapping[str, Any]) -> list[str]:
    error: Mapping[str, Any] = report.get("error") or {}
    users: Mapping[str, Any] = report.get("users") or {}
    facts = [str(error[key]) for key in ("message", "hint") if error.get(key)]
    if report.get("strategy"):
        facts.append(f"strategy {report['strategy']}, {report.get('orchestrator', '')}".rstrip(", "))
    if users:
        facts.append(f"users meanwhile: {users.get('requests')} requests, {users.get('failed')} failed")
    return [f"<p>{escape(fact)}</p>" for fact in facts]


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    if not rows:
        return []
    lines = [_row("th", head), *(_row("td", row) for row in rows)]
    return ['<table border="1" cellpadding="4">', *lines, "</table>"]


def _row(tag: str, cells: Sequence[Any]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(str(cell or ''))}</{tag}>" for cell in cells) + "</tr>"


def _link(address: str) -> str:
    shown = escape(address)
    return f'<a href="{shown}">{shown}</a>' if address.startswith(("http://", "https://")) else shown

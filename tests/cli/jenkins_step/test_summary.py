"""A report as a page: safe under Jenkins' rules for what a build keeps, whatever stands in the report."""

from __future__ import annotations

import html.parser

import pytest

from jenkins_proxy.cli.jenkins_step import summary as step_summary
from jenkins_proxy.deployment.phases import PHASES

EVIL = "<script>alert('x')</script>\"onload='y'&amp;"
REPORT = {
    "service": "books-ms",
    "status": "done",
    "strategy": "rolling",
    "orchestrator": "compose v2",
    "instances": [{"address": "fd00::1", "port": 1, "container": "books-1", "node": ""}],
    "url": "http://proxy/api/v1/books",
    "timings": {"bring_up": 1.26, "wait": 0.4, "verify": 0.2, "reconfigure": 0.0, "retire": 5.04, "total": 8.0},
    "users": {"requests": 4812, "failed": 0},
    "error": None,
}


class _Page(html.parser.HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts += [data.strip()] if data.strip() else []

    @property
    def links(self) -> list[str]:
        return [attributes["href"] for tag, attributes in self.tags if tag == "a"]


def test_the_phases_with_their_times_the_instances_and_where_to_look() -> None:
    page = _Page(step_summary.render(REPORT, {"the proxy's page": "http://proxy:8081/"}))
    assert page.texts[:2] == ["books-ms: done", "books-ms: done"]
    at = page.texts.index("seconds")
    assert page.texts[at + 1 : at + 16] == [
        *("bring_up", "deploy: start the containers", "1.3"),
        *("wait", "wait until the registry shows them passing", "0.4"),
        *("verify", "verify each through the proxy", "0.2"),
        *("retire", "retire: drain and stop the old ones", "5.0"),
        *("total", "total", "8.0"),
    ]
    assert {"strategy rolling, compose v2", "users meanwhile: 4812 requests, 0 failed"} <= set(page.texts)
    assert "[fd00::1]:1" in page.texts
    assert page.links == ["http://proxy/api/v1/books", "http://proxy:8081/"]


def test_every_phase_of_a_report_is_explained() -> None:
    assert set(step_summary.PHASES) == {*PHASES, "total"}


def test_a_failure_says_why() -> None:
    error = {"code": 6, "message": "no instance answered", "hint": "look at its log"}
    page = _Page(step_summary.render({**REPORT, "status": "failed", "error": error}, {}))
    assert {"books-ms: failed", "no instance answered", "look at its log"} <= set(page.texts)


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "//x", EVIL, ""])
def test_only_addresses_become_links(address: str) -> None:
    assert _Page(step_summary.render({**REPORT, "url": ""}, {"where": address})).links == []


def test_nothing_in_a_report_is_taken_for_html() -> None:
    report = {
        "service": EVIL,
        "status": EVIL,
        "strategy": EVIL,
        "orchestrator": EVIL,
        "instances": [{"address": EVIL, "port": EVIL, "container": EVIL, "node": EVIL}],
        "url": f"http://x/{EVIL}",
        "timings": {EVIL: 1.0},
        "users": {"requests": EVIL, "failed": EVIL},
        "error": {"message": EVIL, "hint": EVIL},
    }
    page = _Page(step_summary.render(report, {EVIL: f"https://x/{EVIL}"}))
    allowed = {"html", "head", "meta", "title", "body", "h1", "p", "table", "tr", "th", "td", "a"}
    assert {tag for tag, _ in page.tags} <= allowed
    # Jenkins' Content-Security-Policy for what a build keeps takes no style and no script of the page's own.
    assert {name for _, attributes in page.tags for name in attributes} == {
        "lang",
        "charset",
        "border",
        "cellpadding",
        "href",
    }

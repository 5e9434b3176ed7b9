"""The page and what it reads: the state, the live events, and the page itself in a real browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from jenkins_proxy import releases
from jenkins_proxy.errors import ProxyError
from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.access.audit import Audit, AuditEntry
from jenkins_proxy.proxy.access.callers import Role
from jenkins_proxy.proxy.access.tokens import Token, Tokens, change_token
from jenkins_proxy.proxy.api import app
from jenkins_proxy.proxy.api.auth import Authenticator
from jenkins_proxy.proxy.api.dashboard import Dashboard
from jenkins_proxy.proxy.api.event_stream import EventStream
from jenkins_proxy.proxy.api.releases import Releases
from jenkins_proxy.proxy.events import Event, EventLog
from jenkins_proxy.proxy.models import ProxyState, RouteState
from jenkins_proxy.proxy.telemetry import haproxy_stats
from jenkins_proxy.proxy.telemetry.haproxy_stats import TrafficReader
from jenkins_proxy.proxy.telemetry.metrics import Meter
from jenkins_proxy.proxy.timing import Timing
from jenkins_proxy.releases import Release

STATS = "# pxname,svname,rate,scur,econ,hrsp_2xx\nbooks-ms-be,BACKEND,7,2,3,1200\nusers-ms-be,BACKEND,1,0,0,5\n"


@pytest.fixture
async def event_log() -> EventLog:
    return EventLog(epoch=1000)


@pytest.fixture
def stream(request, event_log) -> EventStream:
    return EventStream(event_log, Authenticator(Tokens(change_token("s3cret"))), **getattr(request, "param", {}))


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def audit() -> Audit:
    return Audit()


@pytest.fixture
async def url(proxy_service, served, event_log, stream, tokens, audit, certificates, files, history):
    """Where a daemon with three routes listens, one of them in trouble."""
    for route, statuses in (
        (Route("books-ms", ("/api/v1/books",)), ("passing", "passing")),
        (Route("users-ms", ("/api/v1/users",), ("users.example.com",)), ("passing", "critical")),
        (Route("shop", ("/",)), ("passing",)),
    ):
        proxy_service.routes[route.service] = RouteState(route, 1, served(route.service, *statuses))

    async def ask(_command: str) -> list[str]:
        return [STATS]

    about = {"registry": "http://127.0.0.1:8500", "embedded": True, "entry": "*:80"}
    dashboard = Dashboard(
        proxy_service, event_log, Meter(), TrafficReader(ask), about, certificates=certificates, files=files
    )
    runner = app.runner(
        app.application(Authenticator(tokens), audit, dashboard, stream, Releases(history), app.Meta(proxy_service))
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    yield f"http://{host}:{port}"
    event_log.close()
    await runner.cleanup()


@pytest.fixture
async def session(url):
    async with aiohttp.ClientSession(url) as opened:
        yield opened


async def state(session, query: str = "") -> dict:
    async with session.get("/v1/state" + query) as answer:
        assert answer.status == 200
        return await answer.json()


async def test_the_state_has_totals_and_the_services_with_trouble_first(session) -> None:
    seen = await state(session)
    assert [one["service"] for one in seen["services"]] == ["users-ms", "books-ms", "shop"]
    assert [one["trouble"] for one in seen["services"]] == [True, False, False]
    assert seen["totals"] == {
        "services": 3,
        "trouble": 1,
        "instances": 5,
        "serving": 4,
        "rate": 8,
        "sessions": 2,
        "errors": 3,
    }
    assert seen["services"][1]["traffic"]["answers"]["2xx"] == 1200
    assert "probe" not in json.dumps(seen)


@pytest.mark.parametrize(
    ("query", "services", "matching"),
    [
        ("?search=BOOK", ["books-ms"], 1),
        ("?search=users.example", ["users-ms"], 1),
        ("?search=/api/", ["users-ms", "books-ms"], 2),
        ("?trouble=true", ["users-ms"], 1),
        ("?trouble=false&limit=2", ["users-ms", "books-ms"], 3),
        ("?search=absent", [], 0),
    ],
)
async def test_the_state_can_be_searched(session, query: str, services: list, matching: int) -> None:
    seen = await state(session, query)
    assert ([one["service"] for one in seen["services"]], seen["matching"]) == (services, matching)


async def test_haproxy_is_asked_once_a_second_at_the_most() -> None:
    asked, now = [], [10.0]

    async def ask(command: str) -> list[str]:
        asked.append(command)
        if now[0] > 11.5:
            raise ProxyError("HAProxy does not answer")
        return [STATS]

    reader = TrafficReader(ask, clock=lambda: now[0])
    for now[0] in (10.0, 10.9, 11.0):
        assert (await reader.read())["books-ms"].rate == 7
    assert asked == [haproxy_stats.COMMAND] * 2
    now[0] = 12.0
    assert await reader.read() == {}


async def messages(answer: aiohttp.ClientResponse, count: int) -> list[dict]:
    """The next events of a stream, each with its identifier."""
    found = []
    while len(found) < count:
        block = (await asyncio.wait_for(answer.content.readuntil(b"\n\n"), 20)).decode()
        if "data: " in block:
            fields = dict(line.split(": ", 1) for line in block.strip().splitlines())
            found.append({"id": fields["id"], **json.loads(fields["data"])})
    return found


async def test_events_come_live_and_what_was_missed_comes_again(session, event_log) -> None:
    event_log.add(Event(1.0, "reload"))
    async with session.get("/v1/events") as answer:
        assert answer.content_type == "text/event-stream"
        event_log.add(Event(2.0, "instance-up", "books-ms", Address("10.0.0.1", 80)))
        (live,) = await messages(answer, 1)
    assert live == {
        "id": "1000-2",
        "time": 2.0,
        "kind": "instance-up",
        "service": "books-ms",
        "address": "10.0.0.1:80",
        "detail": "",
        "seconds": 0.0,
    }
    event_log.add(Event(3.0, "reload"))
    async with session.get("/v1/events", headers={"Last-Event-ID": live["id"]}) as answer:
        assert [one["time"] for one in await messages(answer, 1)] == [3.0]
    async with session.get("/v1/events?after=of-another-run") as answer:
        assert [one["time"] for one in await messages(answer, 3)] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("stream", [{"timing": Timing(stream_heartbeat=0.01)}], indirect=True)
async def test_a_quiet_stream_says_that_it_lives(session) -> None:
    async with session.get("/v1/events") as answer:
        blocks = [await asyncio.wait_for(answer.content.readuntil(b"\n\n"), 20) for _ in range(4)]
    assert blocks == [b"retry: 2000\n\n", *[b": still here\n\n"] * 3]


@pytest.mark.parametrize("stream", [{"max_readers": 1}], indirect=True)
async def test_readers_are_bounded_and_gone_ones_are_not_counted(session, event_log) -> None:
    async with session.get("/v1/events") as first:
        await first.content.readuntil(b"\n\n")
        async with session.get("/v1/events") as second:
            assert second.status == 503
            assert "readers follow the events already" in (await second.json())["error"]["message"]
        async with session.get("/v1/events", headers={"Authorization": "Bearer s3cret"}) as known:
            assert known.status == 200
    status = 503
    while status == 503:
        event_log.add(Event(1.0, "reload"))  # the daemon learns that a reader is gone when it writes to it
        async with session.get("/v1/events") as third:
            status = third.status
    assert status == 200


async def test_a_log_that_closes_ends_the_streams(session, event_log) -> None:
    async with session.get("/v1/events") as answer:
        event_log.close()
        await asyncio.wait_for(answer.read(), 20)


async def test_the_page_can_neither_load_nor_run_anything_from_elsewhere(session) -> None:
    for path, kind in (
        ("/", "text/html"),
        ("/dashboard/style.css", "text/css"),
        ("/dashboard/access.js", "text/javascript"),
        ("/dashboard/page.js", "text/javascript"),
    ):
        async with session.get(path) as answer:
            assert (answer.status, answer.content_type) == (200, kind)
            policy = answer.headers["Content-Security-Policy"]
            text = await answer.text()
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        outside = [url for url in re.findall(r"https?://[^\s'\"]+", text) if url != "http://www.w3.org/2000/svg"]
        assert outside == []
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|style=|onclick=", text)


class Browser:
    """A headless Chromium with one page, driven by the DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._sent = 0
        self.complaints: list[str] = []

    async def send(self, method: str, **params: object) -> dict:
        self._sent += 1
        await self._socket.send_json({"id": self._sent, "method": method, "params": params})
        while True:
            message = await asyncio.wait_for(self._socket.receive_json(), 30)
            if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(json.dumps(message["params"]))
            if message.get("id") == self._sent:
                assert "error" not in message, message
                return message["result"]

    async def value(self, expression: str) -> object:
        """What the expression, or the promise that it makes, gives."""
        answer = await self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait in the page until something holds there: it looks again after each change of the page."""
        assert await self.value(f"""new Promise((resolve) => {{
            const look = () => {{ if ({condition}) resolve(true) }}
            new MutationObserver(look).observe(document, {{subtree: true, childList: true, characterData: true,
                                                          attributes: true}})
            setTimeout(() => resolve(false), 20000)
            look()
        }})"""), f"the page never came to {condition}: {await self.value('document.body.innerText')}"


@pytest.fixture
async def browser(chromium: str, tmp_path: Path):
    argv = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--remote-debugging-port=0", f"--user-data-dir={tmp_path}", "about:blank"]  # fmt: skip
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # noqa: ASYNC220
    try:
        lines = iter(process.stderr.readline, "")
        found = (re.search(r"listening on ws://[^:]+:(\d+)/", line) for line in lines)
        port = next(match[1] for match in found if match)
        async with contextlib.AsyncExitStack() as stack:
            client = await stack.enter_async_context(aiohttp.ClientSession())
            async with client.get(f"http://127.0.0.1:{port}/json/list") as answer:
                page = next(one for one in await answer.json() if one["type"] == "page")
            made = Browser(await stack.enter_async_context(client.ws_connect(page["webSocketDebuggerUrl"])))
            for domain in ("Runtime", "Log", "Page"):
                await made.send(f"{domain}.enable")
            yield made
    finally:
        process.terminate()
        process.stderr.read()
        process.wait(timeout=20)
        process.stderr.close()


async def test_a_live_event_changes_the_page(
    browser: Browser, url: str, proxy_service, served, event_log, audit, certificates
) -> None:
    certificates.known = {name: certificates.serving(name, days) for name, days in (("one", 90.5), ("two", 6.5))}
    await browser.send("Page.navigate", url=url + "/")
    await browser.until(
        "document.querySelectorAll('.service').length === 3 && document.getElementById('live').textContent === 'Live'"
    )
    assert await browser.value("document.getElementById('total-instances').textContent") == "4"
    assert await browser.value("document.querySelector('.service .name').firstChild.textContent") == "users-ms"
    assert (
        await browser.value("document.getElementById('certificates').textContent") == "Certificate two ends in 6 days"
    )

    hostile = "<img src=x onerror=alert(1)>"
    proxy_service.routes["shop"] = RouteState(
        Route("shop", ("/",)), 2, served("shop", *["passing"] * 4), refused=hostile
    )
    event_log.add(Event(2.0, "instance-up", "shop", Address("10.0.0.9", 80), hostile))
    await browser.until("document.getElementById('total-instances').textContent === '7'")
    told = await browser.value("document.querySelector('#events li .what').textContent")
    assert told == "shop instance up 10.0.0.9:80"
    assert hostile in await browser.value("document.body.textContent")
    assert await browser.value("document.images.length") == 0

    audit.record(AuditEntry(2.5, "4f1c", hostile, "", "10.0.0.7", "put route", "shop", 200))
    proxy_service.proxy = ProxyState(
        7, serving=True, routes=(), registry_lost_since=1.0, problem="the registry is away"
    )
    event_log.add(Event(3.0, "registry-lost"))
    await browser.until("document.querySelectorAll('#changes li').length === 1")
    told = await browser.value("document.querySelector('#changes li .what').textContent")
    assert told == f"{hostile} 10.0.0.7 put route shop 200"
    await browser.until("document.getElementById('registry').textContent.startsWith('Registry away for ')")
    assert await browser.value("document.getElementById('problem').textContent") == "the registry is away"
    assert browser.complaints == []


async def test_a_service_has_a_page_of_its_releases(browser: Browser, url: str, history) -> None:
    hostile = Release(1.8e9, "deploy", "failed", 6, "verify", image="books:2", who="x", build="jenkins-books-8")
    history.value = releases.with_newest(releases.parse(history.value), hostile)
    await browser.send("Page.navigate", url=url + "/")
    await browser.until("document.querySelectorAll('.service a.releases').length === 3")
    await browser.value("document.querySelector('.service a.releases[href$=books-ms]').click()")
    await browser.until(
        "location.pathname === '/releases/books-ms' && document.querySelectorAll('tbody tr').length === 2"
    )
    rows = await browser.value("[...document.querySelectorAll('tbody tr')].map((one) => one.innerText)")
    assert rows[0].split("\t")[:4] == ["2027-01-15 08:00:00 UTC", "deploy", "failed in verify (exit code 6)", "books:2"]
    links = "[...document.querySelectorAll('tbody a')].map((one) => one.href)"
    assert await browser.value(links) == ["https://jenkins.example.com/job/books/7/"]
    assert browser.complaints == []
    await browser.send("Page.navigate", url=url + "/releases/%3Cimg%20src=x%3E")
    await browser.until("document.getElementById('problem')?.hidden === false")
    assert await browser.value("document.getElementById('name').textContent + document.images.length") == "<img src=x>0"


@pytest.mark.parametrize("tokens", [Tokens([Token(Role.READ, "a-reading-token", "dashboard")])])
async def test_the_page_asks_for_a_token_and_follows_with_it(browser: Browser, url: str, event_log) -> None:
    await browser.send("Page.navigate", url=url + "/")
    await browser.until("document.getElementById('sign-in')?.hidden === false")
    assert await browser.value("document.querySelectorAll('.service').length") == 0

    async def sign_in(token: str) -> None:
        await browser.value(
            f"document.getElementById('token').value = '{token}'; document.querySelector('#sign-in button').click()"
        )

    await sign_in("another-token")
    await browser.until("document.getElementById('sign-in-said').textContent === 'wrong token'")
    await sign_in("a-reading-token")
    await browser.until(
        "document.querySelectorAll('.service').length === 3 && document.getElementById('live').textContent === 'Live'"
    )
    assert await browser.value("document.getElementById('sign-in').hidden")
    event_log.add(Event(2.0, "instance-up", "shop", Address("10.0.0.9", 80)))
    await browser.until("document.querySelector('#events li .what')?.textContent === 'shop instance up 10.0.0.9:80'")
    assert "a-reading-token" not in await browser.value("document.documentElement.outerHTML + location")


@pytest.mark.parametrize("width", [360, 800, 1280])
async def test_the_page_fits_every_width_and_reacts_to_the_keyboard(browser: Browser, url: str, width: int) -> None:
    await browser.send(
        "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
    )
    await browser.send("Page.navigate", url=url + "/")
    await browser.until("document.querySelectorAll('.service').length === 3")
    assert await browser.value("document.documentElement.scrollWidth <= innerWidth")
    await browser.value("document.querySelector('summary').focus()")
    for kind in ("keyDown", "keyUp"):
        await browser.send("Input.dispatchKeyEvent", type=kind, key="Enter", windowsVirtualKeyCode=13, text="\r")
    await browser.until("document.querySelector('details').open")
    assert "10.0.0.1:32769" in await browser.value("document.querySelector('details tbody').textContent")
    assert await browser.value("document.documentElement.scrollWidth <= innerWidth")
    await browser.value(
        "document.getElementById('search').value = 'books'; "
        "document.getElementById('search').dispatchEvent(new Event('input'))"
    )
    await browser.until("document.querySelectorAll('.service').length === 1")
    assert browser.complaints == []

"""The API over HTTP with a proxy service that stands in: shapes, statuses, limits, and what never leaves."""

from __future__ import annotations

import logging

import aiohttp
import pytest

from jenkins_proxy.errors import ProxyError, RegistryError, UsageError
from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.api import app
from jenkins_proxy.proxy.models import ConflictError, NotRoutedError, ProxyState
from tests.proxy.api.conftest import ARTICLE, PREFIX
from tests.proxy.conftest import PROGRESS

BOOKS = {"paths": ["/api/v1/books"]}


async def test_a_route_is_put_read_listed_and_deleted(call, proxy_service) -> None:
    status, put = await call("PUT", "/v1/routes/books-ms", json=BOOKS)
    assert status == 200
    assert put["instances"][0] == {
        "address": "10.0.0.1",
        "port": 32768,
        "id": "node:books-ms:32768",
        "node": "node-1",
        "status": "passing",
        "checked": False,
        "output": "",
        "serving": True,
        "draining": False,
        "state": "serving",
        "waiting_seconds": 0.0,
    }
    assert put["route"] == Route("books-ms", ("/api/v1/books",)).as_dict()
    assert (put["version"], put["applied"], put["timings"]) == (3, "reload", {"reload": 0.0123})
    assert put["probe"] == {"header": "X-Jenkins-Proxy-Probe", "key": "the-probe-key"}
    assert "diff" not in put
    assert put.pop("proxies") == PROGRESS
    assert (await call("GET", "/v1/routes/books-ms"))[1] == put
    status, listed = await call("GET", "/v1/routes")
    assert [route["service"] for route in listed["routes"]] == ["books-ms"]
    removed = {"service": "books-ms", "removed": True, "proxies": PROGRESS}
    assert await call("DELETE", "/v1/routes/books-ms") == (200, removed)
    status, absent = await call("DELETE", "/v1/routes/books-ms")
    assert (status, absent["error"]["message"]) == (404, "there is no route of books-ms")
    assert (await call("GET", "/v1/routes/books-ms"))[0] == 404


async def test_a_call_says_how_long_it_waits_for_the_other_proxies(call, proxy_service) -> None:
    path, body = "/v1/routes/books-ms", {"addresses": ["10.0.0.1:32768"]}
    for method, where, sent in (
        ("PUT", path, BOOKS),
        ("POST", f"{path}/drain", body),
        ("POST", f"{path}/resume", body),
        ("DELETE", path, None),
    ):
        for seconds in ("", "?proxies=0", "?proxies=2.5"):
            status, answer = await call(method, where + seconds, json=sent)
            assert (status, answer.get("proxies")) == (200, PROGRESS) or method == "DELETE" and status == 404
        assert (await call(method, f"{where}?proxies=all", json=sent))[0] == 400
    assert proxy_service.waits == [None, 0, 2.5] * 4


async def test_a_dry_run_changes_nothing_and_shows_the_difference(call, proxy_service) -> None:
    status, answer = await call("PUT", "/v1/routes/books-ms?dryRun=true&diff=true", json=BOOKS)
    assert (status, answer["diff"]) == (200, "+ a line")
    assert proxy_service.calls == [("put", Route("books-ms", ("/api/v1/books",)), False, True)]
    assert proxy_service.routes == {}


async def test_a_put_shows_the_difference_that_it_made(call) -> None:
    status, answer = await call("PUT", "/v1/routes/books-ms?diff=true", json=BOOKS)
    assert (status, answer["diff"].splitlines()[-1]) == (200, "+books-ms")


async def test_a_dry_run_of_a_delete_deletes_nothing(call, proxy_service) -> None:
    assert (await call("DELETE", "/v1/routes/books-ms?dryRun=true"))[0] == 404
    await call("PUT", "/v1/routes/books-ms", json=BOOKS)
    status, answer = await call("DELETE", "/v1/routes/books-ms?dryRun=true")
    assert (status, answer) == (200, {"service": "books-ms", "removed": False, "diff": "- a line"})
    assert list(proxy_service.routes) == ["books-ms"]


@pytest.mark.parametrize("path", [f"{PREFIX}/ping", "/v1/test", "/v2/test"])
async def test_whether_it_lives_may_be_asked_without_an_answers_body(call, path: str) -> None:
    assert (await call("HEAD", path))[0] == 200
    assert (await call("HEAD", f"{PREFIX}/reload"))[0] == 405


async def test_drain_and_resume_take_addresses(call, proxy_service) -> None:
    await call("PUT", "/v1/routes/books-ms", json=BOOKS)
    body = {"addresses": ["10.0.0.1:32768", "[::1]:80"], "timeout": 4.5}
    status, answer = await call("POST", "/v1/routes/books-ms/drain", json=body)
    assert (status, answer["cut"]) == (200, 2)
    assert (await call("POST", "/v1/routes/books-ms/drain", json={**body, "stream_timeout": 0}))[0] == 200
    status, answer = await call("POST", "/v1/routes/books-ms/resume", json={"addresses": body["addresses"]})
    assert (status, answer.get("cut")) == (200, None)
    both = (Address("10.0.0.1", 32768), Address("::1", 80))
    assert proxy_service.calls[1:] == [
        ("drain", "books-ms", both, 4.5, 5.0),
        ("drain", "books-ms", both, 4.5, 0),
        ("resume", "books-ms", both),
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "says"),
    [
        ("PUT", "/v1/routes/books%20ms", BOOKS, "service 'books ms'"),
        ("PUT", "/v1/routes/books%0Ams", BOOKS, "service 'books\\nms'"),
        ("PUT", "/v1/routes/" + "b" * 10_000, BOOKS, "service 'bbb"),
        ("PUT", "/v1/routes/books-ms", {}, "neither a path nor a domain"),
        ("PUT", "/v1/routes/books-ms", {"paths": ["/a b"]}, "paths '/a b'"),
        ("PUT", "/v1/routes/books-ms", {"paths": "/a"}, "must be a list"),
        ("PUT", "/v1/routes/books-ms", {"path": ["/a"]}, "unknown fields: path"),
        ("PUT", "/v1/routes/books-ms", {**BOOKS, "service": "other"}, "not the URL's"),
        ("PUT", "/v1/routes/books-ms", [], "not a JSON object"),
        ("PUT", "/v1/routes/books-ms?dryRun=maybe", BOOKS, "dryRun 'maybe'"),
        ("PUT", "/v1/routes/books-ms?wait=1e9", BOOKS, "wait '1e9'"),
        ("POST", "/v1/routes/books-ms/drain", {}, "addresses is missing"),
        ("POST", "/v1/routes/books-ms/drain", {"addresses": ["10.0.0.1"]}, "addresses '10.0.0.1'"),
        ("POST", "/v1/routes/books-ms/drain", {"addresses": ["a:1"], "timeout": "1"}, "timeout '1'"),
        ("POST", "/v1/routes/books-ms/drain", {"addresses": ["a:1"], "timeout": -1}, "timeout -1"),
        ("POST", "/v1/routes/books-ms/resume", {"addresses": []}, "addresses is missing"),
    ],
)
async def test_bad_input_is_a_400_that_names_it(call, proxy_service, method: str, path: str, body, says: str) -> None:
    status, answer = await call(method, path, json=body)
    assert status == 400
    assert says in answer["error"]["message"]
    assert proxy_service.calls == []


async def test_what_is_not_json_is_a_400(call) -> None:
    status, answer = await call("PUT", "/v1/routes/books-ms", data=b"{")
    assert (status, answer["error"]["message"].split(":")[0]) == (400, "the request's body is not JSON")
    assert (await call("PUT", "/v1/routes/books-ms", data=b"[" * 100_000))[0] == 400


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "GZIP, br"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/v1/routes/books-ms"), ("POST", "/v1/routes/books-ms/drain"), ("POST", f"{PREFIX}/reconfigure")],
)
async def test_an_encoded_body_is_a_400_that_says_so(call, method: str, path: str, encoding: str) -> None:
    headers = {"Content-Encoding": encoding, "Content-Type": "application/x-www-form-urlencoded"}
    status, answer = await call(method, path, data=b"{}", headers=headers)
    assert (status, answer["error"]["message"]) == (400, f"Content-Encoding {encoding!r} is not taken")


@pytest.mark.parametrize(
    ("failure", "status", "dfp_status"),
    [
        (UsageError("HAProxy refuses it", "look"), 400, 400),
        (NotRoutedError("no such route", "look"), 404, 500),
        (ConflictError("users-ms holds /api", "look"), 409, 409),
        (ProxyError("HAProxy could not be reloaded", "look"), 503, 500),
        (RegistryError("the registry does not answer", "look"), 503, 500),
    ],
)
async def test_each_failure_has_its_status_and_its_words(call, proxy_service, failure, status, dfp_status) -> None:
    proxy_service.failure = failure
    said = {"error": {"message": failure.message, "hint": "look"}}
    assert await call("PUT", "/v1/routes/unknown-ms?wait=0", json=BOOKS) == (status, said)
    proxy_service.failure = failure
    got, answer = await call("GET", f"{PREFIX}/reconfigure?serviceName=unknown-ms&servicePath=/a&wait=0")
    assert (got, answer["Status"], answer["Message"]) == (dfp_status, "NOK", f"{failure.message}; look")


async def test_a_bug_is_a_500_that_tells_no_more_than_its_kind(call, proxy_service, caplog) -> None:
    proxy_service.failure = KeyError("s3cret")
    status, answer = await call("PUT", "/v1/routes/books-ms", json=BOOKS)
    assert (status, answer["error"]["message"]) == (500, "a bug in the daemon: KeyError")
    assert "KeyError" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "form", "action"),
    [
        ("PUT", "/v1/routes/books-ms", "", "put route books-ms"),
        ("POST", "/v1/docker-flow-proxy/reconfigure", "application/x-www-form-urlencoded", "reconfigure"),
    ],
)
async def test_who_is_gone_before_the_body_is_there_is_no_bug(
    call, caplog, wait_until, method: str, path: str, form: str, action: str
) -> None:
    async def body():
        yield b"{"
        raise OSError("gone")

    with caplog.at_level(logging.INFO), pytest.raises((aiohttp.ClientError, OSError)):
        await call(method, path, data=body(), headers={"Content-Type": form or "text/plain"})
    with caplog.at_level(logging.INFO):
        await wait_until(lambda: f": {action}" in caplog.text)
    assert "Traceback" not in caplog.text
    assert ": 500 " not in caplog.text


@pytest.mark.parametrize("path", ["/v1", "/v1/routes/a/b/c", "/v1/docker-flow-proxy", "/v1/docker-flow-proxy/certs"])
async def test_what_is_not_there_is_a_404_in_json(call, path: str) -> None:
    status, answer = await call("GET", path)
    assert (status, "Not Found" in answer["error"]["message"]) == (404, True)


async def test_limits_answer_in_json_too(call) -> None:
    status, answer = await call("PUT", "/v1/routes/books-ms", data=b" " * (app.MAX_BODY + 1))
    assert (status, "error" in answer) == (413, True)
    assert (await call("PATCH", "/v1/routes/books-ms"))[0] == 405
    assert (await call("HEAD", ARTICLE))[0] == 405


# Who may.


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/routes/a"),
        ("DELETE", "/v1/routes/a"),
        ("POST", "/v1/routes/a/drain"),
        ("POST", "/v1/routes/a/resume"),
        ("GET", ARTICLE),
        ("POST", ARTICLE),
        ("GET", f"{PREFIX}/remove?serviceName=a"),
        ("GET", f"{PREFIX}/reload/"),
        ("GET", f"{PREFIX}/config"),
    ],
)
async def test_with_a_token_whatever_changes_or_tells_needs_it(call, proxy_service, method: str, path: str) -> None:
    status, answer = await call(method, path, token="s3cret")
    assert (status, answer["error"]["message"]) == (401, "a token is needed")
    wrong = {"Authorization": "Bearer wrong"}
    assert (await call(method, path, token="s3cret", headers=wrong))[1]["error"]["message"] == "wrong token"
    assert proxy_service.calls == []
    page = {"Origin": "https://evil.example"}
    assert (await call(method, path, headers=page))[0] == 403
    assert proxy_service.calls == []


async def test_the_token_opens_and_only_it_shows_the_probe_key(call) -> None:
    right = {"Authorization": "Bearer s3cret"}
    status, put = await call("PUT", "/v1/routes/books-ms", token="s3cret", headers=right, json=BOOKS)
    assert (status, put["probe"]["key"]) == (200, "the-probe-key")
    for path in ("/v1/routes/books-ms", "/v1/routes", "/v1/state", "/v1/events"):
        assert (await call("GET", path, token="s3cret"))[0] == 401
    for path in ("/v1/routes", "/v1/state", f"{PREFIX}/config"):
        status, text = await call("GET", path, token="s3cret", headers=right)
        assert (status, "the-probe-key" in str(text)) == (200, False)
    for path in ("/metrics", "/healthz", "/readyz", "/", f"{PREFIX}/ping", "/v1/openapi.json"):
        status, text = await call("GET", path, token="s3cret")
        assert (status, "the-probe-key" in str(text)) == (200, False)


# Health.


async def test_health_is_503_with_the_reason_while_nothing_serves(call, proxy_service) -> None:
    status, answer = await call("GET", "/healthz")
    assert (status, answer["status"], answer["version"]) == (200, "serving", 7)
    proxy_service.proxy = ProxyState(7, serving=True, routes=(), registry_lost_since=1000.0)
    status, answer = await call("GET", "/healthz")
    assert (status, answer["registry"]) == (200, {"up": False, "lost_since": 1000.0})
    proxy_service.proxy = ProxyState(7, serving=False, routes=(), problem="HAProxy ended with code 1")
    status, answer = await call("GET", "/healthz")
    assert (status, answer["error"]["message"]) == (503, "HAProxy ended with code 1")


async def test_ready_is_503_with_the_reason_while_a_part_does_not_run(call, proxy_service) -> None:
    assert (await call("GET", "/readyz"))[0] == 200
    proxy_service.proxy = ProxyState(7, serving=True, routes=(), problem="the watch of routes died", complete=False)
    status, answer = await call("GET", "/readyz")
    assert (status, answer["error"]["message"]) == (503, "the watch of routes died")
    assert (await call("GET", "/healthz"))[0] == 200, "users are served"
    proxy_service.proxy = ProxyState(7, serving=False, routes=(), problem="HAProxy ended with code 1")
    assert (await call("GET", "/readyz"))[0] == 503

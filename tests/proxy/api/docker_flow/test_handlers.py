"""Docker Flow: Proxy's calls over HTTP: the article's lines, the original's shapes and statuses."""

from __future__ import annotations

import asyncio

import pytest

from jenkins_proxy.errors import ProxyError, UsageError
from jenkins_proxy.model import Route
from tests.proxy.api.conftest import ARTICLE, PREFIX


async def test_dry_runs_of_docker_flow_calls_change_nothing(call, proxy_service) -> None:
    status, answer = await call("GET", f"{ARTICLE}&dryRun=true")
    assert (status, answer["Status"], answer["Message"]) == (200, "OK", "dry run, nothing was changed: + a line")
    assert proxy_service.routes == {}
    absent = await call("GET", f"{PREFIX}/remove?serviceName=books-ms&dryRun=true")
    assert (absent[0], absent[1]["Message"]) == (200, "there was no such route")
    await call("GET", ARTICLE)
    status, answer = await call("GET", f"{PREFIX}/remove?serviceName=books-ms&dryRun=true")
    assert (status, answer["Message"]) == (200, "dry run, nothing was changed: - a line")
    assert list(proxy_service.routes) == ["books-ms"]


async def test_a_docker_flow_call_that_fails_is_repeated_in_the_answer(call, proxy_service) -> None:
    proxy_service.failure = UsageError("HAProxy refuses it")
    status, answer = await call("GET", ARTICLE)
    assert (status, answer["Status"], answer["ServiceName"]) == (400, "NOK", "books-ms")
    assert answer["ServiceDest"][0]["Path"] == ["/api/v1/books"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", [ARTICLE, ARTICLE.replace("?", "/?")])
async def test_the_articles_call(call, proxy_service, method: str, path: str) -> None:
    status, answer = await call(method, path)
    assert (status, answer["Status"], answer["ServiceName"]) == (200, "OK", "books-ms")
    assert proxy_service.routes["books-ms"].route == Route("books-ms", ("/api/v1/books",))


async def test_a_form_is_as_good_as_a_query(call, proxy_service) -> None:
    form = {"serviceName": "books-ms", "servicePath": "/api/v1/books", "color": "red"}
    status, answer = await call("POST", f"{PREFIX}/reconfigure", data=form)
    assert (status, answer["Message"]) == (200, "ignored, as it means nothing here: color")
    assert list(proxy_service.routes) == ["books-ms"]


async def test_bad_parameters_are_a_400_in_the_original_shape(call, proxy_service) -> None:
    status, answer = await call("GET", f"{PREFIX}/reconfigure?serviceName=books-ms")
    assert (status, answer["Status"]) == (400, "NOK")
    assert answer["Message"].startswith("The following queries are mandatory: ")
    status, answer = await call("GET", f"{PREFIX}/reconfigure?serviceName=b&servicePath=/{'a' * 10_000}")
    assert (status, "10001 characters" in answer["Message"]) == (400, True)
    status, answer = await call("GET", f"{PREFIX}/reconfigure?serviceName=b&servicePath=/a&users=a%20u:s3cret")
    assert (status, "s3cret" in str(answer)) == (400, False)
    status, answer = await call("GET", f"{PREFIX}/reconfigure?serviceName=b&servicePath=/a&usersSecret=../etc")
    assert (status, answer["Message"].startswith("usersSecret '../etc' is not allowed")) == (400, True)
    status, answer = await call("GET", f"{PREFIX}/reconfigure?serviceName=b&servicePath=/a&usersSecret=absent")
    assert answer["Message"].endswith("dfp_users_absent cannot be read: no such file or directory")
    assert proxy_service.calls == []


async def test_a_password_is_told_to_nobody_and_its_hash_to_who_has_the_token(call, proxy_service) -> None:
    auth = {"Authorization": "Bearer the-token"}
    users = {"users": "ann:s3cret"}
    status, answer = await call("POST", ARTICLE, token="the-token", headers=auth, data=users)
    assert (status, answer["Users"]) == (200, None)
    (stored,) = proxy_service.routes["books-ms"].route.users
    assert stored.startswith("ann:$6$")
    answers = [
        await call("GET", path, token="the-token", headers=headers)
        for headers in (auth, {})
        for path in ("/v1/routes/books-ms", "/v1/routes", "/v1/state")
    ]
    assert [stored in str(found) for _status, found in answers] == [True, False, False, False, False, False]
    assert [status for status, _found in answers] == [200, 200, 200, 401, 401, 401]
    assert all("s3cret" not in str(found) for _status, found in answers)
    assert "ann:<hidden>" in str(answers[2])


async def test_several_destinations_come_and_go_together(call, proxy_service) -> None:
    two = f"{PREFIX}/reconfigure?serviceName=foo&servicePath=/&port.1=80&port.2=81&userAgent.2=x&wait=0"
    status, answer = await call("GET", two)
    assert (status, answer["ServiceName"], list(proxy_service.routes)) == (200, "foo", ["foo-80", "foo-81"])
    # Another destination in place of one.
    await call("GET", two.replace("port.2=81", "port.2=82"))
    assert list(proxy_service.routes) == ["foo-80", "foo-82"]
    # What fails at the second leaves the first as it was.
    before = dict(proxy_service.routes)
    proxy_service.failing = "foo-83"
    status, answer = await call("GET", two.replace("port.2=81", "port.2=83").replace("servicePath=/", "servicePath=/b"))
    assert (status, {name: own.route for name, own in proxy_service.routes.items()}) == (
        409,
        {name: own.route for name, own in before.items()},
    )
    await call("GET", f"{PREFIX}/remove?serviceName=foo")
    assert list(proxy_service.routes) == []


async def test_what_a_call_for_the_same_service_takes_the_place_of_is_no_conflict(call, proxy_service) -> None:
    def paths() -> dict[str, tuple[str, ...]]:
        return {name: own.route.paths for name, own in sorted(proxy_service.routes.items())}

    async def set_routes(parameters: str) -> int:
        return (await call("GET", f"{PREFIX}/reconfigure?serviceName=foo&{parameters}&wait=0"))[0]

    two = "servicePath.1=/a&port.1=80&servicePath.2=/b&port.2=81"
    assert await set_routes("servicePath=/a,/b") == 200
    for parameters, expected in (
        (two, {"foo-80": ("/a",), "foo-81": ("/b",)}),
        (two.replace("/a", "/c").replace("/b", "/a"), {"foo-80": ("/c",), "foo-81": ("/a",)}),
        (two.replace("/a", "/x").replace("/b", "/c"), {"foo-80": ("/x",), "foo-81": ("/c",)}),
        (two.replace("port.1=80", "port.1=90"), {"foo-81": ("/b",), "foo-90": ("/a",)}),
        ("servicePath=/b", {"foo": ("/b",)}),
    ):
        assert await set_routes(parameters + "&dryRun=true") == 200
        assert await set_routes(parameters) == 200
        assert paths() == expected
    # But its destinations among themselves have to differ.
    assert await set_routes(two.replace("/b", "/a")) == 409
    assert paths() == {"foo": ("/b",)}


async def test_of_calls_for_one_service_at_once_one_is_the_last(call, proxy_service) -> None:
    two = "servicePath.1=/a&port.1=80&servicePath.2=/b&port.2=81"
    other, moved = two.replace("port.2=81", "port.2=90"), two.replace("/b", "/c").replace("/a", "/b")
    assert (await call("GET", f"{PREFIX}/ping"))[0] == 200  # the daemon is there, before there are many calls
    for _ in range(10):
        forms = (two, other, moved, "servicePath=/a,/b")
        await asyncio.gather(*(call("GET", f"{PREFIX}/reconfigure?serviceName=foo&{form}&wait=0") for form in forms))
        assert set(proxy_service.routes) in ({"foo-80", "foo-81"}, {"foo-80", "foo-90"}, {"foo"})


async def test_what_others_lost_to_a_call_that_failed_is_theirs_again(call, proxy_service) -> None:
    for other, own in (("whole", "/a"), ("part", "/b,/z"), ("free", "/f")):
        await call("GET", f"{PREFIX}/reconfigure?serviceName={other}&servicePath={own}&wait=0")
    before = {name: own.route for name, own in proxy_service.routes.items()}
    proxy_service.failing = "foo-82"
    two = "servicePath.1=/a,/b&port.1=81&servicePath.2=/c&port.2=82&takeOver=true&wait=0"
    assert (await call("GET", f"{PREFIX}/reconfigure?serviceName=foo&{two}"))[0] == 409
    assert {name: own.route for name, own in proxy_service.routes.items()} == before
    proxy_service.failing = ""
    assert (await call("GET", f"{PREFIX}/reconfigure?serviceName=foo&{two}"))[0] == 200
    assert sorted(proxy_service.routes) == ["foo-81", "foo-82", "free", "part"]


async def test_remove_answers_200_as_ever(call) -> None:
    await call("GET", ARTICLE)
    status, answer = await call("GET", f"{PREFIX}/remove?serviceName=books-ms")
    assert (status, answer["Status"], answer["Message"], answer["ServiceName"]) == (200, "OK", "", "books-ms")
    status, answer = await call("GET", f"{PREFIX}/remove?serviceName=books-ms")
    assert (status, answer["Message"]) == (200, "there was no such route")
    status, answer = await call("GET", f"{PREFIX}/remove")
    assert (status, answer["Message"]) == (400, "The serviceName query is mandatory")


async def test_reload_ping_and_test(call, proxy_service) -> None:
    assert await call("GET", f"{PREFIX}/reload") == (200, "")
    assert proxy_service.calls == [("reload",)]
    proxy_service.failure = ProxyError("HAProxy refuses")
    assert (await call("GET", f"{PREFIX}/reload"))[0] == 500
    for path in (f"{PREFIX}/ping", "/v1/test", "/v2/test", "/v1/test/"):
        status, answer = await call("GET", path)
        assert (status, answer["Status"]) == (200, "OK")


async def test_the_configuration_is_shown_without_the_probe_key(call) -> None:
    status, text = await call("GET", f"{PREFIX}/config")
    assert status == 200
    assert "backend books-ms-be" in text
    assert "the-probe-key" not in text
    assert "<hidden>" in text
    assert "    user ann password <hidden>\n" in text and "$6$" not in text

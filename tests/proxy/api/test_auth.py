"""Who may do what: tokens, host names and web pages, as a table."""

from __future__ import annotations

import socket

import pytest
from aiohttp.test_utils import make_mocked_request

from jenkins_proxy.proxy.api.auth import AccessDenied, Authenticator

BROWSER = "Mozilla/5.0 (X11; Linux x86_64)"
RECONFIGURE = "/v1/docker-flow-proxy/reconfigure"


def request(host: str = "127.0.0.1:8081", method: str = "GET", **headers: str):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request(method, RECONFIGURE, headers={"Host": host, **named})


def denial(authenticator: Authenticator, *arguments, guarded: bool = True, **headers: str) -> AccessDenied:
    with pytest.raises(AccessDenied) as caught:
        authenticator.check(request(*arguments, **headers), guarded)
    return caught.value


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Bearer wrong", "s3cret", "Bearer s3cret ", "Basic s3cret", "Bearer s3cré"]
)
def test_a_token_is_asked_for_where_something_changes(given: str) -> None:
    authenticator = Authenticator("s3cret")
    refused = denial(authenticator, Authorization=given)
    assert refused.status == 401
    assert "JENKINS_PROXY_TOKEN" in refused.hint
    assert "s3cr" not in refused.message + refused.hint.replace("s3cret", "")
    authenticator.check(request(Authorization=given), guarded=False)
    assert not authenticator.trusts(request(Authorization=given)), "reading is open, but without secrets"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_the_right_token_opens_everything_from_everywhere(scheme: str) -> None:
    authenticator = Authenticator("s3cret")
    right = request("proxy.example.com", Authorization=f"{scheme} s3cret", Origin="http://evil.example")
    authenticator.check(right, guarded=True)
    assert authenticator.trusts(right)


def test_the_token_may_be_a_password_but_not_for_a_page() -> None:
    authenticator, login = Authenticator("s3cret"), "Basic bGlzdGVuZXI6czNjcmV0"
    authenticator.check(request("proxy.example.com", Authorization=login), guarded=True)
    assert denial(authenticator, Authorization=login, Origin="http://evil.example").status == 401


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8081",
        "[::1]:8081",
        "localhost:8081",
        "localhost",
        "proxy:8081",
        "consul",
        "10.0.0.1:8081",
        socket.gethostname() + ":8081",
        "known.example.com:8081",
        "KNOWN.example.com",
    ],
)
def test_without_a_token_the_articles_names_work(host: str) -> None:
    Authenticator("", ["Known.example.com"]).check(request(host, User_Agent="curl/7.88.1"), guarded=True)


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize(
    "host",
    ["evil.example.com:8081", "evil.example.com", "127.0.0.1.evil.example", "known.example.com.evil.example:80"],
)
def test_a_name_that_someone_else_may_own_is_refused_even_to_readers(host: str, guarded: bool) -> None:
    refused = denial(Authenticator("", ["known.example.com"]), host, guarded=guarded)
    assert refused.status == 403
    assert "--allow-host" in refused.hint


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("PUT", {"Origin": "https://evil.example"}),
        ("POST", {"Origin": "null"}),
        ("POST", {"Origin": "http://127.0.0.1:9999"}),
        ("POST", {"Sec_Fetch_Site": "cross-site"}),
        ("GET", {"Sec_Fetch_Site": "same-site"}),
        ("GET", {"User_Agent": BROWSER}),
        ("GET", {"User_Agent": BROWSER, "Sec_Fetch_Site": "none"}),
    ],
)
def test_a_web_page_changes_nothing_but_is_read(method: str, headers: dict) -> None:
    authenticator = Authenticator("")
    assert denial(authenticator, "127.0.0.1:8081", method, **headers).status == 403
    authenticator.check(request("127.0.0.1:8081", method, **headers), guarded=False)
    assert not authenticator.trusts(request("127.0.0.1:8081", method, **headers))


def test_our_own_page_may() -> None:
    own = {"Origin": "http://proxy:8081", "User_Agent": BROWSER, "Sec_Fetch_Site": "same-origin"}
    Authenticator("").check(request("proxy:8081", "POST", **own), guarded=True)

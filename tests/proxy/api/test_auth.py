"""Who may do what: tokens, host names and web pages, as a table."""

from __future__ import annotations

import socket

import pytest
from aiohttp.test_utils import make_mocked_request

from jenkins_proxy.proxy.access.callers import Caller, Role
from jenkins_proxy.proxy.access.tokens import Token, Tokens, change_token
from jenkins_proxy.proxy.api.auth import AccessDenied, Authenticator, Guard

BROWSER = "Mozilla/5.0 (X11; Linux x86_64)"
CHANGES, READS, SHOWS = Guard(Role.CHANGE), Guard(Role.READ, pages=True), Guard(Role.READ)
RECONFIGURE = "/v1/docker-flow-proxy/reconfigure"


def request(host: str = "127.0.0.1:8081", method: str = "GET", **headers: str):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request(method, RECONFIGURE, headers={"Host": host, **named})


def denial(authenticator: Authenticator, *arguments, guard: Guard | None = CHANGES, **headers: str) -> AccessDenied:
    with pytest.raises(AccessDenied) as caught:
        authenticator.check(request(*arguments, **headers), guard)
    return caught.value


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Bearer wrong", "s3cret", "Bearer s3cret ", "Basic s3cret", "Bearer s3cré"]
)
def test_a_token_is_asked_for_where_something_changes(given: str) -> None:
    authenticator = Authenticator(Tokens(change_token("s3cret")))
    refused = denial(authenticator, Authorization=given)
    assert refused.status == 401
    assert "JENKINS_PROXY_TOKEN" in refused.hint
    assert "s3cr" not in refused.message + refused.hint.replace("s3cret", "")
    assert denial(authenticator, guard=READS, Authorization=given).status == 401
    authenticator.check(request(Authorization=given), None)
    assert not authenticator.trusts(request(Authorization=given)), "what is open has no secrets"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_the_right_token_opens_everything_from_everywhere(scheme: str) -> None:
    authenticator = Authenticator(Tokens(change_token("s3cret")))
    right = request("proxy.example.com", Authorization=f"{scheme} s3cret", Origin="http://evil.example")
    authenticator.check(right, CHANGES)
    assert authenticator.trusts(right)


def test_the_token_may_be_a_password_but_not_for_a_page() -> None:
    authenticator, login = Authenticator(Tokens(change_token("s3cret"))), "Basic bGlzdGVuZXI6czNjcmV0"
    authenticator.check(request("proxy.example.com", Authorization=login), CHANGES)
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
    Authenticator(Tokens(), ["Known.example.com"]).check(request(host, User_Agent="curl/7.88.1"), CHANGES)


@pytest.mark.parametrize("guard", [CHANGES, READS, SHOWS, None])
@pytest.mark.parametrize(
    "host",
    ["evil.example.com:8081", "evil.example.com", "127.0.0.1.evil.example", "known.example.com.evil.example:80"],
)
def test_a_name_that_someone_else_may_own_is_refused_even_to_readers(host: str, guard: Guard | None) -> None:
    refused = denial(Authenticator(Tokens(), ["known.example.com"]), host, guard=guard)
    assert refused.status == 403
    assert "--allow-host" in refused.hint


@pytest.mark.parametrize("guard", [CHANGES, READS, None])
def test_on_loopback_such_a_name_is_refused_with_a_token_too_unless_the_caller_bears_it(guard: Guard | None) -> None:
    tokens, evil = Tokens(change_token("s3cret")), "evil.example.com:8081"
    refused = denial(Authenticator(tokens), evil, guard=guard)
    assert (refused.status, "unknown host name" in refused.message) == (403, True)
    Authenticator(tokens).check(request(evil, Authorization="Bearer s3cret"), guard)
    # Beyond loopback a network may call the daemon by any name, and the token is what counts.
    Authenticator(tokens, loopback=False).check(request(evil), None)


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
    authenticator = Authenticator(Tokens())
    assert denial(authenticator, "127.0.0.1:8081", method, **headers).status == 403
    authenticator.check(request("127.0.0.1:8081", method, **headers), READS)
    authenticator.check(request("127.0.0.1:8081", method, **headers), None)
    assert denial(authenticator, "127.0.0.1:8081", method, guard=SHOWS, **headers).status == 403
    assert not authenticator.trusts(request("127.0.0.1:8081", method, **headers))


def test_our_own_page_may() -> None:
    own = {"Origin": "http://proxy:8081", "User_Agent": BROWSER, "Sec_Fetch_Site": "same-origin"}
    Authenticator(Tokens()).check(request("proxy:8081", "POST", **own), CHANGES)


TOKENS = (
    Token(Role.READ, "reader", "dashboard"),
    Token(Role.CHANGE, "changer", "ci"),
    Token(Role.CHANGE, "changer-next", "ci"),
)


@pytest.mark.parametrize(
    ("token", "guard", "status"),
    [
        ("reader", None, 200),
        ("reader", READS, 200),
        ("reader", SHOWS, 200),
        ("reader", CHANGES, 403),
        ("changer", READS, 200),
        ("changer", CHANGES, 200),
        ("changer-next", CHANGES, 200),
        ("change", READS, 401),
        ("", READS, 401),
        ("", SHOWS, 401),
        ("", None, 200),
    ],
)
def test_a_role_is_enough_or_not(token: str, guard: Guard | None, status: int) -> None:
    authenticator = Authenticator(Tokens(TOKENS))
    asked = request(Authorization=f"Bearer {token}") if token else request()
    if status == 200:
        authenticator.check(asked, guard)
        return
    with pytest.raises(AccessDenied) as caught:
        authenticator.check(asked, guard)
    assert caught.value.status == status
    assert "reader" not in caught.value.message
    if status == 403:
        assert caught.value.message == "the token 'dashboard' may only read, and this call changes something"


def test_secrets_are_for_those_who_may_change() -> None:
    authenticator = Authenticator(Tokens(TOKENS))
    assert not authenticator.trusts(request(Authorization="Bearer reader"))
    assert not authenticator.knows(request(Authorization="Bearer reader"))
    assert authenticator.trusts(request(Authorization="Bearer changer"))
    assert authenticator.caller(request(Authorization="Bearer changer-next")).name == "ci"


@pytest.mark.parametrize(
    ("tokens", "given", "expected"),
    [
        (Tokens(), "", Caller("", "", Role.CHANGE)),
        (Tokens(), "Bearer of-another-daemon", Caller("", "", Role.CHANGE)),
        (Tokens(change_token("s3cret")), "Bearer s3cret", Caller("JENKINS_PROXY_TOKEN", "token", Role.CHANGE)),
        (Tokens([Token(Role.READ, "s3cret", "page")]), "Bearer s3cret", Caller("page", "token", Role.READ)),
    ],
)
def test_a_caller_is_told_which_role_it_has(tokens, given, expected) -> None:
    assert Authenticator(tokens).access(request(Authorization=given)) == expected

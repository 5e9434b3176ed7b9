"""The grammars: what passes, what does not, and how the refusal reads."""

from __future__ import annotations

import pytest

from jenkins_proxy import validation
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Address
from tests.fixtures.poison import POISON


def poisoned(**more: str):
    return [pytest.param(value, id=name) for name, value in {**POISON, **more}.items()]


def fails(check, *arguments) -> str:
    with pytest.raises(UsageError) as caught:
        check(*arguments)
    return caught.value.message


@pytest.mark.parametrize("path", poisoned(relative="api/v1", query="/a?b=c", listed="/a,/b"))
def test_a_poisoned_path_is_refused_in_one_short_line(path: str) -> None:
    message = fails(validation.check_path, path, "path_beg", "servicePath")
    assert message.startswith("servicePath ")
    assert "must be" in message
    assert message.isprintable()
    assert len(message) < 320


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/books", "/a.b/c-d_e~f", "/v1;p=1", "/@me", "/a%20b", "/b%C3%BCcher", "/..a/b.."]
)
def test_usual_paths_pass(path: str) -> None:
    assert validation.check_path(path) == path


@pytest.mark.parametrize("page", ["/", "/health", "/health?deep=1&db=%20"])
def test_pages_with_and_without_a_query_pass(page: str) -> None:
    assert validation.check_page(page, "checkPath") == page


@pytest.mark.parametrize("name", ["books-ms", "books_ms", "nginx-80", "Books.v2", "7"])
def test_names_that_registrator_makes_pass(name: str) -> None:
    assert validation.check_service(name) == name


@pytest.mark.parametrize("name", [*POISON.values(), "-f", ".hidden", "a/b", "a:b", "x@sha256", "a" * 129])
def test_other_names_are_refused(name: str) -> None:
    assert fails(validation.check_service, name, "serviceName").startswith("serviceName ")


@pytest.mark.parametrize(
    "domain", ["example.com", "*.example.com", "localhost", "a_b.example", "Example.COM", "10.0.0.1"]
)
def test_usual_domains_pass(domain: str) -> None:
    assert validation.check_domain(domain) == domain


@pytest.mark.parametrize(
    "domain",
    ["*", "*example.com", "a.*.com", "example.com:80", "-a.com", "a..b", ".com", "a" * 64 + ".com", "a." * 130 + "com"],
)
def test_what_is_no_host_name_is_refused(domain: str) -> None:
    assert "example.com" in fails(validation.check_domain, domain, "--domain")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1:80", Address("10.0.0.1", 80)),
        ("example.com:65535", Address("example.com", 65535)),
        ("[::1]:8080", Address("::1", 8080)),
    ],
)
def test_an_address_is_read_as_it_is_written(text: str, address: Address) -> None:
    assert validation.parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    ["", "10.0.0.1", "10.0.0.1:", ":80", "a:0", "a:65536", "a:99999999", "a:8 0", "::1:80", "a:80\n", 80, None],
)
def test_what_is_no_address_is_refused(text: object) -> None:
    assert fails(validation.parse_address, text, "outboundHostname").startswith("outboundHostname ")


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        '{"a": Infinity}',
        "[-Infinity]",
        "1e400",
        "[-1e400]",
        "9" * 5000,
        "[" * 100_000,
        "",
        "{",
        b"\xff",
        b'"\xff"',
    ],
)
def test_json_has_no_number_that_is_none(text):
    with pytest.raises(ValueError):
        validation.parse_json(text)


@pytest.mark.parametrize(
    ("text", "value"), [("1.5", 1.5), (b'"\xc3\xbc"', "ü"), ('{"a": [1e3, null]}', {"a": [1000.0, None]})]
)
def test_json(text, value):
    assert validation.parse_json(text) == value

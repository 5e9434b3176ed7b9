"""Every value that could reach a config line, a map or a KV key meets a grammar: what passes, what does not, and how
the refusal reads."""

from __future__ import annotations

import dataclasses

import pytest

from jenkins_proxy import validation
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Address, Route

ROUTE = Route("books-ms", paths=("/api/v1/books",))

# What a config line, a map line, a template, a shell or a URL could take for more than a value.
POISON = {
    "empty": "",
    "space": "/a b",
    "newline": "/a\nbackend evil",
    "newline at the end": "/a\n",
    "carriage return": "/a\r",
    "tab": "/a\t",
    "null": "/a\0",
    "escape": "/a\x1b[2J",
    "next line": "/a\x85",
    "line separator": "/a\u2028",
    "no-break space": "/a\u00a0b",
    "double quote": '/a"',
    "single quote": "/a'",
    "backtick": "/a`id`",
    "backslash": "/a\\b",
    "comment": "/a#b",
    "encoded newline": "/a%0a",
    "encoded return": "/a%0D",
    "encoded null": "/a%00",
    "encoded slash": "/a%2fb",
    "encoded dots": "/a/%2e%2e/b",
    "half an encoding": "/a%",
    "template": "/a{{.UserList}}",
    "jinja block": "/a{% raw %}",
    "parent": "/a/../b",
    "parent at the end": "/a/..",
    "self": "/a/./b",
    "other letters": "/bücher",
    "surrogate": "/\ud800",
    "long": "/" + "a" * 10_000,
}


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


@pytest.mark.parametrize("value", [value for value in POISON.values() if value])
@pytest.mark.parametrize(
    "field",
    [
        "service",
        "color",
        "acl_name",
        "domains",
        "req_path_search",
        "req_path_replace",
        "outbound_hostname",
        "path_type",
    ],
)
def test_poison_is_refused_in_every_field_of_a_route(field: str, value: str) -> None:
    given = (value,) if field == "domains" else value
    route = dataclasses.replace(ROUTE, **{"req_path_search": "/a", field: given})
    if field.startswith("req_path") and value in ("/a/../b", "/a/..", "/a/./b"):
        validation.check_route(
            route
        )  # dots are the any-character of a regular expression, and harmless in what replaces
        return
    assert fails(validation.check_route, route).startswith(field)


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/books", "/a.b/c-d_e~f", "/v1;p=1", "/@me", "/a%20b", "/b%C3%BCcher", "/..a/b.."]
)
def test_usual_paths_pass(path: str) -> None:
    assert validation.check_path(path) == path


@pytest.mark.parametrize(
    ("path_type", "path"),
    [
        ("path_end", ".php"),
        ("path_dir", "v1"),
        ("path_sub", "api"),
        ("path_dom", "v1"),
        ("path", "/exact"),
        ("path_reg", "^/api/v[0-9]+/(books|films)$"),
        ("path_reg", "^/a[.]b{2}"),
    ],
)
def test_each_path_type_takes_its_own_form(path_type: str, path: str) -> None:
    validation.check_route(dataclasses.replace(ROUTE, path_type=path_type, paths=(path,)))


@pytest.mark.parametrize(
    ("path_type", "path", "says"),
    [
        ("path_beg", "v1", "begins with /"),
        ("path", "v1", "begins with /"),
        ("path_reg", "^/a(", "regular expression"),
        ("path_reg", "^/a{{1}}", "without {{"),
        ("path_reg", "^/a\\d", "regular expression"),
        ("path_len", "7", "path_beg"),
    ],
)
def test_what_a_path_type_cannot_compare_with_is_refused(path_type: str, path: str, says: str) -> None:
    assert says in fails(validation.check_route, dataclasses.replace(ROUTE, path_type=path_type, paths=(path,)))


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
    ("change", "says"),
    [
        ({"service": 7}, "service 7 is not allowed"),
        ({"paths": "/a"}, "a list"),
        ({"paths": (7,)}, "paths 7 is not allowed"),
        ({"paths": ()}, "neither a path nor a domain"),
        ({"paths": ("/a",) * 101}, "101 values"),
        ({"domains": None}, "a list"),
        ({"skip_check": "yes"}, "true or false"),
        ({"path_type": ["path_beg"]}, "path_beg, "),
        ({"req_path_replace": "/b"}, "without req_path_search"),
        ({"req_path_search": "["}, "regular expression"),
        ({"acl_name": None}, "acl_name None"),
        ({"slow_start": "5s"}, "slow_start '5s' is not allowed: it must be a number of seconds from 0 to 3600"),
        ({"slow_start": -1}, "slow_start -1"),
        ({"slow_start": True}, "slow_start True"),
        ({"slow_start": float("nan")}, "slow_start nan"),
    ],
)
def test_a_route_of_the_wrong_shape_is_refused(change: dict, says: str) -> None:
    assert says in fails(validation.check_route, dataclasses.replace(ROUTE, **change))


def test_a_full_route_passes() -> None:
    validation.check_route(
        Route(
            "books-ms",
            ("/a", "/b"),
            ("example.com",),
            "path_beg",
            "blue",
            "01-books",
            True,
            "/a",
            "/b",
            "[::1]:80",
            30.0,
        )
    )


def test_the_refusal_uses_the_callers_word_and_shortens_the_value() -> None:
    message = fails(
        validation.check_route, dataclasses.replace(ROUTE, paths=("/" + "a b" * 5_000,)), {"paths": "--path"}
    )
    assert message.startswith("--path '/a ba b")
    assert "... (15001 characters) is not allowed" in message

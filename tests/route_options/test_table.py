"""The table of a route's fields: each way in has it, and every value that could reach a configuration line, a map or a
KV key meets a grammar."""

from __future__ import annotations

import dataclasses

import pytest

from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.route_options import table
from jenkins_proxy.route_options.labels import with_labels as with_all_labels
from jenkins_proxy.route_options.option import Kind
from jenkins_proxy.route_options.table import OPTIONS
from tests.fixtures.poison import POISON
from tests.fixtures.route_values import SHA512

ROUTE = Route("books-ms", paths=("/api/v1/books",))
SECONDS = [option.name for option in OPTIONS if option.kind is Kind.SECONDS]


DOTS = ("/a/../b", "/a/..", "/a/./b")


def reads_dots(option) -> bool:
    """Dots are the any-character of a regular expression, and harmless in what replaces."""
    return option.name in ("req_path_search", "req_path_replace", "path_exclude")


def fails(check, *arguments) -> str:
    with pytest.raises(UsageError) as caught:
        check(*arguments)
    return caught.value.message


def test_every_field_of_a_route_is_in_the_table():
    assert [option.name for option in OPTIONS] == [field.name for field in dataclasses.fields(Route)]


@pytest.mark.parametrize("names", ["cli", "docker_flow", "docker_flow_answer", "groovy", "label"])
def test_no_name_means_two_fields(names):
    given = [name for option in OPTIONS if (name := getattr(option, names))]
    assert len(given) == len(set(given))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_a_default_is_of_its_kind_and_allowed(option):
    kinds = {Kind.TEXT: str, Kind.LIST: tuple, Kind.FLAG: bool, Kind.SECONDS: float}
    assert type(option.default) is kinds[option.kind]
    if option.name != "service":
        option.check(option.default, option.name)


def test_the_names_of_an_option_follow_from_the_command_lines():
    (option,) = [option for option in OPTIONS if option.name == "slow_start"]
    assert (option.cli, option.groovy, option.label) == ("--slow-start", "slowStart", "com.jenkins-proxy.slow-start")


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.name != "paths"], ids=lambda option: option.name)
def test_poison_is_refused_in_every_field_of_a_route(option) -> None:
    for value in filter(None, POISON.values()):
        given = (value,) if option.kind is Kind.LIST else value
        route = dataclasses.replace(ROUTE, **{"req_path_search": "/a", option.name: given})
        if reads_dots(option) and option.name != "path_exclude" and value in DOTS:
            table.check_route(route)
        else:
            assert fails(table.check_route, route).startswith(option.name)


@pytest.mark.parametrize("value", ["5s", "", -1, True, float("nan"), float("inf"), 1e9, None])
@pytest.mark.parametrize("name", SECONDS)
def test_what_is_no_number_of_seconds_is_refused(name, value):
    message = fails(table.check_route, dataclasses.replace(ROUTE, **{name: value}))
    assert message.startswith(f"{name} {value!r} is not allowed: it must be a number of seconds from 0 to ")


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
    table.check_route(dataclasses.replace(ROUTE, path_type=path_type, paths=(path,)))


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
    assert says in fails(table.check_route, dataclasses.replace(ROUTE, path_type=path_type, paths=(path,)))


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
        ({"check_path": "health"}, "check_path 'health' is not allowed: it must be a path that begins with /"),
        ({"check_path": "/a/../b"}, "check_path '/a/../b' is not allowed: it must be a path without the segments"),
        ({"check_path": "/a?"}, "check_path '' is not allowed"),
        ({"check_path": "/a?b=c d"}, "check_path 'b=c d' is not allowed"),
        ({"check_path": 1}, "check_path 1 is not allowed"),
        (
            {"allow_from": ("10.0.0.1/8",)},
            "allow_from '10.0.0.1/8' is not allowed: it must be the network's own address: 10",
        ),
        ({"allow_from": ("localhost",)}, "allow_from 'localhost' is not allowed: it must be a network such as"),
        ({"proto": "h3"}, "proto 'h3' is not allowed: it must be h2"),
        ({"allow_from": (7,)}, "allow_from 7 is not allowed"),
        ({"slow_start": "5s"}, "slow_start '5s' is not allowed: it must be a number of seconds from 0 to 3600"),
        ({"slow_start": -1}, "slow_start -1"),
        ({"slow_start": True}, "slow_start True"),
        ({"slow_start": float("nan")}, "slow_start nan"),
    ],
)
def test_a_route_of_the_wrong_shape_is_refused(change: dict, says: str) -> None:
    assert says in fails(table.check_route, dataclasses.replace(ROUTE, **change))


def test_a_full_route_passes() -> None:
    table.check_route(
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
    message = fails(table.check_route, dataclasses.replace(ROUTE, paths=("/" + "a b" * 5_000,)), {"paths": "--path"})
    assert message.startswith("--path '/a ba b")
    assert "... (15001 characters) is not allowed" in message


# Labels of the target in the compose file.


def with_labels(given=(), **labels: str) -> Route:
    names = {f"com.jenkins-proxy.{name.replace('_', '-')}": value for name, value in labels.items()}
    return with_all_labels(ROUTE, {"com.example.team": "books", **names}, given)


def test_labels_are_defaults():
    assert with_labels() == ROUTE
    assert with_labels(slow_start="1.5", path_type="path") == dataclasses.replace(
        ROUTE, slow_start=1.5, path_type="path"
    )


def test_what_an_argument_gives_wins_over_a_label_also_when_it_is_the_default():
    assert with_labels(("slow_start",), slow_start="1.5", path_type="path").slow_start == 0


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.labelled], ids=lambda option: option.name)
@pytest.mark.parametrize("given", [False, True])
def test_poison_in_a_label_is_refused_by_the_labels_name_also_where_an_argument_wins(option, given):
    fields = (option.name,) if given else ()
    for value in POISON.values():
        if reads_dots(option) and value in DOTS:
            with_all_labels(ROUTE, {option.label: value}, fields)
        else:
            message = fails(with_all_labels, ROUTE, {option.label: value}, fields)
            assert message.startswith(f"{option.label} {repr(value)[:20]}")


def test_labels_of_swarm_listener_are_defaults_below_our_own():
    labels = {
        "com.df.servicePath": "/df",
        "com.df.allowedMethods": "GET",
        "com.df.timeoutServer": "5",
        "com.df.notify": "true",
        "com.df.port": "8080",
        "com.df.serviceName": "another",
    }
    route = with_all_labels(Route("books-ms"), labels)
    assert route == Route("books-ms", ("/df",), allowed_methods=("GET",), timeout_server=5.0)
    route = with_all_labels(Route("books-ms"), {**labels, "com.jenkins-proxy.timeout-server": "6"})
    assert route.timeout_server == 6
    assert with_all_labels(ROUTE, labels, ("paths", "timeout_server")) == dataclasses.replace(
        ROUTE, allowed_methods=("GET",)
    )


def test_how_a_label_s_own_domains_match_is_not_how_those_of_an_argument_do():
    labels = {"com.df.serviceDomain": "*domain.com"}
    assert with_all_labels(Route("a"), labels) == Route("a", (), ("domain.com",), domain_algo="hdr_end(host)")
    given = Route("a", (), ("other.org",))
    assert with_all_labels(given, labels, ("domains",)) == given
    labels["com.df.serviceDomainAlgo"] = "hdr(host)"
    assert with_all_labels(given, labels, ("domains",)).domain_algo


@pytest.mark.parametrize(
    ("label", "value", "says"),
    [
        ("com.df.users", "ann:hunter2", "com.df.users ann: a password in clear"),
        ("com.df.usersSecret", "team", "com.df.usersSecret 'team': only the proxy"),
        ("com.df.allowedMethods", "get", "com.df.allowedMethods 'get' is not allowed"),
        ("com.df.backendExtra", "x", "com.df.backendExtra is not supported"),
        ("com.df.httpsOnly", "yes", "com.df.httpsOnly 'yes' is not allowed"),
    ],
)
def test_a_label_of_swarm_listener_that_is_not_allowed_is_refused_by_its_name(label, value, says):
    message = fails(with_all_labels, ROUTE, {label: value})
    assert message.startswith(says)
    assert "hunter2" not in message


HASH = SHA512.partition("$6$")[2]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"users": ("ann:hunter2",)}, "users 'ann': what follows its colon is not a password's hash"),
        ({"users": (f"ann:$1${HASH}",)}, "users 'ann': what"),
        ({"users": (f"ann:$6$rounds=99999${HASH}",)}, "users 'ann': 99999 rounds are too slow"),
        ({"users": (f"ann:{SHA512}", f"ann:{SHA512}")}, "users: ann is given twice"),
        (
            {"add_req_header": ("Content-Length 5",)},
            "add_req_header 'Content-Length 5' is not allowed: it must be another",
        ),
        ({"set_res_header": ("X-Jenkins-Proxy-Instance x",)}, "set_res_header "),
        ({"del_req_header": ("Transfer-Encoding",)}, "del_req_header "),
        ({"del_req_header": ("Host",)}, "del_req_header 'Host' is not allowed"),
        ({"add_req_header": ("X-A %[env(CONSUL_HTTP_TOKEN)]",)}, "add_req_header "),
        ({"add_req_header": ("X-A b if { src 10.0.0.1 }",)}, "add_req_header "),
        ({"add_req_header": ("X-A b\r\nX-B: c",)}, "add_req_header "),
        ({"service_header": ("X-Version",)}, "service_header "),
        ({"redirect_from_domain": ("a.org",)}, "redirect_from_domain 'a.org' has no other domain"),
        (
            {"redirect_from_domain": ("a.org",), "domains": ("A.org",)},
            "redirect_from_domain 'a.org' has no other domain",
        ),
        (
            {"redirect_from_domain": ("*.a.org",), "domains": ("b.org",)},
            "redirect_from_domain '*.a.org' is not allowed",
        ),
        ({"domain_algo": "hdr_reg(host)", "domains": ("(a+)+[.]org",)}, "domains '(a+)+[.]org' could take HAProxy too"),
        ({"domain_algo": "hdr_reg(host)", "domains": ("*.a.org",)}, "domains '*.a.org' is not a regular expression"),
        ({"domains": ("api.",)}, "domains 'api.' is not allowed: it must be a host name"),
        (
            {"domain_algo": "hdr(host)", "domains": (".a.org",)},
            "domains '.a.org' is not allowed: it must be a host",
        ),
        (
            {"domain_algo": "hdr_beg(host)", "domains": ("a..b",)},
            "domains 'a..b' is not allowed: it must be a part",
        ),
        ({"domain_algo": "hdr_len(host)"}, "domain_algo 'hdr_len(host)' is not allowed: it must be hdr(host), "),
        ({"session_type": "sticky"}, "session_type 'sticky' is not allowed: it must be sticky-server"),
        ({"req_path_search_replace": "/a"}, "req_path_search_replace '/a' is not allowed"),
        ({"req_path_search_replace": "(,/a"}, "req_path_search_replace '(' is not a regular expression"),
        ({"compression_type": ("text/*",)}, "compression_type 'text/*' is not allowed"),
    ],
)
def test_what_an_option_about_http_cannot_hold_is_refused(change, says):
    message = fails(table.check_route, dataclasses.replace(ROUTE, **change))
    assert message.startswith(says)
    assert "hunter2" not in message


@pytest.mark.parametrize("name", ["slow_started", "path", "color", ""])
def test_a_label_that_is_none_is_refused(name):
    with pytest.raises(UsageError, match="^unknown label") as refused:
        with_labels(**{name: "1"})
    assert "com.jenkins-proxy.slow-start" in refused.value.hint


def test_every_option_has_a_meaning_and_a_default_that_reads_as_it_is_typed():
    assert all(option.meaning for option in OPTIONS)
    texts = {option.name: option.default_text for option in OPTIONS}
    assert (texts["path_type"], texts["slow_start"], texts["skip_check"], texts["paths"]) == (
        "path_beg",
        "0",
        "false",
        "",
    )

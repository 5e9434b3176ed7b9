"""Docker Flow: Proxy's parameters and its answer, byte for byte where the project published one."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

import pytest

from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.proxy.api.docker_flow import params as docker_flow_params
from jenkins_proxy.route_options import docker_flow
from jenkins_proxy.route_options.query import Query
from tests.fixtures.route_values import SHA512

BOOKS = [("serviceName", "books-ms"), ("servicePath", "/api/v1/books")]


def parse(*pairs: tuple[str, str], base=BOOKS):
    return docker_flow_params.parse_reconfigure(Query([*base, *pairs]))


def fails(*pairs: tuple[str, str], base=BOOKS) -> str:
    with pytest.raises(UsageError) as caught:
        parse(*pairs, base=base)
    return caught.value.message


def test_the_articles_call_is_a_route() -> None:
    call = parse()
    assert call.routes[0] == Route("books-ms", ("/api/v1/books",))
    assert (call.wait, call.allow_empty, call.ignored) == (30.0, False, ())


def test_every_parameter_of_the_consul_era_that_can_be_honoured_is() -> None:
    call = parse(
        ("servicePath", "/b,/c"), ("servicePath.1", "/d"), ("servicePath.2", "/e,/f"), ("servicePath.4", "/gap"),
        ("serviceColor", "blue"), ("pathType", "path"), ("serviceDomain", "a.com,*.b.com"), ("skipCheck", "true"),
        ("aclName", "01-books"), ("reqPathSearch", "/a"), ("reqPathReplace", "/b"), ("distribute", "true"),
        ("allowEmpty", "1"), ("wait", "2.5"),
    )  # fmt: skip
    assert call.routes[0] == Route(
        "books-ms", ("/api/v1/books", "/b", "/c", "/d", "/e", "/f"), ("a.com", "*.b.com"), "path", "blue",
        "01-books", True, "/a", "/b",
    )  # fmt: skip
    assert (call.wait, call.allow_empty, call.ignored) == (2.5, True, ())


@pytest.mark.parametrize(
    ("pairs", "domains", "algo"),
    [
        ("reqMode=tcp&serviceDomain=a.org,b.org&serviceDomainAlgo=req.ssl_sni", ("a.org", "b.org"), "req.ssl_sni"),
        ("reqMode=sni&servicePath=a.org&pathType=req_ssl_sni -i", ("a.org",), "req.ssl_sni"),
        ("reqMode=sni&servicePath=a.org,b.org&pathType=req.ssl_sni -m str", ("a.org", "b.org"), "req.ssl_sni"),
        ("reqMode=sni&servicePath=.a.org&pathType=req_ssl_sni -i -m end", ("*.a.org",), ""),
        ("reqMode=sni&serviceDomain=a.org", ("a.org",), ""),
    ],
)
def test_a_name_in_tls_is_said_in_either_of_its_two_ways(pairs: str, domains: tuple[str, ...], algo: str) -> None:
    call = parse(*(pair.split("=", 1) for pair in pairs.split("&")), ("srcPort", "443"), base=[("serviceName", "api")])
    assert call.routes == (Route("api", (), domains, domain_algo=algo, src_port="443", req_mode="sni"),)


def test_a_user_of_all_services_needs_no_password() -> None:
    def users(*pairs: tuple[str, str]) -> tuple[str, ...]:
        shared = (f"ann:{SHA512}", "eve:$6$other")
        query = Query([*BOOKS, *pairs])
        return docker_flow_params.parse_reconfigure(query, lambda _name: "bob:secret", users=shared).routes[0].users

    assert users(("users", "ann")) == (f"ann:{SHA512}",)
    own = users(("users", "ann,eve:own"))
    assert own[0] == f"ann:{SHA512}" and own[1].startswith("eve:$6$") and own[1] != "eve:$6$other"
    with pytest.raises(UsageError, match="users ann: there is no password"):
        users(("users", "ann"), ("usersSecret", "team"))
    with pytest.raises(UsageError, match="users bob: there is no password"):
        users(("users", "bob"))


@pytest.mark.parametrize(
    "comparison", ["req_ssl_sni -i -m beg", "req_ssl_sni -i -m reg", "path_beg", "req_ssl_sni -m end"]
)
def test_a_comparison_of_names_that_is_not_ours_is_refused(comparison: str) -> None:
    pairs = (("reqMode", "sni"), ("servicePath", "api.org"), ("pathType", comparison), ("srcPort", "443"))
    assert fails(*pairs, base=[("serviceName", "api")]).startswith(
        f"pathType '{comparison}' is not allowed with reqMode sni"
    )


@pytest.mark.parametrize(
    ("pairs", "hostname"),
    [
        ([("outboundHostname", "example.com:8080")], "example.com:8080"),
        ([("outboundHostname", "example.com"), ("port", "8080")], "example.com:8080"),
    ],
)
def test_a_service_outside_has_a_port_beside_its_host_or_in_it(pairs, hostname: str) -> None:
    call = parse(*pairs)
    assert call.routes[0].outbound_hostname == hostname
    assert call.ignored == ()


def test_what_means_nothing_here_is_named() -> None:
    assert parse(("port", "8080"), ("mode", "swarm"), ("replicas", "3"), ("mode", "swarm")).ignored == (
        "port",
        "mode",
        "replicas",
    )


@pytest.mark.parametrize(
    "base", [[], BOOKS[:1], BOOKS[1:], [("serviceName", ""), BOOKS[1]], [BOOKS[0], ("servicePath", "")]]
)
def test_what_is_mandatory_is_missed_in_the_original_words(base) -> None:
    assert fails(base=base) == (
        "The following queries are mandatory: (serviceName and servicePath) or "
        "(serviceName, consulTemplateFePath, and consulTemplateBePath)"
    )


@pytest.mark.parametrize(
    ("parameters", "domains", "algo"),
    [
        ("*domain.com", ("domain.com",), "hdr_end(host)"),
        ("*domain.com,*other.org,b.org", ("domain.com", "other.org", "b.org"), "hdr_end(host)"),
        ("*domain.com&serviceDomainAlgo=hdr(host)", ("domain.com",), "hdr_end(host)"),
        ("*domain.com,*.a.org", ("domain.com", "*.a.org"), "hdr_end(host)"),
        ("*.a.org", ("*.a.org",), ""),
        ("*.a.org&serviceDomainAlgo=hdr(host)", ("*.a.org",), "hdr(host)"),
    ],
)
def test_a_domain_with_a_star_is_whatever_ends_so(parameters: str, domains: tuple[str, ...], algo: str) -> None:
    (route,) = parse(*parse_qsl(f"serviceDomain={parameters}"), base=BOOKS[:1]).routes
    assert route == Route("books-ms", (), domains, domain_algo=algo)
    (indexed,) = parse(*parse_qsl(f"serviceDomain.1={parameters}"), base=BOOKS[:1]).routes
    assert indexed == route


def test_a_domain_is_enough_as_in_the_final_version() -> None:
    assert parse(("serviceDomain", "a.com"), base=BOOKS[:1]).routes[0] == Route("books-ms", (), ("a.com",))


@pytest.mark.parametrize("name", sorted(docker_flow.REFUSED))
def test_what_cannot_be_honoured_safely_is_refused_with_a_reason(name: str) -> None:
    assert fails((name, "something")).startswith(f"{name} is not supported: ")
    assert fails((f"{name}.3", "something")).startswith(f"{name}.3 is not supported: ")
    assert parse((name, "")).ignored == ()


def test_passwords_are_hashed_and_the_same_call_is_the_same_route() -> None:
    calls = [parse(("users", "ann:secret, bob:other")).routes[0].users for _ in range(2)]
    assert calls[0] == calls[1]
    assert [user.split("$")[:2] for user in calls[0]] == [["ann:", "6"], ["bob:", "6"]]
    assert "secret" not in str(calls)
    # Another user and another service have another salt.
    assert len({user.split("$")[2] for user in calls[0]}) == 2
    assert parse(("users", f"ann:{SHA512}"), ("usersPassEncrypted", "true")).routes[0].users == (f"ann:{SHA512}",)


def test_users_of_a_secret() -> None:
    def secret(name: str) -> str:
        return {"team": f"ann:{SHA512}\nbob:{SHA512}\n\n"}[name]

    def users(*pairs: tuple[str, str]) -> tuple[str, ...]:
        query = Query([*BOOKS, ("usersSecret", "team"), ("usersPassEncrypted", "true"), *pairs])
        return docker_flow_params.parse_reconfigure(query, secret).routes[0].users

    assert users() == (f"ann:{SHA512}", f"bob:{SHA512}")
    assert users(("users", "bob")) == (f"bob:{SHA512}",)


def test_a_password_stands_in_no_error() -> None:
    for given in (("users", "ann:se\tcret"), ("users", "a b:secret"), ("users", "ann:" + "secret" * 50)):
        assert "cret" not in fails(given)
    assert "cret" not in fails(("users", "ann:secret"), ("usersPassEncrypted", "true"))
    assert fails(("users", "ann")).startswith("users ann: there is no password")


def test_destinations_that_differ_in_their_paths_are_one_route() -> None:
    pairs = [("port.1", "80"), ("servicePath.1", "/a"), ("servicePath.2", "/b,/a"), ("allowedMethods", "GET")]
    route = parse(*pairs, ("allowedMethods.1", "GET"), base=BOOKS[:1]).routes[0]
    assert (route.paths, route.allowed_methods) == (("/a", "/b"), ("GET",))


@pytest.mark.parametrize("pair", [("allowedMethods.1", "GET"), ("userAgent.2", "x"), ("users.1", "a:b")])
def test_what_only_some_destinations_restrict_is_not_passed_over(pair) -> None:
    pairs = [("servicePath.1", "/a"), ("port.1", "80"), ("servicePath.2", "/b")]
    message = fails(*pairs, pair, base=BOOKS[:1])
    assert message == f"destinations of books-ms differ in {pair[0][:-2]}, and not each has a port of its own"
    assert "not each has a port" in fails(*pairs, pair, ("port.2", "80"), base=BOOKS[:1])


def test_destinations_with_ports_of_their_own_are_services_of_their_own() -> None:
    call = parse(
        ("servicePath.1", "/demo"), ("port.1", "1111"), ("userAgent.1", "amiga"),
        ("servicePath.2", "/demo"), ("port.2", "2222"), ("srcPort.2", "8080"), ("port.4", "4444"),
        ("timeoutServer", "9"),
        base=BOOKS[:1],
    )  # fmt: skip
    common = {"paths": ("/demo",), "timeout_server": 9.0, "part_of": "books-ms"}
    assert call.routes == (
        Route("books-ms-1111", user_agent=("amiga",), **common),
        Route("books-ms-2222", src_port="8080", **common),
    )
    assert (call.service, call.ignored) == ("books-ms", ())
    assert call.echo["ServiceDest"] == [
        {"Port": "1111", "Path": ["/demo"], "SrcPort": 0},
        {"Port": "2222", "Path": ["/demo"], "SrcPort": 8080},
    ]


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        (("skipCheck", "yes"), "skipCheck 'yes'"),
        (("pathType", "path_beg if TRUE"), "pathType "),
        (("serviceColor", "blue\nbackend evil"), "serviceColor "),
        (("aclName", "../../etc"), "aclName "),
        (("serviceName", "other"), "serviceName is given 2 times"),
        (("servicePath", "/a%0a"), "servicePath '/a%0a'"),
        (("servicePath", "/a,,/b"), "servicePath ''"),
        (("wait", "-1"), "wait '-1'"), (("wait", "301"), "wait '301'"), (("wait", "nan"), "wait 'nan'"),
        (("wait", "soon"), "wait 'soon'"),
        (("outboundHostname", "example.com"), "outboundHostname 'example.com'"),
    ],
)  # fmt: skip
def test_what_does_not_meet_its_grammar_is_refused_by_its_name(pair, says: str) -> None:
    assert fails(pair).startswith(says)


def test_remove_misses_its_name_in_the_original_words() -> None:
    with pytest.raises(UsageError, match="^The serviceName query is mandatory$"):
        docker_flow_params.parse_remove(Query([]))
    assert docker_flow_params.parse_remove(Query(BOOKS[:1])) == "books-ms"


def test_the_answer_is_the_one_of_the_end_of_2016_with_defaults_not_filled_in() -> None:
    assert docker_flow_params.answer(echo=parse().echo) == (
        '{"Status":"OK","Message":"","ServiceName":"books-ms","AclName":"","ServiceColor":"","ServiceDomain":null,'
        '"ServiceCert":"","OutboundHostname":"","ConsulTemplateFePath":"","ConsulTemplateBePath":"","PathType":"",'
        '"SkipCheck":false,"Mode":"","HttpsPort":0,"Distribute":false,"Users":null,"ReqRepSearch":"","ReqRepReplace":"",'
        '"ReqPathSearch":"","ReqPathReplace":"","TemplateFePath":"","TemplateBePath":"",'
        '"ServiceDest":[{"Port":"","Path":["/api/v1/books"],"SrcPort":0}]}'
    )


def test_a_refusal_is_json_that_can_be_looked_at_in_a_browser() -> None:
    text = docker_flow_params.answer("<script>&", good=False)
    assert "<" not in text
    assert json.loads(text)["Message"] == "<script>&"
    assert json.loads(text)["Status"] == "NOK"

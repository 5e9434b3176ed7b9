"""Each option of a route, by every way in, becomes the same configuration; and HAProxy takes whatever is accepted."""

from __future__ import annotations

import argparse
import dataclasses
import json

import pytest

from jenkins_proxy.cli import reconfigure
from jenkins_proxy.cli.arguments import values
from jenkins_proxy.cli.jenkins_step import params as step_params
from jenkins_proxy.docker_flow_import import from_json
from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.api import bodies
from jenkins_proxy.proxy.api.docker_flow import params as docker_flow_params
from jenkins_proxy.proxy.haproxy.backend import Backend, KeyedAccess, ServerState
from jenkins_proxy.proxy.haproxy.config.options import Options
from jenkins_proxy.proxy.haproxy.config.render import render
from jenkins_proxy.route_options.labels import with_labels
from jenkins_proxy.route_options.option import Kind
from jenkins_proxy.route_options.query import Query
from jenkins_proxy.route_options.table import OPTIONS, check_route
from tests.fixtures.route_values import TEXTS, WITH

NAMED = {option.name: option for option in OPTIONS}
GIVEN = [(name, {name: text, **WITH.get(name, {})}) for name, texts in TEXTS.items() for text in texts]
BASE = {"paths": "/api", "domains": "example.com"}


def parsed(fields: dict[str, str]) -> Route:
    return dataclasses.replace(
        Route("books-ms"), **{name: NAMED[name].parse(text) for name, text in {**BASE, **fields}.items()}
    )


def command_line(*words: str) -> Route:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    reconfigure.add_arguments(parser)
    return values.route(parser.parse_args(words))


def by_command_line(fields: dict[str, str]) -> Route:
    words = []
    for name, text in {**BASE, **fields}.items():
        words.append(NAMED[name].cli if NAMED[name].kind is Kind.FLAG else f"{NAMED[name].cli}={text}")
    return command_line("books-ms", *words)


def by_step(fields: dict[str, str]) -> Route:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    reconfigure.add_arguments(parser)
    keys = {
        NAMED[name].groovy: text == "true" if NAMED[name].kind is Kind.FLAG else text
        for name, text in {**BASE, **fields}.items()
    }
    environ = {step_params.VARIABLE: json.dumps({"service": "books-ms", **keys})}
    return values.route(parser.parse_args(step_params.extend(["reconfigure"], "reconfigure", parser, environ)[1:]))


def by_json(fields: dict[str, str]) -> Route:
    data = json.loads(json.dumps(parsed(fields).as_dict()))
    return bodies.route("books-ms", {name: data[name] for name in {**BASE, **fields}})


def by_docker_flow(fields: dict[str, str]) -> Route:
    pairs = [(NAMED[name].docker_flow, text) for name, text in {**BASE, **fields}.items()]
    pairs += [("serviceName", "books-ms"), ("usersPassEncrypted", "true")]
    return docker_flow_params.parse_reconfigure(Query(pairs)).routes[0]


def by_labels(fields: dict[str, str]) -> Route:
    return with_labels(parsed({}), {NAMED[name].label: text for name, text in fields.items()})


def by_docker_flow_labels(fields: dict[str, str]) -> Route:
    labels = {f"com.df.{NAMED[name].docker_flow}": text for name, text in {**BASE, **fields}.items()}
    return with_labels(
        Route("books-ms"), {**labels, "com.df.usersPassEncrypted": "true", "com.df.notify": "true", "com.df.port": "80"}
    )


def by_list_of_services(fields: dict[str, str]) -> Route:
    """As it is listed for others, and read by whoever imports it."""
    listed = json.loads(json.dumps(docker_flow_params.services([parsed(fields)])))
    ((route,),) = [one.routes for one in from_json(listed)]
    return route


WAYS = (by_command_line, by_step, by_json, by_labels)
WAYS_OF_DOCKER_FLOW = (by_docker_flow, by_docker_flow_labels, by_list_of_services)


def text(route: Route) -> str:
    check_route(route)
    return render([Backend.serving(route, [Address("10.0.0.1", 80)])], Options(), 1).config


def test_every_option_that_has_a_label_is_in_the_table():
    assert TEXTS.keys() == {option.name for option in OPTIONS if option.labelled}


@pytest.mark.parametrize("name", TEXTS)
def test_the_same_option_is_the_same_configuration_by_every_way(name):
    traces = set()
    for fields in (fields for own, fields in GIVEN if own == name):
        ways = WAYS + (WAYS_OF_DOCKER_FLOW if all(NAMED[field].docker_flow for field in fields) else ())
        wanted = text(parsed(fields))
        for way in ways:
            assert text(way(fields)) == wanted, way.__name__
        traces.add(wanted)
    # An option that leaves no trace would be the same by every way, too. These are about order, readiness, the default.
    without = text(parsed(WITH.get(name, {})))
    assert (traces != {without}) is (name not in ("acl_name", "check_tcp", "req_mode"))


def test_haproxy_takes_every_accepted_value(haproxy_says):
    routes = []
    for number, (_name, fields) in enumerate(GIVEN):
        where = {"paths": f"/p{number}", "domains": f"d{number}.org"}
        # One route is the default, and each domain is redirected by one.
        where |= {"redirect_from_domain": f"old{number}.org"} if "redirect_from_domain" in fields else {}
        route = dataclasses.replace(parsed({**fields, **where}), service=f"s{number}")
        check_route(route)
        routes.append(route)
    everything = {name: texts[-1] for name, texts in TEXTS.items() if name != "ignore_authorization"}
    routes.append(dataclasses.replace(parsed({**everything, "paths": "/all"}), service="all", is_default_backend=False))
    check_route(routes[-1])
    rendered = render([Backend.serving(route, [Address("10.0.0.1", 80)]) for route in routes], Options(), 1)
    code, output = haproxy_says(rendered)
    assert (code, "WARNING" in output) == (0, False), output


def test_a_deploy_may_change_every_option_and_its_candidates_meet_the_new_ones(haproxy_says):
    """A held route with all options in place of one without, and the other way round."""
    full = {name: texts[-1] for name, texts in TEXTS.items() if name not in ("ignore_authorization", "src_port")}
    plain, every = Route("books-ms", ("/api",), ("example.com",)), parsed(full)
    candidate = Address("10.0.0.2", 80)
    servers = {Address("10.0.0.1", 80): ServerState.SERVING, candidate: ServerState.CANDIDATE}
    for before, after in ((plain, every), (every, plain)):
        keyed = KeyedAccess("0123abcd", "ab" * 32, after, {candidate: candidate})
        rendered = render([Backend(before, servers, keyed)], Options(), 1)
        code, output = haproxy_says(rendered)
        assert (code, "WARNING" in output) == (0, False), output
        block = rendered.config.partition("\nbackend books-ms-be")[2]
        keyed_only, users_only = " if { var(txn.held) -m str books-ms-be }", " if !{ var(txn.held) -m str books-ms-be }"
        condition = keyed_only if after is every else users_only
        assert f"    http-request del-header X-Forwarded-For{condition}\n" in block
        # Whoever has the key of the deploy needs no login; users need one as their own route says.
        assert ("http_auth(" in block) is (before is every)
        # The cookies of users lead to what serves, and not to the candidate.
        cookies = [
            line for line in rendered.runtime_maps["candidates.map"].splitlines() if line.startswith("books-ms-be/")
        ]
        assert [line.partition(" ")[2] for line in cookies] == (["10.0.0.1:80"] if before is every else [])

"""The services of a Docker Flow: Proxy's environment, as the calls that they stand for."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from jenkins_proxy.errors import JenkinsProxyError, RegistryError, UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.proxy.api.docker_flow import environ_services
from jenkins_proxy.proxy.api.docker_flow.params import PARAMETERS

GO_DEMO = {
    "DFP_SERVICE_1_SERVICE_NAME": "go-demo",
    "DFP_SERVICE_1_SERVICE_PATH": "/demo",
    "DFP_SERVICE_1_PORT": "8080",
    "DFP_SERVICE_1_OUTBOUND_HOSTNAME": "10.0.0.1",
}
"""Of its tutorial on services outside the cluster."""


@pytest.mark.parametrize(
    ("environ", "routes"),
    [
        ({}, []),
        ({"DFP_SERVICES": "x", "DFP_SERVICE_1_PORT": ""}, []),
        (GO_DEMO, [Route("go-demo", ("/demo",), outbound_hostname="10.0.0.1:8080")]),
        (
            {
                **{"DFP_SERVICE_10_SERVICE_NAME": "ten", "DFP_SERVICE_10_SERVICE_PATH": "/ten"},
                **{"DFP_SERVICE_2_SERVICE_NAME": "two", "DFP_SERVICE_2_SERVICE_DOMAIN": "a.org,b.org"},
                **{
                    "DFP_SERVICE_SERVICE_NAME": "first",
                    "DFP_SERVICE_SERVICE_PATH": "/",
                    "DFP_SERVICE_HTTPS_ONLY": "true",
                },
                "DFP_SERVICE_SERVICE_DOMAIN_MATCH_ALL": "true",
            },
            [
                Route("first", ("/",), https_only=True, domain_algo="hdr_dom(host)"),
                Route("two", (), ("a.org", "b.org")),
                Route("ten", ("/ten",)),
            ],
        ),
        (
            {
                **{"DFP_SERVICE_SERVICE_NAME": "foo", "DFP_SERVICE_SERVICE_PATH_1": "/a", "DFP_SERVICE_PORT_1": "8080"},
                **{"DFP_SERVICE_SERVICE_PATH_2": "/b", "DFP_SERVICE_PORT_2": "8081", "DFP_SERVICE_DENY_HTTP_2": "1"},
            },
            [
                Route("foo-8080", ("/a",), part_of="foo"),
                Route("foo-8081", ("/b",), deny_http=True, part_of="foo"),
            ],
        ),
        (
            {
                **{"DFP_SERVICE_SERVICE_NAME": "redis", "DFP_SERVICE_REQ_MODE": "tcp", "DFP_SERVICE_SRC_PORT": "6379"},
                "DFP_SERVICE_PORT": "6379",
            },
            [Route("redis", req_mode="tcp", src_port="6379")],
        ),
    ],
)
def test_variables_are_the_calls_that_they_stand_for(environ, routes):
    found = environ_services.calls(environ)
    assert [route for call in found for route in call.routes] == routes
    assert all(call.allow_empty and call.wait == 0 for call in found)


def test_every_parameter_has_a_variable_of_its_own():
    names = {environ_services.variable(name) for name in PARAMETERS}
    assert len(names) == len(PARAMETERS)
    assert {"ACL_NAME", "REDIRECT_UNLESS_HTTPS_PROTO", "REQ_PATH_SEARCH_REPLACE", "SRC_HTTPS_PORT"} <= names


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"DFP_SERVICE_1_SERVICE_PATH": "/a"}, "DFP_SERVICE_1_SERVICE_NAME is not set"),
        ({"DFP_SERVICE_SERVICE_NAME": "a"}, "DFP_SERVICE: The following queries are mandatory"),
        ({**GO_DEMO, "DFP_SERVICE_1_SERVICE_PATH": "/a\nb"}, "DFP_SERVICE_1: servicePath '/a\\nb' is not allowed"),
        ({**GO_DEMO, "DFP_SERVICE_1_BACKEND_EXTRA": "x"}, "DFP_SERVICE_1: backendExtra is not supported"),
        ({**GO_DEMO, "DFP_SERVICE_1_HTTPS_ONLY": "yes"}, "DFP_SERVICE_1: httpsOnly 'yes' is not allowed"),
    ],
)
def test_what_is_not_allowed_is_refused_by_the_services_name(environ, says):
    with pytest.raises(UsageError) as refused:
        environ_services.calls(environ)
    assert refused.value.message.startswith(says)


def test_a_variable_that_no_parameter_has_is_named():
    more = {"DFP_SERVICE_1_COLOUR": "blue", "DFP_SERVICE_1_PORT_11": "1", "DFP_SERVICE_9_X": "y"}
    assert environ_services.warnings({**GO_DEMO, **more}) == [
        "DFP_SERVICE_1_COLOUR is passed over: there is no such parameter",
        "DFP_SERVICE_1_PORT_11 is passed over: there is no such parameter",
    ]


async def test_what_is_refused_is_told_and_the_others_go_on(caplog):
    (call,) = environ_services.calls(GO_DEMO)
    calls = [dataclasses.replace(call, service=name) for name in ("late", "refused", "good")]
    errors: dict[str, list[JenkinsProxyError]] = {"late": [RegistryError("away")], "refused": [UsageError("no")]}
    made = []

    async def apply(one):
        made.append(one.service)
        if errors.get(one.service):
            raise errors[one.service].pop()

    with caplog.at_level(logging.ERROR):
        await environ_services.put(calls, apply, pause=0)
    assert made == ["late", "late", "refused", "good"]
    assert caplog.messages == ["refused of the environment is refused: no"]

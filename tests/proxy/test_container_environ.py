"""The environment of Docker Flow: Proxy's container, and what holds for every route because of it: tables."""

from __future__ import annotations

import dataclasses

import pytest

from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy import container_environ
from jenkins_proxy.proxy.container_environ import ContainerEnviron
from jenkins_proxy.proxy.haproxy.backend import Backend
from jenkins_proxy.proxy.haproxy.config.options import Options
from jenkins_proxy.proxy.haproxy.config.render import render
from jenkins_proxy.proxy.haproxy.config.route_defaults import RouteDefaults
from tests.fixtures.route_values import SHA512

USERS = {"USERS": f"ann:{SHA512}", "USERS_PASS_ENCRYPTED": "true"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ContainerEnviron()),
        ({"USERS": "", "HTTPS_ONLY": "false"}, ContainerEnviron()),
        (USERS, ContainerEnviron(RouteDefaults(users=(f"ann:{SHA512}",)))),
        ({"HTTPS_ONLY": "true"}, ContainerEnviron(RouteDefaults(https_only=True))),
        ({"SERVICE_DOMAIN_ALGO": "hdr(host)"}, ContainerEnviron(RouteDefaults(domain_algo="hdr(host)"))),
        (
            {"COMPRESSION_ALGO": "gzip", "COMPRESSION_TYPE": "text/css text/html"},
            ContainerEnviron(RouteDefaults(compression_algo="gzip", compression_type=("text/css", "text/html"))),
        ),
        ({"SEPARATOR": "|"}, ContainerEnviron(separator="|")),
        ({"BIND_PORTS": "8080,8443:ssl"}, ContainerEnviron(binds=("*:80", "*:8080"), tls_binds=("*:8443",))),
        (
            {"DEFAULT_PORTS": "81,443:ssl", "BIND_PORTS": "82"},
            ContainerEnviron(binds=("*:81", "*:82"), tls_binds=("*:443",)),
        ),
    ],
)
def test_what_is_read(environ, expected, tmp_path):
    assert container_environ.read(environ, tmp_path) == expected


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"HTTPS_ONLY": "yes"}, "HTTPS_ONLY 'yes' is not allowed: it must be true or false"),
        ({"COMPRESSION_ALGO": "zip"}, "COMPRESSION_ALGO 'zip' is not allowed"),
        ({"SERVICE_DOMAIN_ALGO": "x"}, "SERVICE_DOMAIN_ALGO 'x' is not allowed"),
        ({"USERS": "ann:hunter2", "USERS_PASS_ENCRYPTED": "true"}, "USERS 'ann': what follows its colon"),
        ({"USERS": "ann"}, "USERS: users ann: there is no password"),
        ({"BIND_PORTS": "80 accept-proxy"}, "BIND_PORTS '80 accept-proxy' is not allowed"),
        ({"SEPARATOR": "ab"}, "SEPARATOR 'ab' is not allowed"),
    ],
)
def test_what_is_not_allowed_is_refused_by_the_variables_name(environ, says, tmp_path):
    with pytest.raises(UsageError) as refused:
        container_environ.read(environ, tmp_path)
    assert refused.value.message.startswith(says)
    assert "hunter2" not in refused.value.message


def test_a_secret_wins_over_its_variable(tmp_path):
    (tmp_path / "dfp_users").write_text(f"bob:{SHA512}\n")
    (tmp_path / "dfp_users_pass_encrypted").write_text("true\n")
    assert container_environ.read({"USERS": "ann:secret"}, tmp_path).defaults.users == (f"bob:{SHA512}",)


def test_what_is_passed_over_is_told():
    assert container_environ.warnings({"EXTRA_FRONTEND": "x", "DEFAULT_PORTS": "80,443:ssl", "PATH": "/bin"}) == [
        "EXTRA_FRONTEND is passed over: it would put raw text into HAProxy's configuration",
    ]


def test_what_holds_for_every_route_is_as_if_each_said_it():
    own = Route("own", ("/own",), users=(f"bob:{SHA512}",), compression_algo="identity", domain_algo="hdr_beg(host)")
    routes = [Route("plain", ("/",), ("a.org",)), own, Route("open", ("/open",), ignore_authorization=True)]
    users = (f"ann:{SHA512}",)
    defaults = RouteDefaults(True, users, "hdr(host)", "gzip", ("text/css",))
    gzip = {"https_only": True, "compression_algo": "gzip", "compression_type": ("text/css",)}
    said = [
        dataclasses.replace(routes[0], domain_algo="hdr(host)", users=users, **gzip),
        dataclasses.replace(own, https_only=True),
        dataclasses.replace(routes[2], **gzip),
    ]

    def text(routes, options):
        return render([Backend.serving(route, [Address("10.0.0.1", 80)]) for route in routes], options, 1)

    assert text(routes, Options(route_defaults=defaults)) == text(said, Options())

"""What HAProxy says, read."""

from __future__ import annotations

import os

import pytest

from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.haproxy import output
from jenkins_proxy.proxy.haproxy.backend import Backend, ServerState
from jenkins_proxy.proxy.haproxy.config.options import Options
from jenkins_proxy.proxy.haproxy.config.render import render
from jenkins_proxy.proxy.haproxy.entry.access_log import AccessLog

REFUSED = """\
[NOTICE]   (99) : haproxy version is 2.6.12-1+deb12u4
[ALERT]    (99) : config : parsing [haproxy.cfg:33] : 'bind' : invalid address: 'x' in 'x:1'

[ALERT]    (99) : config : Error(s) found in configuration file : haproxy.cfg
[ALERT]    (99) : config : Fatal errors found in configuration.
"""
UNBOUND = """\
[ALERT]    (7) : Binding [haproxy.cfg:33] for frontend entry: cannot bind socket (Address already in use) for [*:80]
[ALERT]    (7) : [haproxy.main()] Some protocols failed to start their listeners! Exiting.
[WARNING]  (7) : Loading failure!
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(REFUSED, "parsing [haproxy.cfg:33] : 'bind' : invalid address: 'x' in 'x:1'", id="refused"),
        pytest.param(
            UNBOUND,
            "Binding [haproxy.cfg:33] for frontend entry: cannot bind socket (Address already in use) for [*:80]",
            id="unbound",
        ),
        pytest.param("Segmentation fault\n\n", "Segmentation fault", id="no-alert"),
        pytest.param("", "it said nothing", id="nothing"),
    ],
)
def test_reason(text, expected):
    assert output.reason(text.splitlines()) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/", (2, 6)),
        ("HA-Proxy version 1.8.19 2019/02/11", (1, 8)),
        ("HAProxy version 3.0.5-8e879a5 2024/09/19", (3, 0)),
        ("bash: haproxy: not found", ()),
    ],
)
def test_program_version(text, expected):
    assert output.program_version(text) == expected


def test_version_and_servers_come_back_from_a_rendered_configuration():
    states = {Address("10.0.0.1", 80): ServerState.SERVING, Address("2001:db8::1", 8080): ServerState.CANDIDATE}
    rendered = render([Backend(Route("a", ("/",)), states), Backend(Route("b", ("/b",)))], Options(), 17)
    assert output.version(rendered.config) == 17
    assert output.servers(rendered.config) == {"a-be": states, "b-be": {}}


def test_what_is_not_ours_has_no_version():
    assert output.version("global\n  description something else\n") == 0


def test_the_access_log_goes_to_our_own_stdout_opened_anew(capfd):
    with output.stdout(AccessLog("clf")) as file:
        # Another descriptor than ours: HAProxy makes it one that never waits.
        os.set_blocking(file.fileno(), False)
        file.write(b"to stdout\n")
    assert capfd.readouterr().out == "to stdout\n"
    assert os.get_blocking(1)
    for log in (None, AccessLog("clf", file="/var/log/access.log"), AccessLog("clf", syslog=Address("10.0.0.1", 514))):
        with output.stdout(log) as file:
            assert file is None


@pytest.mark.usefixtures("capfd")
def test_where_our_own_stdout_is_a_file_it_is_appended_to_as_one():
    own = os.dup(1)
    assert output.log_file(AccessLog("clf")) == "/proc/self/fd/1"
    reader, writer = os.pipe()
    try:
        os.dup2(writer, 1)
        assert output.log_file(AccessLog("clf")) == ""
    finally:
        os.dup2(own, 1)
        for descriptor in (own, reader, writer):
            os.close(descriptor)
    assert output.log_file(AccessLog("clf", file="/var/log/access.log")) == "/var/log/access.log"
    assert output.log_file(AccessLog("clf", syslog=Address("10.0.0.1", 514))) == output.log_file(None) == ""

"""What HAProxy says, read."""

from __future__ import annotations

import os

import pytest

from jenkins_proxy.errors import ProxyError
from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.haproxy import output
from jenkins_proxy.proxy.haproxy.backend import Backend, ServerState
from jenkins_proxy.proxy.haproxy.config.options import Options
from jenkins_proxy.proxy.haproxy.config.render import render
from jenkins_proxy.proxy.haproxy.entry.access_log import AccessLog
from jenkins_proxy.proxy.haproxy.output import access_log

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


def test_the_access_log_goes_to_a_file_or_to_our_own_stdout(tmp_path, capfd):
    for log, said in ((AccessLog("json", file=str(tmp_path / "log")), "file"), (AccessLog("clf"), "stdout")):
        with access_log(log) as file:
            # Another descriptor than ours: HAProxy makes it one that never waits.
            os.set_blocking(file.fileno(), False)
            file.write(f"to {said}\n".encode())
    assert (tmp_path / "log").read_text() == "to file\n"
    assert capfd.readouterr().out == "to stdout\n"
    assert os.get_blocking(1)
    for log in (None, AccessLog("clf", syslog=Address("10.0.0.1", 514))):
        with access_log(log) as file:
            assert file is None
    with (
        pytest.raises(ProxyError, match="cannot write the access log"),
        access_log(AccessLog("clf", file="/absent/log")),
    ):
        raise AssertionError("it is not there")

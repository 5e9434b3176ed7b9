"""The answers of the Runtime API and of the master, read; and the sockets when nobody answers."""

from __future__ import annotations

import socket

import pytest

from jenkins_proxy.errors import ProxyError
from jenkins_proxy.proxy.haproxy.runtime_api import RuntimeAPI, Workers, parse_leftover, parse_servers, parse_workers
from jenkins_proxy.proxy.timing import Timing

PROCESSES = """\
#<PID>          <type>          <reloads>       <uptime>        <version>
30515           master          1 [failed: 2]   0d00h00m04s     2.6.12-1+deb12u4
# workers
30740           worker          0               0d00h00m02s     2.6.12-1+deb12u4
"""
OLD = """\
# old workers
30518           worker          1               0d00h00m04s     2.6.12-1+deb12u4
30519           worker          2               0d00h00m09s     2.6.12-1+deb12u4
"""
TOTALS = """\
# pxname,svname,qcur,qmax,scur,status,req_tot,
entry,FRONTEND,,,3,STOP,70,
books-be,BACKEND,1,1,2,UP,,
shop-be,BACKEND,0,0,1,UP,,
"""
SERVERS = """\
# pxname,svname,qcur,qmax,scur,
books-be,10.0.0.1:80,1,1,2,
books-be,10.0.0.2:80,0,0,0,
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(PROCESSES, Workers(30740, (), 2), id="one"),
        pytest.param(PROCESSES + OLD + "# programs\n", Workers(30740, (30518, 30519), 2), id="with-old-ones"),
        pytest.param(PROCESSES.replace(" [failed: 2]", ""), Workers(30740, (), 0), id="before-2.5"),
        pytest.param("", Workers(0, (), 0), id="nothing"),
    ],
)
def test_workers(text, expected):
    assert parse_workers(text) == expected


def test_what_waits_in_a_queue_counts_too():
    assert parse_servers(SERVERS) == {"books-be/10.0.0.1:80": 3, "books-be/10.0.0.2:80": 0}


@pytest.mark.parametrize(
    ("before", "between", "after", "quiet"),
    [
        pytest.param(TOTALS, TOTALS, TOTALS, True, id="only-requests-under-way"),
        pytest.param(TOTALS, TOTALS.replace(",,,3,", ",,,4,"), TOTALS, False, id="an-idle-client"),
        pytest.param(TOTALS, TOTALS, TOTALS.replace(",70,", ",71,"), False, id="a-request-began-meanwhile"),
        pytest.param(TOTALS.replace("STOP", "OPEN"), TOTALS, TOTALS, False, id="it-accepts-yet"),
    ],
)
def test_leftover(before, between, after, quiet):
    left = parse_leftover("\n".join((before, SERVERS, between, after)))
    assert (left.quiet, left.servers) == (quiet, parse_servers(SERVERS))


async def test_nobody_at_the_socket_is_told_in_one_line(tmp_path):
    with pytest.raises(ProxyError, match=r"HAProxy does not answer on its socket stats.sock: .*No such file"):
        await RuntimeAPI(tmp_path).ask("show info")


async def test_a_haproxy_that_hangs_is_given_up(tmp_path):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "stats.sock"))
        silent.listen()
        with pytest.raises(ProxyError, match="no answer in time"):
            await RuntimeAPI(tmp_path, Timing(haproxy_answer=0.1)).ask("show info")

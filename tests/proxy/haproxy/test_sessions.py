"""Which requests are streams: lines that HAProxy 2.6.12 and 3.0.11 wrote, but for the addresses."""

from __future__ import annotations

import pytest

from jenkins_proxy.proxy.haproxy.sessions import Session, parse_sessions

BLOCK = """0x55fd6c59db80: [27/Nov/2026:16:07:55.593352] id=7 proto=tcpv4 source=127.0.0.1:33066
  flags=0xc4a, conn_retries=0, conn_exp=<NEVER> conn_et=0x000 srv_conn=0x55fd6c4d9700, pend_pos=(nil) waiting=0 epoch=0
  frontend=entry (id=2 mode=http), listener=? (id=1) addr=127.0.0.1:9300
  backend=books-be (id=4 mode=http) addr=127.0.0.1:45456
  server=10.0.0.1:80 (id=1) addr=10.0.0.1:80
  task=0x55fd6c6bf8d0 (state=0x00 nice=0 calls=3 rate=1 exp=18s tmask=0x1 age=1s)
  txn=0x55fd6c6bf9a0 flags=0x3000 meth=1 status=200 req.st=MSG_DONE rsp.st={state} req.f=0x4c rsp.f={flags}
  scf=0x55fd6c4c9d70 flags=0x00000080 state=EST endp=CONN,0x55fd6c6bf800,0x02804001 sub=1
"""
CLI = """0x55fd6c6c2670: [27/Nov/2026:16:07:56.752268] id=12 proto=unix_stream source=unix:1
  frontend=GLOBAL (id=0 mode=tcp), listener=? (id=1) addr=unix:1
  backend=<NONE> (id=-1 mode=-)
  server=<NONE> (id=-1)
"""


@pytest.mark.parametrize(
    ("state", "flags", "stream"),
    [
        pytest.param("MSG_RPBEFORE", "0x00", False, id="no-answer-yet"),
        pytest.param("MSG_DATA", "0x0d", False, id="content-length"),
        pytest.param("MSG_DATA", "0x0e", True, id="chunked"),
        pytest.param("MSG_TUNNEL", "0x08", True, id="until-it-closes"),
        pytest.param("MSG_TUNNEL", "0x8d", True, id="upgraded"),
        pytest.param("MSG_DONE", "0x0e", False, id="done"),
    ],
)
def test_what_is_a_stream(state: str, flags: str, stream: bool) -> None:
    text = CLI + BLOCK.format(state=state, flags=flags)
    assert list(parse_sessions(text)) == [Session("0x55fd6c59db80", "books-be/10.0.0.1:80", stream)]


def test_nothing_under_way() -> None:
    assert list(parse_sessions("\n")) == []

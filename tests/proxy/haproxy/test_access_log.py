"""The access log of a real HAProxy, to a file and to syslog: whatever users send, a request is a line of its form."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket

import pytest

from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.haproxy.backend import Backend
from jenkins_proxy.proxy.haproxy.config.options import Options
from jenkins_proxy.proxy.haproxy.config.render import render
from jenkins_proxy.proxy.haproxy.entry.access_log import CLF, JSON, AccessLog
from jenkins_proxy.proxy.haproxy.entry.options import Entry
from jenkins_proxy.proxy.haproxy.process import HAProxy

CLF_LINE = re.compile(
    r'127\.0\.0\.1 - - \[[^]]+\] "[^"]*" -?\d+ \d+ ("([^"\\]|\\.)*"|-) ("([^"\\]|\\.)*"|-) \S+ \S+ \S+ '
    r"-?\d+/-?\d+/-?\d+/-?\d+ \S+ \S+ \S+ -?\d+ \S\S \d+"
)
# The path, and what stands in User-Agent, Referer and X-Request-ID.
SENT = [
    (b"/books/1", b"curl/8.0"),
    (b'/books/"quoted"?a="b"\\', b'say "hi" \\ \\" end'),
    (b"/books/%0A%22", b"tab\there"),
    (b"/books/1", b"\xff\xfe broken \xc3\x28 utf-8"),
    (b"/books/1", "\u00fc \u65e5\u672c".encode()),
    (b"/books/1", b"control \x01\x02\x1b[31m red \x7f"),
    (b"/books/1", b"%s %n %{x} %[var(txn.key)]"),
    (b"/books/1", b"x" * 4000),
    (b"/books/" + b"y" * 3000, b'"' * 2000),
    (b"/books/1", b"u2028 \xe2\x80\xa8 u2029 \xe2\x80\xa9 nel \xc2\x85"),
    (b"/nobody", b"no route"),
    # No requests at all; they are refused, and are lines as well.
    (b"/books/\xff\xe9", b"x"),
    (b"/books/ HTTP/1.1\x00", b"x"),
    (b"/books/1", b"a\x00b"),
    (b"/books/1", b'a\r\n{"status":200}'),
]
# One that is allowed, with every sign that is; the other is no method, and so no request that has one.
ODD_METHODS = (b"odd!#$%&'*+-.^_`|~", b'G"E\\T')


async def send(port: int, path: bytes, text: bytes, method: bytes = b"GET") -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    headers = (b"Host: x", b"User-Agent: " + text, b"Referer: " + text, b"X-Request-ID: " + text, b"Connection: close")
    writer.write(method + b" " + path + b" HTTP/1.1\r\n" + b"\r\n".join(headers) + b"\r\n\r\n")
    # Refused, the rest of what was sent is not read.
    with contextlib.suppress(ConnectionError):
        await reader.read()
    writer.close()


@pytest.mark.usefixtures("haproxy")
@pytest.mark.parametrize("form", [JSON, CLF])
@pytest.mark.parametrize("trusted", [(), ("127.0.0.0/8",)], ids=["", "trusted"])
async def test_whatever_is_sent_a_request_is_a_line(form, trusted, free_port, origin, wait_until, tmp_path):
    port, file, server = free_port(), tmp_path / "access.log", await origin()
    entry = Entry(request_id=True, trusted=trusted, access_log=AccessLog(form, file=str(file)))
    options = Options(binds=(f"127.0.0.1:{port}",), entry=entry)
    child = HAProxy(options, tmp_path / "run")
    await child.start(render([Backend.serving(Route("books", ("/books",)), [server.address])], options, 1), 1, "key")
    try:
        for path, text in SENT:
            await send(port, path, text)
        for method in ODD_METHODS:
            await send(port, b"/books/1", method, method)
        sent = len(SENT) + len(ODD_METHODS)
        await wait_until(lambda: file.read_bytes().count(b"\n") >= sent)
        # The separators of Unicode end no line of a log.
        lines = file.read_bytes().decode().removesuffix("\n").split("\n")
        assert len(lines) == sent
        assert not any(sign in line for line in lines for sign in "\x00\x01\x02\x1b\x7f\r")
        if form == JSON:
            told = [json.loads(line) for line in lines]
            assert {type(one["status"]) for one in told} == {int}
            # HAProxy's threads each write what they ended: lines have no order, so they are found by what they tell.
            answered = {one["user_agent"]: one for one in told if one["status"] == 200}
            assert len([one for one in told if one["status"] == 200]) >= 10
            assert answered[SENT[1][1].decode()]["uri"] == SENT[1][0].decode()
            assert answered[SENT[4][1].decode()]["uri"] == SENT[4][0].decode()
            assert [one["route"] for one in told if one["uri"] == "/nobody"] == ["no-route"]
            methods = {one["user_agent"]: one["method"] for one in told if one["user_agent"].encode() in ODD_METHODS}
            assert methods == {ODD_METHODS[0].decode(): ODD_METHODS[0].decode()}
            # An ID that is none is not kept, whoever sends it.
            assert all(re.fullmatch(r"[A-Za-z0-9._:/+=@-]{1,128}", one["request_id"]) for one in told)
        else:
            assert [line for line in lines if not CLF_LINE.fullmatch(line)] == []
            assert [line for line in lines if '" 400 ' in line and ' "-" "-" ' not in line] == []
        # Rotated by copytruncate: what follows begins where the file does.
        os.truncate(file, 0)
        await send(port, b"/books/1", b"after")
        await wait_until(lambda: file.read_bytes().endswith(b"\n"))
        assert file.read_bytes().startswith((b"{", b"127.0.0.1 "))
    finally:
        await child.stop()


@pytest.mark.usefixtures("haproxy")
async def test_a_syslog_server_gets_the_same_lines(free_port, origin, tmp_path):
    port, server = free_port(), await origin()
    with socket.socket(type=socket.SOCK_DGRAM) as syslog:
        syslog.bind(("127.0.0.1", 0))
        syslog.settimeout(10)
        log = AccessLog(JSON, syslog=Address(*syslog.getsockname()))
        options = Options(binds=(f"127.0.0.1:{port}",), entry=Entry(access_log=log))
        child = HAProxy(options, tmp_path / "run")
        await child.start(
            render([Backend.serving(Route("books", ("/books",)), [server.address])], options, 1), 1, "key"
        )
        try:
            for path, text in SENT[:7]:
                await send(port, path, text)
            told = []
            for _ in SENT[:7]:
                packet = (await asyncio.to_thread(syslog.recv, 65536)).decode()
                line = json.loads(packet[packet.index("{") :])
                told.append((line["uri"], line["status"]))
                assert line["request_id"] == "-"
            # Packets of HAProxy's threads come in any order.
            assert sorted(told) == sorted((path.decode(), 200) for path, _text in SENT[:7])
        finally:
            await child.stop()

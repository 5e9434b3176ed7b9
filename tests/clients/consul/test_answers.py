"""Answers of HTTP as they arrive: whole, in parts of any size, and such as are none."""

from __future__ import annotations

import pytest

from jenkins_proxy.clients.consul.answers import AnswerParser, TooLongError
from jenkins_proxy.clients.consul.requests import Reply

PLAIN = b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Length: 2\r\n\r\n[]"
CHUNKED = b"HTTP/1.1 500 No\r\ntransfer-encoding: Chunked\r\n\r\n3;a=b\r\n[\r\n\r\n1\r\n]\r\n0\r\n\r\n"
TRAILER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\nX-Consul-Index: 9\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + PLAIN
EMPTY = b"HTTP/1.1 404 Not Found\r\nX-Consul-Index: 3\r\nContent-Length: 0\r\n\r\n"
CLOSED = b"HTTP/1.0 200 OK\r\nX-Consul-Index: 5\r\n\r\n{}"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 4096])
@pytest.mark.parametrize(
    ("data", "replies"),
    [
        (PLAIN, [Reply(200, b"[]", 7)]),
        (CHUNKED, [Reply(500, b"[\r\n]")]),
        (TRAILER, [Reply(200, b"[]")]),
        (INTERIM, [Reply(200, b"[]", 7)]),
        (EMPTY, [Reply(404, b"", 3)]),
        (PLAIN + CHUNKED + TRAILER + INTERIM + EMPTY + PLAIN, None),
    ],
)
def test_answers_in_parts(data, replies, size):
    parser = AnswerParser()
    found = [reply for at in range(0, len(data), size) for reply in parser.feed(data[at : at + size])]
    whole = list(AnswerParser().feed(data))
    assert found == whole == (replies or whole)
    assert len(whole) == (1 if replies else 6)
    assert parser.lasts
    with pytest.raises(EOFError):
        parser.close()


def test_an_answer_that_ends_with_its_connection():
    parser = AnswerParser()
    assert list(parser.feed(CLOSED[:-1])) == list(parser.feed(CLOSED[-1:])) == []
    assert parser.close() == Reply(200, b"{}", 5)


@pytest.mark.parametrize(
    ("data", "lasts"),
    [
        (PLAIN, True),
        (PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"), False),
        (PLAIN.replace(b"X-Consul-Index: 7", b"Connection: Close"), False),
    ],
)
def test_whether_a_connection_is_used_again(data, lasts):
    parser = AnswerParser()
    assert len(list(parser.feed(data))) == 1
    assert parser.lasts is lasts


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", ValueError),
        (b"\r\n\r\n", ValueError),
        (b"HTTP/1.1 ok\r\n\r\n", ValueError),
        (b"HTTP/2 200\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", TooLongError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", TooLongError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n5\r\n", TooLongError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 11, TooLongError),
        (b"x" * 70_000, TooLongError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 70_000, TooLongError),
    ],
)
def test_what_is_no_answer(data, error):
    with pytest.raises(error):
        list(AnswerParser(max_bytes=10).feed(data))


def test_an_index_that_is_none_counts_as_missing():
    for index in (b"seven", b"-7", b"9" * 30, b""):
        [reply] = AnswerParser().feed(PLAIN.replace(b" 7", b" " + index))
        assert reply.index == 0

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
    assert not list(parser.feed(b"H"))
    assert not parser.lasts, "another has begun"
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
        (PLAIN.replace(b"X-Consul-Index: 7", b"Connection: keep-alive, close"), False),
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
        (b"\r\n\r\nno", ValueError),
        (b"HTTP/1.1 ok\r\n\r\n", ValueError),
        (b"HTTP/2 200\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\n\n", ValueError),
        (b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", TooLongError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n5\r\n12345", TooLongError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 11, TooLongError),
        (b"x" * 70_000, ValueError),
        (b"\r\n" * 35_000, TooLongError),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 3_000, TooLongError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, TooLongError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 70_000, TooLongError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: x\r\n" * 12_000, TooLongError),
    ],
)
@pytest.mark.parametrize("size", [1000, 2**18])
def test_what_is_no_answer(data, error, size):
    parser = AnswerParser(max_bytes=10)
    assert list(parser.feed(PLAIN)) == [Reply(200, b"[]", 7)]
    with pytest.raises(error):
        for at in range(0, len(data), size):
            assert not list(parser.feed(data[at : at + size]))


def test_what_comes_before_what_is_no_answer_counts():
    found = []
    with pytest.raises(ValueError):
        for reply in AnswerParser().feed(PLAIN + EMPTY + b"no"):
            found.append(reply)
    assert found == [Reply(200, b"[]", 7), Reply(404, b"", 3)]


def test_many_answers_at_once_are_no_long_head():
    assert len(list(AnswerParser().feed(PLAIN * 2000))) == 2000


def test_an_answer_that_ends_too_early():
    parser = AnswerParser()
    assert not list(parser.feed(PLAIN[:-1]))
    with pytest.raises(EOFError):
        parser.close()


def test_an_index_that_is_none_counts_as_missing():
    for index, read in ((b"seven", 0), (b"-7", 0), (b"9" * 30, 0), (b"", 0), (b" 7 \t", 7), (b"9" * 20, 10**20 - 1)):
        [reply] = AnswerParser().feed(PLAIN.replace(b" 7", b" " + index))
        assert reply.index == read

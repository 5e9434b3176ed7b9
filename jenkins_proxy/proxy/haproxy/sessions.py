"""What HAProxy's ``show sess all`` says of the requests under way: which of them are streams. Pure.

A line ``txn=… rsp.st=MSG_DATA … rsp.f=0x0d`` has the state and the flags of the response, by names that HAProxy's
source gives them in ``include/haproxy/http_ana-t.h``, the same from 2.6 to 3.5 (seen with 2.6.12 and 3.0.11):

    MSG_TUNNEL   bytes are passed on until one side closes: after ``101 Switching Protocols``, and a response whose
                 length neither ``Content-Length`` nor ``Transfer-Encoding`` says
    MSG_DATA     the body of the response is under way
    0x01         HTTP_MSGF_CNT_LEN, "content-length was found in the message"
    0x02         HTTP_MSGF_TE_CHNK, "transfer-encoding: chunked was found"

Management guide 2.6, section 9.3 "show sess", "shutdown session".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_HEAD = re.compile(r"^(0x[0-9a-f]+): ", re.MULTILINE)
_BACKEND = re.compile(r"^ +backend=(\S+) ", re.MULTILINE)
_SERVER = re.compile(r"^ +server=(\S+) ", re.MULTILINE)
_RESPONSE = re.compile(r"^ +txn=.* rsp\.st=(\S+) .*rsp\.f=0x([0-9a-f]+)", re.MULTILINE)
_CONTENT_LENGTH = 0x01


@dataclass(frozen=True)
class Session:
    """A request under way.

    :ivar identity: what ``shutdown session`` takes.
    :ivar server: as ``<backend>/<server>``.
    :ivar stream: whether nothing says where its end is: a tunnel, or a response without a ``Content-Length`` whose body
        is under way.
    """

    identity: str
    server: str
    stream: bool


def parse_sessions(text: str) -> Iterator[Session]:
    """The requests that have a server, from the answer to ``show sess all``."""
    parts = _HEAD.split(text)
    for identity, block in zip(parts[1::2], parts[2::2], strict=True):
        backend, server, response = (pattern.search(block) for pattern in (_BACKEND, _SERVER, _RESPONSE))
        if backend and server and response:
            stream = _is_stream(response[1], int(response[2], 16))
            yield Session(identity, f"{backend[1]}/{server[1]}", stream)


def _is_stream(state: str, flags: int) -> bool:
    return state == "MSG_TUNNEL" or (state == "MSG_DATA" and not flags & _CONTENT_LENGTH)

"""Asks one instance whether it is ready, as HAProxy asks it for users: one request over a connection of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re

from jenkins_proxy.aio import with_timeout
from jenkins_proxy.model import Address
from jenkins_proxy.proxy.route_check import RouteCheck

_REQUEST = "{check} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: jenkins-proxy\r\nAccept: */*\r\nConnection: close\r\n\r\n"
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})(?!\d)")
_MAX_HEAD = 16384
# How long a connection has to stay open, in seconds.
_CONNECTED = 0.2


async def ask(address: Address, check: RouteCheck, seconds: float) -> str:
    """Ask once.

    :param address: a numeric one.
    :param seconds: for the whole exchange, up to the status.
    :return: what is wrong, in words; empty when the answer says that the instance is ready.
    """
    try:
        if not check.method:
            return await with_timeout(_connect(address, check), seconds)
        status = await with_timeout(_status(address, check), seconds)
    except TimeoutError:
        return f"{check}: no answer within {seconds:g} s"
    except EOFError:
        return f"{check}: the connection was closed without an answer"
    except OSError as error:
        return f"{check}: {os.strerror(error.errno) if error.errno else error}"
    except (ValueError, asyncio.LimitOverrunError):
        return f"{check}: the answer is not HTTP"
    return "" if check.accepts(status) else f"{check}: HTTP {status}"


async def _connect(address: Address, check: RouteCheck) -> str:
    """What is wrong with a connection: Docker's own proxy closes it at once when nobody listens yet."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        with contextlib.suppress(TimeoutError):
            if not await with_timeout(reader.read(1), _CONNECTED):
                return f"{check}: it was closed at once"
        return ""
    finally:
        writer.close()


async def _status(address: Address, check: RouteCheck) -> int:
    reader, writer = await asyncio.open_connection(address.host, address.port, limit=_MAX_HEAD)
    try:
        writer.write(_REQUEST.format(check=check, host=check.host or address).encode("ascii"))
        while (status := _parse(await reader.readuntil(b"\n"))) < 200:
            # An interim answer, such as 103 Early Hints: what counts comes after its head.
            await reader.readuntil(b"\r\n\r\n")
        return status
    finally:
        # Nothing of the body is wanted, however long it is.
        writer.close()


def _parse(line: bytes) -> int:
    match = _STATUS.match(line)
    if not match:
        raise ValueError("not a status line of HTTP")
    return int(match[1])

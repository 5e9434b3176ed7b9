"""The port that the daemon listens on."""

from __future__ import annotations

import errno
import socket

from jenkins_proxy.connection_limit import BACKLOG
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Address


def take_port(address: Address, option: str) -> socket.socket:
    """A socket that listens, from now on: before anything is started that a taken port would have to undo.

    :raises UsageError: when the address is taken, not ours, or not allowed.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((address.host, address.port))
        taken.listen(BACKLOG)
    except OSError as error:
        taken.close()
        hint = "another daemon runs, or another program has it: `ss -ltnp` shows which; choose another port"
        reason = "it is in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error)).lower()
        raise UsageError(
            f"cannot listen on {option} {address}: {reason}", hint if error.errno == errno.EADDRINUSE else ""
        ) from error
    return taken

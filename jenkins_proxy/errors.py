"""Every error that jenkins-proxy reports, and the exit code that each one ends with.

    JenkinsProxyError                 1  (a bug: nothing else ends with 1, but for ``seed``)
    ├── UsageError                    2  usage, configuration, bad input
    ├── WaitTimeout                   3  the wait ran out
    ├── RemoteError                   4  a remote refused or is unreachable
    │   ├── DockerError                  the Docker Engine
    │   ├── RegistryError                Consul or the embedded registry
    │   ├── ProxyError                   the proxy daemon's API
    │   └── JenkinsServerError           Jenkins
    ├── DeployFailed                  5  the deploy command failed, or a container that it started died
    └── ProbeFailed                   6  the route does not serve a new instance
    Stopped                         143  SIGTERM or Ctrl-C (a BaseException: no ``except Exception`` swallows it)

Each message is one line that names the thing, its value and what happened; ``hint`` is the next step to take.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from typing import TypeVar

_Result = TypeVar("_Result")


class JenkinsProxyError(Exception):
    """Something that ends a command, reported in one line.

    :param message: what happened: the thing and its value, without a final full stop.
    :param hint: the next step for the reader; may be empty.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(JenkinsProxyError):
    """Wrong arguments, settings or files: nothing was started."""

    exit_code = 2


class WaitTimeout(JenkinsProxyError):
    """The registry did not show what was waited for in time."""

    exit_code = 3


class RemoteError(JenkinsProxyError):
    """Another program refused a request or cannot be reached."""

    exit_code = 4


class DockerError(RemoteError):
    """The Docker Engine refused a request or cannot be reached."""


class RegistryError(RemoteError):
    """The registry refused a request or cannot be reached."""


class ProxyError(RemoteError):
    """The proxy daemon refused a request or cannot be reached."""


class JenkinsServerError(RemoteError):
    """Jenkins refused a request or cannot be reached."""


class DeployFailed(JenkinsProxyError):
    """The deploy command failed, or a container that it started died."""

    exit_code = 5


class ProbeFailed(JenkinsProxyError):
    """No new instance answered through the proxy in time."""

    exit_code = 6


class Stopped(BaseException):
    """The command was stopped by a signal (SIGTERM, SIGINT).

    :param signal_name: ``SIGTERM`` or ``SIGINT``.
    :ivar message: what happened in one line; a command adds when, and what serves now.
    """

    exit_code = 143

    def __init__(self, signal_name: str) -> None:
        super().__init__(signal_name)
        self.signal_name = signal_name
        self.message = f"stopped by {signal_name}"


def root_cause(error: BaseException) -> str:
    """The operating system's words for a failure, which HTTP libraries bury under several exceptions of their own.

    :return: one line without a capital: ``connection refused``.
    """
    import ssl  # here, as nearly no command needs it

    chain = list(_chain(error))
    for inner in reversed(chain):
        if isinstance(inner, ssl.SSLCertVerificationError):
            return f"certificate not trusted: {inner.verify_message}"
        if isinstance(inner, ssl.SSLError):
            # Its number is not the operating system's.
            return (inner.reason or str(inner)).replace("_", " ").lower()
        if isinstance(inner, socket.gaierror):
            return "the host name is unknown"
        if _is_timeout(inner) or "timed out" in str(inner).lower():
            return "no answer in time"
        if isinstance(inner, OSError) and inner.errno:
            # Not `strerror`: asyncio writes its own words and the address into that.
            words = os.strerror(inner.errno)
            return words[0].lower() + words[1:]
    return " ".join(str(chain[-1]).split()) or type(chain[-1]).__name__


def _is_timeout(error: BaseException) -> bool:
    # By name: urllib3 has a class of its own of that name.
    return any(kind.__name__ == "TimeoutError" for kind in type(error).__mro__)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from, outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        # requests and urllib3 keep the cause among the arguments or as `reason`, aiohttp as `os_error`.
        inside = [getattr(error, "os_error", None), getattr(error, "reason", None), *error.args]
        named = next((inner for inner in inside if isinstance(inner, BaseException)), None)
        # `from None` leaves out what is no cause: urllib3 1.26 tries an argument of Python 2 first.
        error = named or error.__cause__ or (None if error.__suppress_context__ else error.__context__)


class Problems:
    """Collects errors, so that the reader sees them all at once."""

    def __init__(self) -> None:
        self._found: dict[str, JenkinsProxyError] = {}

    def gather(self, action: Callable[[], _Result]) -> _Result | None:
        """The action's result, or None when it ended with an error, which is kept."""
        try:
            return action()
        except (UsageError, RemoteError) as error:
            self._found.setdefault(error.message, error)
            return None

    def keep(self, error: UsageError | RemoteError) -> None:
        """Add one."""
        self._found.setdefault(error.message, error)

    def add(self, others: Problems) -> None:
        """Take over what others have gathered."""
        for message, error in others._found.items():
            self._found.setdefault(message, error)

    @property
    def messages(self) -> list[str]:
        """Of all that were gathered, in that order."""
        return list(self._found)

    def raise_any(self) -> None:
        """Raise what was gathered as one error; wrong usage comes before remotes that do not answer."""
        found = sorted(self._found.values(), key=lambda error: error.exit_code)
        if not found:
            return
        if len(found) == 1:
            raise found[0]
        message = " ".join(f"({number}) {error.message}" for number, error in enumerate(found, 1))
        hint = " ".join(f"({number}) {error.hint}" for number, error in enumerate(found, 1) if error.hint)
        raise type(found[0])(f"{len(found)} problems: {message}", hint)

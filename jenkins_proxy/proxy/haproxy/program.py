"""The haproxy program of this machine."""

from __future__ import annotations

import os
import shutil

from jenkins_proxy import processes
from jenkins_proxy.errors import UsageError
from jenkins_proxy.proxy.haproxy import output

MIN_VERSION = (2, 6)
_HINT = "install HAProxy 2.6 or later: apt-get install haproxy"


async def find() -> str:
    """The path of the program.

    :raises UsageError: when there is none, or it is too old.
    """
    # Debian keeps it in /usr/sbin, which is not on every user's PATH.
    path = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")
    if not path:
        raise UsageError("HAProxy is not installed: there is no program haproxy on the PATH", _HINT)
    _, said = await processes.answer((path, "-v"), env=environment())
    version = output.program_version(said)
    if version < MIN_VERSION:
        raise UsageError(
            f"{path} is version {'.'.join(map(str, version)) or 'unknown'}: servers cannot be added to it at run time",
            _HINT,
        )
    return path


def environment() -> dict[str, str]:
    """Nothing but what HAProxy needs: the daemon's tokens are in its environment."""
    return {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}

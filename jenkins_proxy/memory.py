"""How the C library deals with freed memory."""

from __future__ import annotations

import contextlib
import ctypes

# mallopt(3)
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE = 128 * 1024


def give_back() -> None:
    """Let large blocks go back to the operating system once they are free, for a process that runs for months.

    By default glibc raises what it calls large with each that is freed, up to 32 MiB, and keeps as much for each thread
    apart: a configuration of megabytes, rendered in threads again and again, would stay several times. Where the C
    library is another one nothing happens.
    """
    with contextlib.suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_M_ARENA_MAX, 1)

"""How a command is stopped: the first SIGTERM or Ctrl-C raises Stopped, and no other interrupts its clean-up."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import NoReturn

from jenkins_proxy.errors import Stopped

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def raise_stopped() -> None:
    """Let the first signal from now on raise Stopped in the main thread."""

    def stop(signum: int, _frame: object) -> NoReturn:
        for again in _SIGNALS:
            signal.signal(again, _nothing)
        raise Stopped(signal.Signals(signum).name)

    for signum in _SIGNALS:
        signal.signal(signum, stop)


def call_when_stopped(stop: Callable[[str], object]) -> None:
    """Within an event loop: call ``stop`` with the name of each SIGTERM or SIGINT, between two steps of tasks.

    An exception raised by a signal handler, as :func:`raise_stopped` has it, would end up in whatever task just ran.
    """
    import asyncio  # here, as most commands have no loop, and it takes its time to load

    loop = asyncio.get_running_loop()
    for signum in _SIGNALS:
        loop.add_signal_handler(signum, stop, signum.name)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """No signal stops the block: a roll-back or a clean-up must not be left half-done."""
    before = {signum: signal.signal(signum, _nothing) for signum in _SIGNALS}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _nothing(_signum: int, _frame: object) -> None:
    """Instead of SIG_IGN, which the programs that are started meanwhile would inherit: nothing could end them."""

"""What users met while a command ran: requests, how many failed, and how long the slow ones took, from all proxies."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping
from typing import Any

from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.outcome import Outcome, Users
from jenkins_proxy.errors import ProbeFailed, ProxyError, Stopped

_ID_BYTES = 8


class TooManyErrors(ProbeFailed):
    """More of the users' requests failed meanwhile than ``--max-errors`` allows."""


class Counting:
    """The count of one service's users, from now until it is stopped.

    A daemon that cannot count is no reason not to deploy, unless ``--max-errors`` was given.
    """

    def __init__(self, context: Context, service: str, max_errors: int | None) -> None:
        """Begin to count.

        :param max_errors: how many requests may fail; None for any number.
        :raises ProxyError: when the daemon cannot count, and that matters.
        """
        self._context = context
        self._service = service
        self._max_errors = max_errors
        self._counting = False
        self._id = secrets.token_hex(_ID_BYTES)
        try:
            context.proxy.count_users(service, self._id)
            self._counting = True
        except ProxyError as error:
            if max_errors is not None:
                raise
            context.console.warning(f"users are not counted meanwhile: {error.message}")

    def check(self) -> None:
        """Compare with what is allowed.

        :raises TooManyErrors: when more requests have failed by now.
        """
        if self._counting and self._max_errors is not None:
            self.judge(_parse(self._context.proxy.users(self._service)))

    def stop(self) -> Users | None:
        """Stop counting, and say what users met.

        :return: None when nobody counted.
        """
        if not self._counting:
            return None
        self._counting = False
        try:
            users = _parse(self._context.proxy.stop_counting(self._service, self._id))
        except ProxyError as error:
            self._context.console.warning(f"what users met meanwhile is not known: {error.message}")
            return None
        if users is None:
            self._context.console.warning("what users met meanwhile is not known: the count was lost")
        else:
            self._context.console.step(str(users))
        return users

    def judge(self, users: Users | None) -> None:
        """Compare what users met with what is allowed.

        :raises TooManyErrors: when more requests have failed, or when nobody knows.
        """
        if self._max_errors is None:
            return
        if users is None:
            raise TooManyErrors(f"--max-errors {self._max_errors}: what users met meanwhile is not known")
        if users.failed > self._max_errors:
            raise TooManyErrors(
                f"{users}: more failed than --max-errors {self._max_errors} allows", "see the service's log"
            )


def finish(counting: Counting | None, outcome: Outcome) -> Outcome:
    """Stop counting at the end of a command, and judge a success by what users met.

    :param counting: None where nobody counts.
    :return: the outcome, with the numbers; failed where more requests failed than are allowed.
    """
    if counting is None:
        return outcome
    try:
        met = counting.stop()
    except Stopped as error:
        return outcome.stopped_late(error)
    outcome = dataclasses.replace(outcome, users=met)
    if outcome.error is None and outcome.candidate is None:  # what is held has met no user
        try:
            counting.judge(met)
        except TooManyErrors as error:
            return outcome.failed(error, "retire", text="the new instances serve: it was found out too late to revert")
    return outcome


def _parse(answer: Mapping[str, Any] | None) -> Users | None:
    """The daemon's numbers; None when there is no such count."""
    if answer is None:
        return None
    return Users(int(answer["requests"]), int(answer["failed"]), answer["p99_ms"], answer["exact"] is True)

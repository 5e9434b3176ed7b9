"""The proof: a request through the entry, as a user makes it, until a NEW instance has answered with a good status.

A candidate is asked for by the deploy's own key, see :mod:`jenkins_proxy.deployment.steps.verify`. Through the users'
door the header ``X-Jenkins-Proxy-Probe`` with the daemon's key makes the proxy say which instance answered, in
``X-Jenkins-Proxy-Instance``. An answer without that header proves nothing, however good its status: the entry may
lead to another web server. So it never counts; a load balancer before the proxy has to let both headers through.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jenkins_proxy import retry
from jenkins_proxy.deployment.context import Check, Context
from jenkins_proxy.deployment.timing import Timing
from jenkins_proxy.errors import ProbeFailed, UsageError, root_cause
from jenkins_proxy.model import Address, Route
from jenkins_proxy.validation import few

if TYPE_CHECKING:
    import requests

INSTANCE_HEADER = "X-Jenkins-Proxy-Instance"
_BODY = 2048
_LINE = 200


@dataclass(frozen=True)
class Question:
    """What to ask the entry.

    :ivar entry: where users enter: ``http://10.100.198.200``.
    :ivar path: with its leading slash.
    :ivar check: which answers are good, and the host to ask for.
    :ivar host: for the Host header; empty means the entry's own.
    :ivar headers: more of them: those that make the proxy name the instance. Their values may be secrets.
    """

    entry: str
    path: str
    check: Check = Check()
    host: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    cacert: str = ""

    def __str__(self) -> str:
        return f"GET {self.entry}{self.path}" + (f" (Host: {self.host})" if self.host else "")


class _NotYet(Exception):
    """Not the answer that is waited for; its text says what came instead, and ``hint`` what to do about it.

    :ivar by: the instance that answered with an error, if that is known.
    """

    def __init__(self, seen: str, hint: str, by: str = "") -> None:
        super().__init__(seen)
        self.hint = hint
        self.by = by


def question(entry: str, route: Route, check: Check, headers: Mapping[str, str], *, cacert: str = "") -> Question:
    """The request that this route has to answer.

    :param headers: those that make the proxy name the instance, beside those that the route asks for.
    :param cacert: a file with the authority of an https entry; the system's when empty.
    """
    path = check.path or route.check_path or route.page
    return Question(entry, path, check, check.host or route.host, {**route.request_headers, **headers}, cacert)


def key_header(answer: Mapping[str, Any]) -> dict[str, str]:
    """The header that makes the proxy name the instance, from the daemon's answer about a route."""
    probe = answer.get("probe") or {}
    return {probe["header"]: probe["key"]} if probe.get("header") else {}


def until_new(
    asked: Question,
    new: Collection[Address],
    deadline: retry.Deadline,
    timing: Timing | None = None,
    *,
    error_seconds: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Address:
    """Ask until one of the new instances has answered well, as many times in a row as the check says.

    :param new: addresses of which one has to answer.
    :param deadline: of the proof.
    :param timing: None means the usual times.
    :param error_seconds: from the first error with which a new instance answers; None means ``timing.probe_error``.
    :param sleep: called between two requests, with the seconds.
    :return: the address that answered.
    :raises ProbeFailed: with the last answer that was not good enough.
    """
    import requests  # here, as it takes as long to load as everything else before a command's first line

    timing = timing or Timing()
    patience = timing.probe_error if error_seconds is None else error_seconds
    # The latest error of a new instance says more than the good answers of old ones that come after it.
    error: _NotYet | None = None
    error_deadline: retry.Deadline | None = None
    with requests.Session() as session:
        # The entry is inside: HTTP_PROXY and netrc are for other hosts, and a proxy would hide what users meet.
        session.trust_env = False
        session.verify = asked.cacert or True

        def once() -> Address:
            nonlocal error, error_deadline
            try:
                answered = [
                    _ask(session, asked, new, max(min(timing.probe_answer, deadline.remaining), 0.5))
                    for _ in range(asked.check.count)
                ]
                return answered[-1]
            except _NotYet as seen:
                if seen.by in {str(address) for address in new}:
                    # It listens, and will hardly get better: the reader is not left waiting.
                    error, error_deadline = seen, error_deadline or deadline.within(patience)
                if error and error_deadline and error_deadline.expired:
                    raise _failed(asked, error) from seen
                raise

        try:
            return retry.retry(once, deadline, (_NotYet,), min_pause=0.02, max_pause=0.5, sleep=sleep)
        except _NotYet as seen:
            raise _failed(asked, error or seen) from seen


def _failed(asked: Question, seen: _NotYet) -> ProbeFailed:
    return ProbeFailed(f"{asked}: {seen}", seen.hint)


def _ask(session: requests.Session, asked: Question, new: Collection[Address], timeout: float) -> Address:
    import requests

    # A connection of its own each time, so that the proxy chooses an instance anew.
    headers = {"Connection": "close", "User-Agent": "jenkins-proxy", **asked.headers}
    if asked.host:
        headers["Host"] = asked.host
    try:
        with session.get(
            asked.entry + asked.path, headers=headers, timeout=timeout, allow_redirects=False, stream=True
        ) as answer:
            return _judge(answer, asked.check, new)
    except requests.RequestException as error:
        hint = "does --entry (JENKINS_PROXY_ENTRY) name where users enter?"
        raise _NotYet(f"no answer: {root_cause(error)}", hint) from error


def _judge(answer: requests.Response, check: Check, new: Collection[Address]) -> Address:
    named = answer.headers.get(INSTANCE_HEADER, "")
    by = f" from {named}" if named else ""
    if answer.status_code not in check.statuses:
        raise _NotYet(
            f"HTTP {answer.status_code}{by}: {_first_line(answer)}",
            f"see the service's log; --check-path names a path that answers with {check.statuses}",
            named,
        )
    if not named:
        raise _NotYet(
            f"HTTP {answer.status_code}, but not through this proxy: the answer has no {INSTANCE_HEADER}",
            "set --entry (JENKINS_PROXY_ENTRY) to where the daemon at --proxy serves users",
        )
    for address in new:
        if str(address) == named:
            return address
    raise _NotYet(
        f"HTTP {answer.status_code}, but only from {named}, which is not one of the new instances ({few(new)})",
        "does the proxy reach the new instances?",
    )


def _first_line(answer: requests.Response) -> str:
    import requests

    try:
        text = next(answer.iter_content(_BODY), b"").decode("utf-8", "replace")
    except requests.RequestException:
        # What failed may have failed in the middle of its error page.
        return "a body that breaks off"
    return next((line.strip()[:_LINE] for line in text.splitlines() if line.strip()), "an empty body")


def until_connected(
    context: Context,
    service: str,
    wanted: Collection[Address],
    deadline: retry.Deadline,
    *,
    serving: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Address]:
    """Ask the daemon until instances have taken a connection of its own and kept it: what proves those of a route of
    connections, through which nothing can be asked.

    :param wanted: all of these, or one of them when users have to meet it.
    :param serving: whether users have to meet it.
    :param sleep: called between two questions, with the seconds.
    :return: those that have.
    :raises ProbeFailed: with what keeps the first of the others.
    """

    def once() -> list[Address]:
        answer = context.proxy.get_route(service) or {}
        rows = {Address(row["address"], row["port"]): row for row in answer.get("instances", ())}
        reasons = {address: _unconnected(rows.get(address), serving) for address in wanted}
        connected = [address for address, reason in reasons.items() if not reason]
        if connected and (serving or len(connected) == len(reasons)):
            return connected
        late = next(address for address, reason in reasons.items() if reason)
        raise _NotYet(f"{late} {reasons[late]}", "see the service's log: does it listen at this port?")

    try:
        return retry.retry(once, deadline, (_NotYet,), min_pause=0.05, max_pause=0.5, sleep=sleep)
    except _NotYet as seen:
        raise ProbeFailed(f"connections of {service}: {seen}", seen.hint) from seen


def _unconnected(row: Mapping[str, Any] | None, serving: bool) -> str:
    """What an instance of the daemon's answer lacks; empty when it has taken a connection."""
    if row is None:
        return "is not known to the proxy"
    if row["waiting_seconds"]:
        return "takes no connection, or drops it at once"
    good = ("serving",) if serving else ("serving", "candidate")
    return "" if row["state"] in good else f"is {row['state']}"


def names_page(route: Route) -> bool:
    """Whether the route itself names a path to probe."""
    return bool(route.page)


def verify_route(
    context: Context, route: Route, check: Check, answer: Mapping[str, Any], instances: Collection[Address]
) -> Address:
    """Ask through the users' door until one of the instances has answered through the route.

    :param answer: the daemon's, about the route.
    :param instances: of which one has to answer.
    :return: the instance that answered.
    :raises UsageError: when neither the route nor the check names a page.
    :raises ProbeFailed: when none of them answers well in time.
    """
    if route.tcp:
        deadline = context.deadline.within(context.timing.probe)
        return until_connected(context, route.service, instances, deadline, serving=True)[0]
    settings = context.settings
    asked = question(settings.entry, route, check, key_header(answer), cacert=settings.proxy_cacert)
    if not asked.path:
        raise UsageError(f"the route of {route.service} names no page to probe", "give --check-path")
    context.console.step(f"probe: {asked}")
    answered = until_new(asked, instances, context.deadline.within(context.timing.probe), context.timing)
    context.console.step(f"probe: answered by {answered}")
    return answered

"""The service's route in the proxy: check what is asked, put it, put it back, take it away."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from jenkins_proxy import validation
from jenkins_proxy.clients.proxy import ProxyClient
from jenkins_proxy.deployment.context import Check, Context
from jenkins_proxy.deployment.outcome import Outcome
from jenkins_proxy.deployment.steps.probe import names_page
from jenkins_proxy.errors import JenkinsProxyError, ProxyError, UsageError
from jenkins_proxy.model import Address, Route
from jenkins_proxy.retry import Deadline
from jenkins_proxy.route_options import table
from jenkins_proxy.signals import undisturbed


def put(context: Context, route: Route, *, allow_empty: bool = False) -> dict[str, Any]:
    """Make the proxy serve the route, and say what it did.

    :return: the daemon's answer: ``instances, probe, applied, version`` …
    :raises ProxyError: when the daemon refuses, or does not serve it in time.
    """
    context.confirm()
    timeout = max(1.0, min(context.timing.put_route, context.deadline.remaining))
    answer = context.proxy.put_route(route, allow_empty=allow_empty, timeout=timeout, proxies=context.proxies_seconds)
    how = {"reload": "by a reload", "runtime": "without a reload", "none": "nothing to change"}
    context.console.step(
        f"reconfigure: the proxy serves {describe(route)} with {len(serving(answer))} instance(s), "
        f"{how.get(answer['applied'], answer['applied'])}"
    )
    context.report_laggards(answer)
    return answer


def current(proxy: ProxyClient, service: str) -> Route | None:
    """The service's route as the proxy has it now."""
    answer = proxy.get_route(service)
    return Route.from_dict(answer["route"]) if answer else None


def if_reachable(context: Context, service: str) -> Route | None:
    """The service's route, or None where there is none or no proxy: a service can be scaled without one.

    :raises ProxyError: when someone said where a proxy is, and it does not answer.
    """
    try:
        return current(context.proxy, service)
    except ProxyError as error:
        if context.settings.given("proxy"):
            raise
        context.console.warning(f"{error.message}; going on without the proxy")
        return None


def put_back(context: Context, service: str, before: Route | None) -> dict[str, Any] | None:
    """The route that was before a deploy, or none where there was none.

    :return: the daemon's answer about the route; None when it was taken away.
    """
    if before is not None:
        return put(context, before, allow_empty=True)
    context.confirm()
    context.report_laggards(context.proxy.remove_route(service, proxies=context.proxies_seconds) or {})
    return None


def restore(context: Context, service: str, before: Route | None, outcome: Outcome) -> Outcome:
    """Put the route of before back, after the command that changed it has failed.

    :param before: as the proxy had it; None where it had none.
    :param outcome: of the command so far.
    :return: the outcome, with the route that the proxy serves now, and what that is in words.
    """
    at_most = context.with_deadline(Deadline(context.timing.put_route))
    context.confirm()
    with undisturbed():
        try:
            put_back(at_most, service, before)
        except JenkinsProxyError as error:
            return dataclasses.replace(outcome, text=f"the route is NOT as before: {error.message}")
    text = f"the proxy serves {describe(before)} as before" if before else f"there is no route of {service}, as before"
    return dataclasses.replace(outcome, route=before, url="", reverted=True, text=text)


def serving(answer: Mapping[str, Any]) -> list[Address]:
    """The instances to which the proxy sends new requests, by the daemon's answer about a route."""
    return [Address(i["address"], i["port"]) for i in answer["instances"] if i["serving"]]


def describe(route: Route) -> str:
    """A route in a line: ``example.com/api/v1/books (books-ms-blue)``."""
    if route.tcp:
        return ", ".join(f"{domain} port {route.src_port}".lstrip() for domain in route.domains or ("",))
    domains = route.domains or ("",)
    places = [f"{domain}{path}" for domain in domains for path in (route.paths or ("/",))]
    color = f" ({route.registry_name})" if route.color else ""
    return ", ".join(places) + color


def url(entry: str, route: Route) -> str:
    """Where users reach it: the entry, under the first domain where the route has one; empty for connections."""
    if route.tcp:
        return ""
    parts = urlsplit(entry)
    path = route.page or "/"
    host = route.host
    if not host:
        return f"{entry}{path}"
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{path}"


def check_route(route: Route, check: Check) -> Route:
    """A route whose every value is good, and whose instances can be asked for a page, or for a connection.

    :return: the route.
    :raises UsageError: for a value that its grammar does not allow, or a route whose instances nothing would prove.
    """
    table.check_route(route, table.CLI_WORDS)
    check_page(check)
    if route.tcp:
        return _check_connections(route, check)
    if route.domains and not route.host and not check.host:
        raise UsageError(
            f"--domain-algo {route.domain_algo} names no host to probe", "give --check-host: one that the route matches"
        )
    if not (check.path or route.check_path or names_page(route)):
        raise UsageError(
            f"--path {route.paths[0][:80]!r} with --path-type {route.path_type} names no page to probe",
            "give --check-path: a path that the route matches and the service answers",
        )
    return route


def _check_connections(route: Route, check: Check) -> Route:
    mode = f"--req-mode {route.req_mode}"
    given = [option for option, text in (("--check-path", check.path), ("--check-host", check.host)) if text]
    if given:
        raise UsageError(f"{mode} goes without {' and '.join(given)}: a connection is no request")
    if route.skip_check:
        raise UsageError(
            f"{mode} with --skip-check leaves nothing to prove an instance by",
            "leave --skip-check out, or use --no-proxy",
        )
    return route


def check_page(check: Check) -> None:
    """A check whose values can stand in a request.

    :raises UsageError: when one cannot.
    """
    if check.path:
        validation.check_page(check.path, "--check-path")
    if check.host:
        validation.check_domain(check.host, "--check-host")

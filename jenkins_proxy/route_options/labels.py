"""The compose labels of a target as fields of its route: our own, and those of Docker Flow: Swarm Listener. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from jenkins_proxy import validation
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.route_options import docker_flow, http_values
from jenkins_proxy.route_options.option import DOCKER_FLOW_LABEL_PREFIX, LABEL_PREFIX
from jenkins_proxy.route_options.query import Query
from jenkins_proxy.route_options.table import OPTIONS


def with_labels(route: Route, labels: Mapping[str, str], given: Collection[str] = ()) -> Route:
    """Complete a route with the compose labels of its target: a label is a default, and arguments win over it.

    Labels of our own win over those of Docker Flow: Swarm Listener, which have the names of Docker Flow: Proxy's
    parameters and give paths and domains, too, where no argument does.

    :param labels: all labels of the compose service; those without one of the two prefixes are not looked at.
    :param given: the fields that arguments have given.
    :raises UsageError: for a label with our prefix that is none of the table's, or one whose value is not allowed.
    """
    options = {option.label: option for option in OPTIONS if option.labelled}
    unknown = sorted(name for name in labels if name.startswith(LABEL_PREFIX) and name not in options)
    if unknown:
        raise UsageError(
            f"unknown label(s) {', '.join(name + validation.meant(name, options) for name in unknown)}",
            f"known: {', '.join(options)}",
        )
    values = _docker_flow_labels(route, labels)
    if "domains" in given and f"{DOCKER_FLOW_LABEL_PREFIX}serviceDomainAlgo" not in labels:
        # How the labels' own domains match says nothing of others.
        values.pop("domain_algo", None)
    for label, option in options.items():
        if label not in labels:
            continue
        value = option.parse(labels[label])
        if value in ("", ()):
            raise validation.not_allowed(label, labels[label], "a value")
        option.check(value, label)
        values[option.name] = value
    return dataclasses.replace(route, **{name: value for name, value in values.items() if name not in given})


def _docker_flow_labels(route: Route, labels: Mapping[str, str]) -> dict[str, Any]:
    """The fields that labels of Docker Flow: Swarm Listener give. What a deploy itself says is not read."""
    prefix = DOCKER_FLOW_LABEL_PREFIX
    pairs = [(name.removeprefix(prefix), text) for name, text in labels.items() if name.startswith(prefix)]
    if not pairs:
        return {}
    query = Query([(name, text) for name, text in pairs if name != "serviceName"] + [("serviceName", route.service)])
    options = tuple(option for option in OPTIONS if option.docker_flow)
    try:
        values, *more = docker_flow.fields(query, options, _no_clear_text, _no_secret)
        if more:
            raise UsageError(
                "port: a deploy has one route", "leave the labels with an index out, or deploy without them"
            )
        names = docker_flow.given(query, options) - {"service", "color"}
        for option in options:
            if option.name in names:
                option.check(values[option.name], prefix + option.docker_flow)
    except UsageError as error:
        raise (
            error if error.message.startswith(prefix) else UsageError(f"{prefix}{error.message}", error.hint)
        ) from error
    return {name: values[name] for name in names}


def _no_clear_text(_password: str, _service: str, user: str) -> str:
    raise UsageError(
        f"users {user}: a password in clear can be read by everybody who may look at the container",
        f"{http_values.HASH_HINT}, and add the label {DOCKER_FLOW_LABEL_PREFIX}usersPassEncrypted=true",
    )


def _no_secret(name: str) -> str:
    raise UsageError(f"usersSecret {name[:40]!r}: only the proxy has its secrets", "give users with their hashes")

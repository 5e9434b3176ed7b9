"""The services of a Docker Flow: Proxy as routes of ours: from its JSON, or from its keys of 2016. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jenkins_proxy.clients.consul.models import KvPair
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.route_options import docker_flow
from jenkins_proxy.route_options.passwords import sha512_hash
from jenkins_proxy.route_options.query import Query
from jenkins_proxy.route_options.table import DOCKER_FLOW_WORDS, OPTIONS, check_route

_OPTIONS = tuple(option for option in OPTIONS if option.docker_flow)
_PARAMETERS = {
    name.lower(): name
    for name in (*(option.docker_flow for option in _OPTIONS), *docker_flow.REFUSED, "port")
    if name != "users"
}
_KEYS = {
    "path": "servicePath",
    "domain": "serviceDomain",
    "hostname": "outboundHostname",
    "port": "port",
    "color": "serviceColor",
    "pathtype": "pathType",
    "skipcheck": "skipCheck",
    "consultemplatefepath": "consulTemplateFePath",
    "consultemplatebepath": "consulTemplateBePath",
}


@dataclass(frozen=True)
class Imported:
    """What becomes of one service.

    :ivar routes: those that it moves to; none where it does not move.
    :ivar reason: why it does not.
    """

    service: str
    routes: tuple[Route, ...] = ()
    reason: str = ""


def from_json(services: Mapping[str, Any]) -> list[Imported]:
    """From what the last version answers to ``config?type=json``: services by name."""
    return [_imported(name, _parameters(name, data)) for name, data in sorted(services.items())]


def from_keys(pairs: Iterable[KvPair], instance: str) -> list[Imported]:
    """From the keys ``<instance>/<service>/path`` and so on."""
    found: dict[str, list[tuple[str, str]]] = {}
    for pair in pairs:
        service, slash, key = pair.key.removeprefix(f"{instance}/").partition("/")
        if slash and key in _KEYS:
            text = pair.value.decode(errors="replace")
            found.setdefault(service, []).append((_KEYS[key], _domains(text) if key == "domain" else text))
    # What has no path there is another program's: the keys of a deploy are beside them.
    return [_imported(name, own) for name, own in sorted(found.items()) if any(key == "servicePath" for key, _ in own)]


def _imported(service: str, parameters: Iterable[tuple[str, str]]) -> Imported:
    query = Query([("serviceName", service), *parameters])
    try:
        found = docker_flow.fields(query, _OPTIONS, sha512_hash, _no_secret)
        routes = tuple(Route(**values) for values in found)
        for route in routes:
            check_route(route, DOCKER_FLOW_WORDS)
    except UsageError as error:
        return Imported(service, reason=f"{error.message}; {error.hint}" if error.hint else error.message)
    return Imported(service, routes)


def _no_secret(name: str) -> str:
    raise UsageError(f"usersSecret {name}: its users are not known")


def _parameters(service: str, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The parameters of a call that makes this service."""
    yield from _values(data, "")
    places = data.get("ServiceDest") or []
    for number, place in enumerate(places, 1):
        yield from _values(place, f".{number}" if len(places) > 1 else "")
    users = [_user(service, user) for user in data.get("Users") or []]
    if users:
        yield from (("users", ",".join(users)), ("usersPassEncrypted", "true"))


def _values(data: Mapping[str, Any], suffix: str) -> Iterator[tuple[str, str]]:
    for name, value in data.items():
        parameter, text = _PARAMETERS.get(name.lower(), ""), _text(value)
        if parameter == "serviceDomain":
            text = _domains(text)
        if parameter and text and parameter != "serviceName":
            yield parameter + suffix, text


def _domains(text: str) -> str:
    """Domains as the parameter has them: it has cut the ``*`` off ``*.example.com`` by then."""
    return re.sub(r"(?:(?<=,)|^)\.", "*.", text)


def _user(service: str, data: Mapping[str, Any]) -> str:
    name, password = str(data.get("Username", "")), str(data.get("Password", ""))
    return f"{name}:{password if data.get('PassEncrypted') else sha512_hash(password, service, name)}"


def _text(value: Any) -> str:
    """A value of Go's JSON as the parameter has it; empty where it is the zero value."""
    if isinstance(value, bool):
        return "true" if value else ""
    if isinstance(value, Mapping):
        # A User-Agent with its ACL's name, or headers by their names.
        return _text(value["Value"] if "Value" in value else [f"{key}:{own}" for key, own in value.items()])
    if isinstance(value, list):
        return ",".join(str(item).replace(",", "\\,") for item in value)
    return str(value) if value else ""

"""The services that a Docker Flow: Proxy's environment declares, ``DFP_SERVICE_1_SERVICE_NAME`` and so on.

They are calls of ``reconfigure`` that the daemon makes itself, at each start: what is declared wins over what was put
since the last one. A variable has the name of its parameter, in capital letters with ``_`` between its words.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from jenkins_proxy.errors import JenkinsProxyError, RegistryError, UsageError
from jenkins_proxy.proxy.api.docker_flow import params as docker_flow_params
from jenkins_proxy.proxy.api.docker_flow.params import PARAMETERS, Reconfigure
from jenkins_proxy.proxy.models import ConflictError
from jenkins_proxy.route_options.docker_flow import MAX_DESTINATIONS
from jenkins_proxy.route_options.query import Query

_LOG = logging.getLogger(__name__)

PREFIX = "DFP_SERVICE"
_VARIABLE = re.compile(
    rf"(?P<service>{PREFIX}(?:_[1-9][0-9]{{0,3}})?)_(?P<words>[A-Z_]+[A-Z])(?:_(?P<index>[0-9]{{1,2}}))?"
)


def variable(parameter: str) -> str:
    """The end of the variable's name: ``SERVICE_PATH`` of ``servicePath``."""
    return re.sub(r"([A-Z])", r"_\1", parameter).upper()


_PARAMETERS = {variable(name): name for name in PARAMETERS}


def calls(
    environ: Mapping[str, str],
    secret: Callable[[str], str] = docker_flow_params.no_secret,
    separator: str = ",",
    users: Sequence[str] = (),
) -> tuple[Reconfigure, ...]:
    """The calls that the environment stands for, in order.

    :param secret: the text of the file of users that ``USERS_SECRET`` names.
    :param separator: what stands between the items of a list.
    :param users: ``name:hash`` of those of all services.
    :raises UsageError: for a service that is not allowed, by the beginning of its variables' names.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for service, parameter, text in _given(environ):
        if parameter:
            found.setdefault(service, []).append((parameter, text))
    made = []
    for service in sorted(found, key=lambda name: int(name.removeprefix(PREFIX).lstrip("_") or 0)):
        query = Query(found[service])
        try:
            if not query.text("serviceName"):
                raise UsageError(f"{service}_SERVICE_NAME is not set", "name the service, or unset its other variables")
            call = docker_flow_params.parse_reconfigure(query, secret, separator, users)
            # Declared is declared: its instances may come later.
            made.append(dataclasses.replace(call, allow_empty=True, wait=0.0))
        except UsageError as error:
            message = error.message if error.message.startswith(PREFIX) else f"{service}: {error.message}"
            raise UsageError(message, error.hint) from error
    return tuple(made)


def warnings(environ: Mapping[str, str]) -> list[str]:
    """The variables that stand for no parameter, for people."""
    services = {service for service, parameter, _ in _given(environ) if parameter}
    return [
        f"{name} is passed over: there is no such parameter"
        for name, text in environ.items()
        if text and (match := _VARIABLE.fullmatch(name)) and match["service"] in services and not _parameter(match)
    ]


def _given(environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """The service, the parameter and the text of each variable; an empty parameter where there is none such."""
    for name, text in environ.items():
        match = _VARIABLE.fullmatch(name)
        if match and text:
            yield match["service"], _parameter(match), text


def _parameter(match: re.Match[str]) -> str:
    name, index = _PARAMETERS.get(match["words"], ""), match["index"]
    if not name or not index:
        return name
    return f"{name}.{int(index)}" if 1 <= int(index) <= MAX_DESTINATIONS else ""


async def put(found: Sequence[Reconfigure], apply: Callable[[Reconfigure], Awaitable[None]], pause: float) -> None:
    """Make the calls. What is refused is logged, and the others go on.

    :param apply: makes one.
    :param pause: seconds between two attempts while the registry does not answer.
    """
    for call in found:
        while True:
            try:
                await apply(call)
            except RegistryError:
                await asyncio.sleep(pause)
                continue
            except (UsageError, ConflictError) as error:
                _LOG.error("%s of the environment is refused: %s", call.service, error.message)
            except JenkinsProxyError as error:
                _LOG.error("%s of the environment does not serve: %s", call.service, error.message)
            break

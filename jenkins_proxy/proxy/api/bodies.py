"""What the bodies of requests hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from aiohttp import web

from jenkins_proxy import validation
from jenkins_proxy.aio import with_timeout
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.api.openapi.schemas import body_fields
from jenkins_proxy.route_options.table import OPTIONS, check_route

_BODY_SECONDS = 10.0
_FIELDS = tuple(option.name for option in OPTIONS)


def service_of(request: web.Request) -> str:
    """The service that the URL names."""
    return validation.check_service(request.match_info["service"])


async def read(request: web.Request) -> bytes:
    """The body, as it came.

    :raises TimeoutError: when it does not arrive. RequestPayloadError: when it cannot be read, or who sends it is gone.
    """
    try:
        return await with_timeout(request.read(), _BODY_SECONDS)
    except ConnectionError as error:
        raise web.RequestPayloadError(str(error)) from error


async def json_object(request: web.Request, schema: str) -> dict[str, Any]:
    """The body.

    :param schema: the name of the schema that has its fields.
    :raises UsageError: when it is no JSON object, or has other fields. As :func:`read`.
    """
    # Not its text: JSON is UTF-8, whatever charset a header names.
    body = await read(request)
    try:
        data = validation.parse_json(body)
    except ValueError as error:
        raise UsageError(f"the request's body is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise UsageError("the request's body is not a JSON object")
    refuse_unknown(data, body_fields(schema), "the body")
    return data


def refuse_unknown(data: Mapping[str, Any], known: Collection[str], what: str) -> None:
    """:raises UsageError: for a field that is none."""
    unknown = [f"{str(key)[:40]}{validation.meant(str(key), known)}" for key in sorted(data) if key not in known]
    if unknown:
        raise UsageError(f"{what} has unknown fields: {validation.few(unknown)}", f"known: {', '.join(known)}")


def route(service: str, data: Mapping[str, Any]) -> Route:
    """The route of a service. :raises UsageError: for a field or a value that is not allowed."""
    refuse_unknown(data, _FIELDS, "the route")
    if data.get("service", service) != service:
        raise UsageError(f"the body's service is not the URL's, which is {service}")
    given = Route.from_dict({**data, "service": service})
    check_route(given)
    return given


def addresses(data: Mapping[str, Any], field: str = "addresses", *, empty: bool = False) -> tuple[Address, ...]:
    """Addresses in a field.

    :param empty: whether there may be none, or no such field.
    :raises UsageError: for what is none.
    """
    given = data.get(field, [] if empty else None)
    if not isinstance(given, list) or not (given or empty):
        raise UsageError(f"{field} is missing", f'send {{"{field}": ["10.0.0.1:32768"]}}')
    return tuple(validation.parse_address(text, field) for text in given)


def seconds(data: Mapping[str, Any], field: str, default: float, maximum: float) -> float:
    """A number of seconds in a field. :raises UsageError: for what is none."""
    value = data.get(field, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= maximum:
        raise validation.not_allowed(field, value, f"seconds from 0 to {maximum:g}")
    return value

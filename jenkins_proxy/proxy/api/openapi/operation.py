"""A call of the API as the OpenAPI document describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jenkins_proxy.proxy.api.openapi.schemas import reference

JSON = "application/json"
TEXT = {"type": "string"}
_ERRORS = {
    400: "A value is not allowed, or HAProxy refuses the route.",
    401: "The token is missing or wrong.",
    403: "The caller's role is not enough, the request looks like a web page's, or its Host is unknown.",
    404: "There is no such route, no such count, or no such certificate.",
    409: "No live instance, another service has one of the paths, another deploy holds the service, or the certificate "
    "is a file's.",
    500: "Docker Flow: Proxy's status for every other failure.",
    503: "HAProxy or the registry does not answer, or HAProxy does not serve.",
}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a call.

    :ivar place: ``query``, ``path`` or ``header``.
    """

    name: str
    description: str
    schema: dict[str, Any]
    place: str = "query"
    required: bool = False

    def as_dict(self) -> dict[str, Any]:
        """In the document's form."""
        return {
            "name": self.name,
            "in": self.place,
            "description": self.description,
            "required": self.required,
            "schema": self.schema,
        }


@dataclass(frozen=True)
class Operation:
    """A call.

    :ivar path: with parameters as ``{name}``.
    :ivar answer: the name of the schema of a good answer; empty for one that is no JSON.
    :ivar media: of a good answer.
    :ivar body: the name of the schema of the request's body; empty without one.
    :ivar text_body: the media type of a request's body that is text; empty without one.
    :ivar role: what the caller needs, where callers have roles; empty: nothing.
    :ivar errors: the statuses of failures.
    :ivar error: the name of the schema of a failure.
    """

    method: str
    path: str
    summary: str
    answer: str = ""
    media: str = JSON
    parameters: tuple[Parameter, ...] = ()
    body: str = ""
    text_body: str = ""
    role: str = ""
    errors: tuple[int, ...] = ()
    error: str = "Error"

    def as_dict(self) -> dict[str, Any]:
        """In the document's form."""
        good = reference(self.answer) if self.answer else TEXT
        responses = {"200": {"description": "Done.", "content": {self.media: {"schema": good}}}}
        for status in self.errors:
            responses[str(status)] = _failure(status, self.error)
        if self.role:
            responses.update({str(status): _failure(status, "Error") for status in (401, 403)})
        operation: dict[str, Any] = {
            "summary": self.summary,
            "parameters": [parameter.as_dict() for parameter in self.parameters],
            "responses": responses,
        }
        if self.body:
            operation["requestBody"] = {"required": True, "content": {JSON: {"schema": reference(self.body)}}}
        if self.text_body:
            operation["requestBody"] = {"required": True, "content": {self.text_body: {"schema": TEXT}}}
        if self.role:
            operation["security"] = [{"token": [self.role]}, {"certificate": [self.role]}]
        return operation


def _failure(status: int, schema: str) -> dict[str, Any]:
    return {"description": _ERRORS[status], "content": {JSON: {"schema": reference(schema)}}}

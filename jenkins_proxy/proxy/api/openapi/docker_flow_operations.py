"""Docker Flow: Proxy's calls: by GET and POST, with and without a slash at the end."""

from __future__ import annotations

from collections.abc import Iterator

from jenkins_proxy.proxy.access.callers import Role
from jenkins_proxy.proxy.api.openapi.operation import TEXT, Operation, Parameter
from jenkins_proxy.proxy.api.openapi.operations import ALLOW_EMPTY, DRY_RUN, FLAG, TAKE_OVER, WAIT
from jenkins_proxy.route_options.option import Kind
from jenkins_proxy.route_options.table import OPTIONS

_PREFIX = "/v1/docker-flow-proxy"
_RECONFIGURE = (
    *(
        Parameter(
            option.docker_flow,
            f"{option.meaning[0].upper()}{option.meaning[1:]}.",
            FLAG if option.kind is Kind.FLAG else TEXT,
            required=option.name == "service",
        )
        for option in OPTIONS
        if option.docker_flow
    ),
    Parameter("port", "The port of outboundHostname.", TEXT),
    WAIT,
    ALLOW_EMPTY,
    TAKE_OVER,
    DRY_RUN,
)
_REMOVE = (Parameter("serviceName", "The service whose route goes.", TEXT, required=True), DRY_RUN)


def docker_flow_operations() -> Iterator[Operation]:
    """Every call of Docker Flow: Proxy."""
    yield from _certificates()
    answer = "DockerFlowAnswer"
    for method in ("get", "post"):
        for slash in ("", "/"):
            for path, text, parameters, errors in (
                (f"{_PREFIX}/reconfigure", "Docker Flow: Proxy's reconfigure.", _RECONFIGURE, (400, 409, 500)),
                (f"{_PREFIX}/remove", "Docker Flow: Proxy's remove.", _REMOVE, (400, 500)),
            ):
                yield Operation(
                    method,
                    path + slash,
                    text,
                    answer,
                    parameters=parameters,
                    role=Role.CHANGE,
                    errors=errors,
                    error=answer,
                )
            yield Operation(
                method,
                f"{_PREFIX}/reload{slash}",
                "Docker Flow: Proxy's reload: an empty answer.",
                media="application/octet-stream",
                role=Role.CHANGE,
                errors=(500,),
                error=answer,
            )
            yield Operation(
                method, f"{_PREFIX}/config{slash}", "The haproxy.cfg that runs.", media="text/plain", role=Role.READ
            )
            for path in (f"{_PREFIX}/ping", "/v1/test", "/v2/test"):
                yield Operation(method, path + slash, "Whether the daemon answers.", answer)


def _certificates() -> Iterator[Operation]:
    """Its calls for the certificates that users meet."""
    answer = "DockerFlowCertificates"
    for slash in ("", "/"):
        yield Operation(
            "put",
            f"{_PREFIX}/cert{slash}",
            "Docker Flow: Proxy's cert: as PUT /v1/certs.",
            answer,
            parameters=(Parameter("certName", "The certificate's name.", TEXT, required=True),),
            text_body="application/x-pem-file",
            role=Role.CHANGE,
            errors=(400, 409, 500),
            error=answer,
        )
        yield Operation(
            "get",
            f"{_PREFIX}/certs{slash}",
            "Docker Flow: Proxy's certs, without the keys.",
            answer,
            role=Role.READ,
        )

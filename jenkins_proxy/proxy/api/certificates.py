"""``/v1/certs``: list, put and delete certificates, and Docker Flow: Proxy's calls for them. Never a key."""

from __future__ import annotations

import json
import time
from typing import Any

from aiohttp import web

from jenkins_proxy import validation
from jenkins_proxy.certificate_dates import DAY, when
from jenkins_proxy.certificate_files import CertificateFiles
from jenkins_proxy.errors import JenkinsProxyError, UsageError
from jenkins_proxy.proxy.access.callers import Role
from jenkins_proxy.proxy.api import bodies
from jenkins_proxy.proxy.api.auth import guarded
from jenkins_proxy.proxy.certificates.service import CertificateService, CertificateState
from jenkins_proxy.proxy.models import ConflictError

_DOCKER_FLOW = "/v1/docker-flow-proxy"


class Certificates:
    """The handlers."""

    def __init__(self, certificates: CertificateService) -> None:
        self._certificates = certificates

    def add_to(self, app: web.Application) -> None:
        app.add_routes(
            [
                web.get("/v1/certs", self.list),
                web.put("/v1/certs/{name}", self.put),
                web.delete("/v1/certs/{name}", self.delete),
            ]
        )
        for slash in ("", "/"):
            app.router.add_put(f"{_DOCKER_FLOW}/cert{slash}", self.docker_flow_put)
            app.router.add_get(f"{_DOCKER_FLOW}/certs{slash}", self.docker_flow_list)

    @guarded(Role.READ, pages=True)
    async def list(self, _request: web.Request) -> web.Response:
        return web.json_response({"certificates": certificates_json(self._certificates)})

    @guarded(Role.CHANGE, action="put certificate")
    async def put(self, request: web.Request) -> web.Response:
        name = _name(request.match_info["name"])
        applied = await self._certificates.put(name, await bodies.read(request))
        return web.json_response({**_json(self._certificates.state(name), time.time()), "applied": applied})

    @guarded(Role.CHANGE, action="remove certificate")
    async def delete(self, request: web.Request) -> web.Response:
        name = _name(request.match_info["name"])
        await self._certificates.remove(name)
        return web.json_response({"name": name, "removed": True})

    @guarded(Role.CHANGE, action="put certificate")
    async def docker_flow_put(self, request: web.Request) -> web.Response:
        """``PUT …/cert?certName=NAME``: the body is the certificate with its key."""
        try:
            given = request.query.getall("certName", [])
            if len(given) != 1 or not given[0]:
                raise UsageError("Query parameter certName is mandatory")
            await self._certificates.put(_name(given[0]), await bodies.read(request))
        except JenkinsProxyError as error:
            status = 400 if isinstance(error, UsageError) else 409 if isinstance(error, ConflictError) else 500
            message = f"{error.message}; {error.hint}" if error.hint else error.message
            return _docker_flow("NOK", message, None, status)
        return _docker_flow("OK", "", None)

    @guarded(Role.READ, pages=True)
    async def docker_flow_list(self, _request: web.Request) -> web.Response:
        """Names and ends; Docker Flow: Proxy answers with the keys."""
        rows = [
            {"ServicePort": "", "ProxyServiceName": "", "CertsDir": "", "CertContent": "", "CertName": own.name,
             "NotAfter": when(own.certificate.not_after) if own.certificate else ""}
            for own in self._certificates.states()
        ]  # fmt: skip
        return _docker_flow("OK", "", rows)


def certificates_json(certificates: CertificateService) -> list[dict[str, Any]]:
    """All certificates, for whoever may read."""
    now = time.time()
    return [_json(own, now) for own in certificates.states()]


def files_json(files: CertificateFiles) -> list[dict[str, Any]]:
    """Of each file with other certificates the one that ends first."""
    now = time.time()
    return [
        {
            "name": path,
            "source": path,
            "problem": "",
            "subject": own.subject,
            "issuer": own.issuer,
            "names": [],
            "not_before": when(own.not_before),
            "not_after": when(own.not_after),
            "days_left": int((own.not_after - now) // DAY),
            "fingerprint": own.fingerprint,
            "default": False,
        }
        for path, own in files.first_ends().items()
    ]


def _json(state: CertificateState, now: float) -> dict[str, Any]:
    own = state.certificate
    answer: dict[str, Any] = {"name": state.name, "source": state.source or "api", "problem": state.problem}
    if own:
        answer |= {
            "subject": own.subject,
            "issuer": own.issuer,
            "names": list(own.names),
            "not_before": when(own.not_before),
            "not_after": when(own.not_after),
            "days_left": int((own.not_after - now) // DAY),
            "fingerprint": own.fingerprint,
            "default": state.default,
        }
    return answer


def _name(text: str) -> str:
    """A certificate's name. Docker Flow: Proxy's callers give the file's."""
    return validation.check(validation.NAME, "the certificate's name", text.removesuffix(".pem"))


def _docker_flow(status: str, message: str, rows: list[dict[str, str]] | None, code: int = 200) -> web.Response:
    text = json.dumps({"Status": status, "Message": message, "Certs": rows}, separators=(",", ":"))
    return web.Response(text=text, status=code, content_type="application/json")

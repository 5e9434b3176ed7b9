"""Client certificates of the API: whom one stands for, and the command line's client with one."""

from __future__ import annotations

import asyncio
import socket

import pytest

from jenkins_proxy import tls
from jenkins_proxy.clients.proxy import ProxyClient
from jenkins_proxy.connection_limit import ConnectionLimit, listen
from jenkins_proxy.errors import ProxyError, UsageError
from jenkins_proxy.proxy.access.audit import Audit
from jenkins_proxy.proxy.access.callers import Caller, ClientRoles, Role, client_roles, common_name
from jenkins_proxy.proxy.access.tokens import Tokens, change_token
from jenkins_proxy.proxy.api import app
from jenkins_proxy.proxy.api.auth import Authenticator
from jenkins_proxy.proxy.api.routes import Routes
from jenkins_proxy.proxy.service.route_waiter import RouteWaiter
from tests.fixtures.certificates import Authority

SUBJECT = {
    "subject": ((("countryName", "DE"),), (("commonName", "jenkins"),)),
    "subjectAltName": (("DNS", "ci.local"),),
}
JENKINS = {"jenkins": Role.READ}


@pytest.mark.parametrize(
    ("certificate", "roles", "expected"),
    [
        (None, {}, None),
        ({}, {}, None),
        (SUBJECT, {}, Caller("jenkins", "certificate", Role.CHANGE)),
        (SUBJECT, JENKINS, Caller("jenkins", "certificate", Role.READ)),
        (SUBJECT, {"ci.local": Role.CHANGE}, Caller("jenkins", "certificate", None)),
        (
            {"subjectAltName": (("DNS", "ci.local"),)},
            {"ci.local": Role.CHANGE},
            Caller("ci.local", "certificate", Role.CHANGE),
        ),
    ],
)
def test_whom_a_certificate_stands_for(certificate, roles, expected) -> None:
    assert ClientRoles(roles).caller(certificate) == expected


def test_a_name_is_bounded() -> None:
    assert len(common_name({"subject": ((("commonName", "x" * 500),),)})) == 128


@pytest.mark.parametrize("word", ["jenkins", "=change", "jenkins=", "jenkins=write", "a\nb=read", "x" * 129 + "=read"])
def test_a_role_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="^--client-role "):
        client_roles([word], "--client-role")


def test_roles_are_names_and_roles() -> None:
    assert client_roles(["a=b=read", "jenkins=change"], "--client-role").roles == {"a=b": "read", "jenkins": "change"}
    with pytest.raises(UsageError, match="'a' a role twice"):
        client_roles(["a=read", "a=change"], "--client-role")


@pytest.fixture
async def api(proxy_service, loopback_certificate):
    """``await api(roles, token)`` is the URL of an API that asks for certificates."""
    started = []

    async def start(roles: ClientRoles, token: str) -> str:
        authenticator = Authenticator(Tokens(change_token(token)), certificates=roles)
        routes = Routes(proxy_service, RouteWaiter(proxy_service, registry=None), authenticator)
        runner = app.runner(app.application(authenticator, Audit(), routes, app.Meta(proxy_service)))
        await runner.setup()
        port = socket.create_server(("127.0.0.1", 0))
        port.setblocking(False)
        own = loopback_certificate
        context = tls.server_context(str(own.cert), str(own.key), str(own.ca))
        started.append((runner, await listen(runner, port, ConnectionLimit("the API", 100), tls=context)))
        return f"https://127.0.0.1:{port.getsockname()[1]}"

    yield start
    for runner, server in started:
        server.close()
        await runner.cleanup()


@pytest.mark.parametrize(
    ("roles", "name", "token", "reads", "removes"),
    [
        ({}, "jenkins", "", True, ""),
        ({"jenkins": Role.CHANGE}, "jenkins", "", True, ""),
        ({"jenkins": Role.READ}, "jenkins", "", True, "the certificate 'jenkins' may only read"),
        ({"jenkins": Role.READ}, "jenkins", "the-changing-token", True, ""),
        ({"jenkins": Role.CHANGE}, "other", "", False, "the client certificate of 'other' has no role here"),
        ({}, "", "", False, "a client certificate is needed"),
        ({}, "", "the-changing-token", True, ""),
    ],
)
async def test_the_client_shows_a_certificate(
    api, authority, loopback_certificate, roles, name, token, reads, removes
) -> None:
    shown = authority.certificate("ci.example.com", common_name=name) if name else None
    client = ProxyClient(
        await api(ClientRoles(roles), "the-changing-token" if token else ""),
        token,
        str(loopback_certificate.ca),
        client_cert=str(shown.cert) if shown else "",
        client_key=str(shown.key) if shown else "",
    )

    def use() -> str:
        try:
            client.routes()
        except ProxyError:
            assert not reads
        else:
            assert reads
        try:
            assert client.remove_route("absent") is None
        except ProxyError as error:
            return error.message
        finally:
            client.close()
        return ""

    said = await asyncio.to_thread(use)
    assert (said, removes) == ("", "") or removes and removes in said


async def test_a_certificate_of_another_authority_is_named(api, loopback_certificate, tmp_path) -> None:
    shown = Authority(tmp_path).certificate("ci.example.com", common_name="jenkins")
    url = await api(ClientRoles(), "")
    client = ProxyClient(
        url, cacert=str(loopback_certificate.ca), client_cert=str(shown.cert), client_key=str(shown.key)
    )
    with pytest.raises(ProxyError, match="^no (proxy daemon|trust)") as caught:
        await asyncio.to_thread(client.count_users, "books-ms", "4f1c")
    assert "it may also refuse the certificate in JENKINS_PROXY_CLIENT_CERT" in caught.value.hint
    client.close()


def test_a_damaged_certificate_is_named(tmp_path, loopback_certificate) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    with pytest.raises(UsageError, match="cannot use the certificates for the proxy's API") as caught:
        ProxyClient("https://127.0.0.1:1", client_cert=str(tmp_path / "cert.pem")).routes()
    assert "JENKINS_PROXY_CLIENT_CERT" in caught.value.hint
    with pytest.raises(UsageError, match="cannot use the clients' authority"):
        tls.server_context(str(loopback_certificate.cert), str(loopback_certificate.key), str(tmp_path / "cert.pem"))

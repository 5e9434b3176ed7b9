"""Everything behind TLS and tokens: an engine with --tlsverify, Consul with https and ACLs, the daemon's API."""

from __future__ import annotations

import functools
import json
import uuid
from dataclasses import dataclass

import pytest
import requests

from jenkins_proxy.clients.consul import rights

TOKEN = "the-token-of-the-api"  # noqa: S105


@dataclass(frozen=True)
class SecureNode:
    """An engine, and the folder with the certificate that it asks for."""

    host: str
    address: str
    certificates: str


@pytest.fixture(scope="module")
def cluster(authority, start_cluster):
    """An engine that takes nobody without a certificate."""

    made = []

    def certificates(*addresses: str) -> str:
        made.append(authority.certificate(*addresses))
        return str(made[-1].cert.parent)

    started = start_cluster("noswarm", nodes=1, certificates=certificates)
    return SecureNode(started.host(1), started.address(1), str(made[-1].cert.parent))


@pytest.fixture(scope="module")
def consul(loopback_certificate, authority, module_consul_server, wait_for):
    """A Consul by https that asks for certificates, with ACLs that deny by default.

    ``consul("proxy")`` are the variables for a part with a certificate and a token of its own, with the policy that
    ``doctor --consul-policy`` prints for it and nothing else.
    """
    root, tls = str(uuid.uuid4()), loopback_certificate
    acl = {"enabled": True, "default_policy": "deny", "tokens": {"master": root, "agent": root}}
    server = module_consul_server(https=True, verify_incoming_https=True, acl=acl, **tls.consul_keys())
    with requests.Session() as session:
        # REQUESTS_CA_BUNDLE of whoever runs the tests would win over `verify`.
        session.trust_env = False
        session.headers["X-Consul-Token"], session.verify = root, str(tls.ca)
        session.cert = (str(tls.cert), str(tls.key))

        def put(path: str, **body: object) -> requests.Response:
            return session.put(server.url + path, data=json.dumps(body), timeout=10)

        @functools.cache
        def environment(part: str) -> dict[str, str]:
            rules = rights.policy(part)
            wait_for(lambda: put("/v1/acl/policy", Name=part, Rules=rules).ok, "Consul's ACLs")
            shown = authority.certificate("localhost", common_name=part)
            return {
                "CONSUL_HTTP_ADDR": server.url,
                "CONSUL_HTTP_TOKEN": put("/v1/acl/token", Policies=[{"Name": part}]).json()["SecretID"],
                "CONSUL_CACERT": str(tls.ca),
                "CONSUL_CLIENT_CERT": str(shown.cert),
                "CONSUL_CLIENT_KEY": str(shown.key),
            }

        yield environment


@pytest.fixture(scope="module")
def engine(cluster):
    """The variables for the engine."""
    return {"DOCKER_HOST": cluster.host, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": cluster.certificates}


@pytest.fixture(scope="module")
def daemon(loopback_certificate, cluster, engine, consul, module_start_daemon, module_our_agent):
    tls = loopback_certificate
    made = module_start_daemon(
        "--tls-cert",
        str(tls.cert),
        "--tls-key",
        str(tls.key),
        "--tls-client-ca",
        str(tls.ca),
        "--client-role",
        "deploy=change",
        scheme="https",
        JENKINS_PROXY_TOKEN=TOKEN,
        **consul(rights.PROXY),
    )
    module_our_agent(cluster.host, cluster.address, **engine, **consul(rights.REGISTRATOR))
    return made


@pytest.fixture
def books(loopback_certificate, engine, consul, daemon, delivery):
    """The service ``books``, whose commands find all they need in the environment."""
    made = delivery(
        "books",
        **engine,
        **consul(rights.DEPLOY),
        JENKINS_PROXY_URL=daemon.api,
        JENKINS_PROXY_ENTRY=daemon.entry,
        JENKINS_PROXY_TOKEN=TOKEN,
        JENKINS_PROXY_CACERT=str(loopback_certificate.ca),
    )
    made.daemon = daemon
    made.write(1)
    yield made
    made.compose("down")


def errors(text: str) -> list[str]:
    return [line for line in text.splitlines() if "ERROR" in line]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"JENKINS_PROXY_TOKEN": "another"}, "wrong token"),
        ({"JENKINS_PROXY_TOKEN": ""}, "a token is needed"),
        ({"JENKINS_PROXY_CACERT": ""}, "no trust in the proxy at https://"),
        ({"CONSUL_HTTP_TOKEN": str(uuid.uuid4())}, "ACL not found"),
        ({"CONSUL_CLIENT_CERT": "", "CONSUL_CLIENT_KEY": ""}, "refuses our certificate"),
        ({"CONSUL_CACERT": ""}, "no trust in the registry at https://"),
        ({"DOCKER_TLS_VERIFY": "", "DOCKER_CERT_PATH": ""}, "Client sent an HTTP request to an HTTPS server"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_credential_is_one_line_before_anything_is_started(books, wrong, error):
    ended = books.deploy(**wrong)
    assert ended.code == 4, ended.text
    (line,) = errors(ended.text)
    assert error in line
    assert next(iter(wrong)) in ended.text
    assert books.compose("ps", "-q") == ""


def test_deployed_and_scaled_with_what_the_environment_gives(books):
    deployed = books.deploy()
    assert deployed.code == 0, deployed.text
    assert books.daemon.get("/books/") == (200, "version 1\n")
    scaled = books.run("scale", "2")
    assert (scaled.code, len(scaled.report["instances"])) == (0, 2), scaled.text
    own = books.environment
    certificate = {
        "JENKINS_PROXY_CLIENT_CERT": own["CONSUL_CLIENT_CERT"],
        "JENKINS_PROXY_CLIENT_KEY": own["CONSUL_CLIENT_KEY"],
    }
    again = books.deploy(JENKINS_PROXY_TOKEN="", **certificate)
    assert again.code == 0, again.text
    assert "audit: deploy (certificate) from 127.0.0.1: promote books: 200" in books.daemon.said
    assert "lacks what" not in books.daemon.said
    for secret in (TOKEN, books.environment["CONSUL_HTTP_TOKEN"]):
        assert secret not in deployed.text + scaled.text + str(deployed.report) + books.daemon.said

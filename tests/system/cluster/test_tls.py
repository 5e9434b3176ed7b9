"""Everything behind TLS and tokens: an engine with --tlsverify, Consul with https and ACLs, the daemon's API."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass

import pytest
import requests

TOKEN = "the-token-of-the-api"  # noqa: S105
# All that the daemon, the agent and the commands need of Consul's ACLs.
POLICY = """
service_prefix "" { policy = "write" }
node_prefix "" { policy = "read" }
session_prefix "" { policy = "write" }
agent_prefix "" { policy = "read" }
key_prefix "jenkins-proxy/" { policy = "write" }
"""


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


@pytest.fixture
def consul(loopback_certificate, consul_server, wait_for):
    """A Consul by https with ACLs that deny by default, and the variables for a token with just our rights."""
    root = str(uuid.uuid4())
    server = consul_server(
        https=True,
        ca_file=str(loopback_certificate.ca),
        cert_file=str(loopback_certificate.cert),
        key_file=str(loopback_certificate.key),
        acl={"enabled": True, "default_policy": "deny", "tokens": {"master": root, "agent": root}},
    )
    with requests.Session() as session:
        # REQUESTS_CA_BUNDLE of whoever runs the tests would win over `verify`.
        session.trust_env = False
        session.headers["X-Consul-Token"], session.verify = root, str(loopback_certificate.ca)

        def put(path: str, **body: object) -> requests.Response:
            return session.put(server.url + path, data=json.dumps(body), timeout=10)

        wait_for(lambda: put("/v1/acl/policy", Name="jenkins-proxy", Rules=POLICY).ok, "Consul's ACLs")
        token = put("/v1/acl/token", Policies=[{"Name": "jenkins-proxy"}]).json()["SecretID"]
    return {"CONSUL_HTTP_ADDR": server.url, "CONSUL_HTTP_TOKEN": token, "CONSUL_CACERT": str(loopback_certificate.ca)}


@pytest.fixture
def books(loopback_certificate, cluster, consul, start_daemon, start_agent, delivery):
    """The service ``books``, whose commands find all they need in the environment."""
    engine = {
        "DOCKER_HOST": cluster.host,
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": cluster.certificates,
    }
    tls = loopback_certificate
    daemon = start_daemon(
        "--tls-cert", str(tls.cert), "--tls-key", str(tls.key), scheme="https", JENKINS_PROXY_TOKEN=TOKEN, **consul
    )
    start_agent(cluster.host, cluster.address, **engine, **consul)
    made = delivery(
        "books",
        **engine,
        **consul,
        JENKINS_PROXY_URL=daemon.api,
        JENKINS_PROXY_ENTRY=daemon.entry,
        JENKINS_PROXY_TOKEN=TOKEN,
        JENKINS_PROXY_CACERT=str(tls.ca),
    )
    made.daemon = daemon
    made.write(1)
    yield made
    made.compose("down")


def errors(text: str) -> list[str]:
    return [line for line in text.splitlines() if "ERROR" in line]


def test_deployed_and_scaled_with_what_the_environment_gives(books):
    deployed = books.deploy()
    assert deployed.code == 0, deployed.text
    assert books.daemon.get("/books/") == (200, "version 1\n")
    scaled = books.run("scale", "2")
    assert (scaled.code, len(scaled.report["instances"])) == (0, 2), scaled.text
    for secret in (TOKEN, books.environment["CONSUL_HTTP_TOKEN"]):
        assert secret not in deployed.text + scaled.text + str(deployed.report) + books.daemon.said


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"JENKINS_PROXY_TOKEN": "another"}, "wrong token"),
        ({"JENKINS_PROXY_TOKEN": ""}, "a token is needed"),
        ({"JENKINS_PROXY_CACERT": ""}, "no trust in the proxy at https://"),
        ({"CONSUL_HTTP_TOKEN": str(uuid.uuid4())}, "ACL not found"),
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

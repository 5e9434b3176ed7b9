"""``doctor`` against real parts, and against none."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

from jenkins_proxy import doctor
from jenkins_proxy.cli import main
from jenkins_proxy.errors import RemoteError


@pytest.fixture
def nothing(free_port, entry):
    """Arguments with which registry and entry are out of reach, and what answers as the proxy is none."""
    absent = f"http://127.0.0.1:{free_port()}"
    return ["--consul", absent, "--entry", absent, "--proxy", entry]


@pytest.fixture
def entry():
    """An address where something answers 404."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        def log_message(self, *_args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def guarded():
    """A daemon with the token ``right``, as far as ``doctor`` asks it."""
    health = {"status": "serving", "routes": 0, "registry": {"up": True}, "problem": ""}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            given = self.headers["Authorization"]
            status, data = 200, health
            if self.path == "/v1/access" and given == "Bearer right":
                data = {"name": "ci", "credential": "token", "role": "change"}
            elif self.path == "/v1/access":
                status, data = 401, {"error": {"message": "wrong token" if given else "a token is needed", "hint": ""}}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(data).encode())

        def log_message(self, *_args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def findings(capsys) -> dict[str, dict]:
    return {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}


def test_every_problem_is_told_in_one_go(docker, compose_v1, nothing, capsys, free_port):
    assert main(["doctor", *nothing, "--proxy", f"http://127.0.0.1:{free_port()}"]) == 4
    told = capsys.readouterr()
    assert told.out == ""
    for problem in ("no registry answers at", "no proxy daemon answers at", "nothing answers at"):
        assert problem in told.err
    assert told.err.count("HINT: ") == 3
    assert "* docker unix:///var/run/docker.sock: Docker Engine " in told.err
    assert "compose-v2 2" in told.err and "compose-v1 1" in told.err


def test_json_tells_what_answers(docker, nothing, consul_url, entry, capsys):
    assert main(["doctor", "--json", *nothing, "--consul", consul_url, "--entry", entry]) == 4
    found = findings(capsys)
    assert found["consul"]["ok"]
    assert found["consul"]["source"] == "--consul"
    assert found["consul"]["answer"].startswith("Consul 1.")
    assert "http_max_conns_per_client" in found["consul"]["hint"]
    assert found["entry"]["answer"] == "answers 404"
    assert not found["proxy"]["ok"]


def test_a_configuration_that_cannot_be_used_comes_first(nothing, capsys, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "ssh://swarm-master")
    assert main(["doctor", "--json", *nothing]) == 2
    found = findings(capsys)
    assert found["docker"]["code"] == 2
    assert found["docker"]["source"] == "DOCKER_HOST"
    assert found["consul"]["code"] == 4, "the others are looked at all the same"


def test_no_engine(docker, nothing, capsys, tmp_path):
    assert main(["doctor", "--json", *nothing, "--docker-host", f"unix://{tmp_path}/no.sock"]) == 4
    assert findings(capsys)["docker"]["answer"].startswith("no Docker Engine answers at unix://")


def test_no_compose(nothing, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["doctor", "--json", *nothing]) == 2
    assert findings(capsys)["orchestrators"]["answer"] == "neither compose v2 nor compose v1 is installed"


def test_secrets_are_only_said_to_be_there(nothing, capsys, monkeypatch):
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "s3cr3t")
    main(["doctor", "--json", *nothing])
    told = capsys.readouterr()
    assert {"name": "consul_token", "value": "given", "source": "CONSUL_HTTP_TOKEN"} in json.loads(told.out)["settings"]
    main(["doctor", *nothing])
    assert "s3cr3t" not in told.out + capsys.readouterr().err


@pytest.mark.parametrize(
    "agent, kind, hinted",
    [
        (
            {"Config": {"Version": "1.8.7"}, "DebugConfig": {"HTTPMaxConnsPerClient": 200}},
            "Consul 1.8.7, http_max_conns_per_client 200",
            True,
        ),
        ({"Config": {"Version": "1.6.0"}, "DebugConfig": {}}, "Consul 1.6.0 without a limit of connections", False),
        (
            {"Config": {"Version": "1.8.7"}, "DebugConfig": {"HTTPMaxConnsPerClient": 0}},
            "Consul 1.8.7 without a limit of connections",
            False,
        ),
        ({"Config": {"Version": "1.15.0"}}, "embedded registry (the API of Consul 1.15.0)", False),
    ],
)
def test_kinds_of_registries(agent, kind, hinted):
    found, hint = doctor.describe_agent(agent)
    assert found == kind
    assert bool(hint) is hinted
    assert doctor.describe_agent(agent, https=True) == (kind, "")


@pytest.mark.parametrize(
    ("role", "name", "credential", "says"),
    [
        ("change", "ci", "token", "the token 'ci' has the role change"),
        ("change", "", "", "whoever reaches it has the role change"),
        ("change", "agent-1", "certificate", "the certificate 'agent-1' has the role change"),
    ],
)
def test_who_may_deploy(role, name, credential, says):
    assert doctor.describe_access({"role": role, "name": name, "credential": credential}) == says


def test_a_token_that_may_only_read_is_a_problem():
    with pytest.raises(RemoteError, match="the token 'page' has the role read there, and a deploy needs the role"):
        doctor.describe_access({"role": "read", "name": "page", "credential": "token"})


@pytest.mark.parametrize(
    ("token", "code", "says"),
    [
        ("right", 0, "serving 0 routes; the token 'ci' has the role change"),
        ("wrong", 4, "refused GET /v1/access: wrong token"),
        ("", 4, "refused GET /v1/access: a token is needed"),
    ],
)
def test_what_the_proxy_says_of_the_token(token, code, says, guarded, capsys, nothing, monkeypatch):
    monkeypatch.setenv("JENKINS_PROXY_TOKEN", token)
    main(["doctor", "--json", *nothing, "--proxy", guarded])
    found = findings(capsys)["proxy"]
    assert (found["code"], found["ok"]) == (code, code == 0)
    assert says in found["answer"]

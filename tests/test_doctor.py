"""``doctor`` against real parts, and against none."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

from jenkins_proxy import doctor
from jenkins_proxy.cli import main


@pytest.fixture
def nothing(free_port, entry):
    """Arguments with which registry and entry are out of reach, and what answers as the proxy is none."""
    # The client gives a daemon that restarts some seconds; a refusal it takes at once.
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

"""``wait`` on a real Consul."""

from __future__ import annotations

import json

from jenkins_proxy.cli import main
from jenkins_proxy.clients.consul.client import Consul


def test_it_ends_with_the_instances(consul_url, capsys):
    with Consul(consul_url) as registry:
        registry.register({"ID": "f2-wait-1", "Name": "f2-wait", "Address": "10.0.0.1", "Port": 8080})

        assert main(["wait", "f2-wait", "--consul", consul_url]) == 0

        registry.deregister("f2-wait-1")
    report = json.loads(capsys.readouterr().out)
    assert (report["service"], report["status"]) == ("f2-wait", "done")
    assert [(i["address"], i["port"], i["id"]) for i in report["instances"]] == [("10.0.0.1", 8080, "f2-wait-1")]


def test_too_few(consul_url, capsys):
    assert main(["wait", "f2-nobody", "--instances", "2", "--timeout", "0.1", "--consul", consul_url]) == 3

    told = capsys.readouterr()
    assert json.loads(told.out)["error"]["message"] == "f2-nobody: 0/2 instances passing after 0.1 s"
    assert "ERROR: f2-nobody: 0/2 instances passing" in told.err


def test_a_registry_that_is_away(free_port, capsys):
    assert main(["wait", "f2-nobody", "--consul", f"http://127.0.0.1:{free_port()}"]) == 4

    assert json.loads(capsys.readouterr().out)["error"]["code"] == 4


def test_a_name_that_is_none(capsys):
    assert main(["wait", "../x"]) == 2

    assert "service '../x' is not allowed" in capsys.readouterr().err

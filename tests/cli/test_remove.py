"""``remove`` and ``reconfigure`` where there is nothing to talk to; with a daemon, tests/flow does it."""

from __future__ import annotations

import json

import pytest

from jenkins_proxy.cli import main


@pytest.mark.parametrize("command", [["remove", "s"], ["reconfigure", "s", "--path", "/a"], ["rollback", "s"]])
def test_no_daemon(command, free_port, consul_url, capsys):
    nobody = f"http://127.0.0.1:{free_port()}"

    assert main([*command, "--proxy", nobody, "--consul", consul_url]) == 4

    told = capsys.readouterr()
    assert f"no proxy daemon answers at {nobody}" in json.loads(told.out)["error"]["message"]
    assert "HINT: start it with `jenkins-proxy serve`" in told.err


@pytest.mark.parametrize("command", [["remove", "a b"], ["reconfigure", "a b", "--path", "/a"], ["rollback", "a b"]])
def test_a_name_that_is_none(command, capsys):
    assert main(command) == 2

    assert "service 'a b' is not allowed" in capsys.readouterr().err


def test_a_route_that_leads_nowhere(capsys):
    assert main(["reconfigure", "s"]) == 2

    assert "has neither a path nor a domain" in capsys.readouterr().err

"""What each part needs of a Consul that denies everything else, by https and with client certificates: with its policy,
and with one rule less each."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from jenkins_proxy import releases
from jenkins_proxy.cli import main
from jenkins_proxy.clients.consul import rights
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.deployment.failure import intent_log
from jenkins_proxy.deployment.steps import hold, lock
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.proxy import hold_store, route_store
from jenkins_proxy.proxy.certificates import sharing
from jenkins_proxy.proxy.service import counting
from jenkins_proxy.settings import resolve

PARTS = (rights.PROXY, rights.REGISTRATOR, rights.DEPLOY)
ONE_LESS = [(part, right) for part in PARTS for right in rights.RIGHTS[part]]
ALL_OPTIONS = (rights.SHARE_CERTS,)
_names = itertools.count()


@pytest.fixture
def token(guarded_consul):
    """``token(rules)`` is a token with these rules alone."""

    def make(rules: str) -> str:
        name = f"policy-{next(_names)}"
        guarded_consul.ask("PUT", "/v1/acl/policy", {"Name": name, "Rules": rules})
        return guarded_consul.ask("PUT", "/v1/acl/token", {"Policies": [{"Name": name}]})["SecretID"]

    return make


@pytest.fixture
def registry(guarded_consul, token):
    """``registry(rules)`` is a client with the certificate, and a token with these rules alone."""

    def make(rules: str) -> Consul:
        files = guarded_consul.certificate
        return Consul(
            guarded_consul.url,
            token(rules),
            cacert=str(files.ca),
            client_cert=str(files.cert),
            client_key=str(files.key),
        )

    return make


def without(part: str, *left_out: rights.Right) -> str:
    return "\n".join(right.rule for right in rights.RIGHTS[part] if right not in left_out)


def works(registry: Consul, right: rights.Right) -> bool:
    """Whether what a right is for can be done."""
    try:
        if right.resource == "key" and right.access == "read":
            registry.kv_get(right.prefix + "x")
        elif right.resource == "key":
            registry.kv_put(right.prefix + "x", b"")
        elif right.resource == "session":
            registry.session_destroy(registry.session_create("x", 10.0))
        elif right.access == "write":
            registry.register({"Name": "web", "Port": 1})
        else:
            return bool(registry.instances("consul")[0] if right.resource == "node" else registry.services())
    except RegistryError as error:
        assert "Permission denied" in error.message or "ACL" in error.message
        return False
    return True


@pytest.mark.parametrize("part", PARTS)
def test_the_policy_that_is_printed_is_enough(guarded_consul, registry, consul_program, capsys, part):
    assert main(["doctor", "--consul-policy", part]) == 0
    printed = capsys.readouterr().out
    argv = [consul_program, "acl", "policy", "create", "-token", "root", "-name", part, "-rules", "-"]
    environment = {**os.environ, **guarded_consul.environment}
    subprocess.run(argv, input=printed, text=True, check=True, capture_output=True, env=environment)
    client = registry(printed)
    assert client.missing_rights(part, ALL_OPTIONS) == []
    assert [right for right in rights.RIGHTS[part] if not works(client, right)] == []


@pytest.mark.parametrize("part, right", ONE_LESS, ids=lambda value: getattr(value, "rule", value))
def test_one_rule_less(registry, part, right):
    client = registry(without(part, right))
    assert client.missing_rights(part, ALL_OPTIONS) == [right]
    # What only an option needs is not missed without it.
    assert client.missing_rights(part) == ([] if right.option else [right])
    assert not works(client, right)


def test_without_a_certificate_no_token_helps(guarded_consul):
    with pytest.raises(RegistryError, match="the registry at https://.* refuses our certificate: ") as caught:
        Consul(guarded_consul.url, "root", cacert=str(guarded_consul.certificate.ca)).services()
    assert "CONSUL_CLIENT_CERT" in caught.value.hint


async def test_without_a_certificate_the_daemons_client_says_the_same(guarded_consul):
    settings = resolve({}, {**guarded_consul.environment, "CONSUL_CLIENT_CERT": "", "CONSUL_CLIENT_KEY": ""})
    async with AsyncConsul.from_settings(settings, connections=1) as registry:
        with pytest.raises(RegistryError, match="the registry at https://.* refuses our certificate: "):
            await registry.leader()


def test_they_are_the_keys_that_are_used():
    def keys(part: str) -> set[str]:
        return {right.prefix for right in rights.RIGHTS[part] if right.resource == "key"}

    assert keys(rights.PROXY) == {
        route_store.ROUTES,
        route_store.DRAINS,
        route_store.PROXIES,
        hold_store.HOLDS,
        counting.COUNTS,
        sharing.SHARED,
        releases.KEYS,
    }
    assert keys(rights.DEPLOY) == {lock.PREFIX, lock.PROJECTS, intent_log.PREFIX, hold.PREFIX}


def test_doctor_names_what_a_deploy_lacks(guarded_consul, token, capsys, monkeypatch):
    nodes, _services, session = rights.RIGHTS[rights.DEPLOY][:3]
    for name, value in guarded_consul.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", token(without(rights.DEPLOY, nodes, session)))
    main(["doctor", "--json"])
    found = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}["consul"]
    assert (found["ok"], found["code"]) == (False, 4)
    assert 'node_prefix "" { policy = "read" } (no instance is seen' in found["answer"]
    assert 'session_prefix "" { policy = "write" } (no deploy can lock' in found["answer"]
    assert "service_prefix" not in found["answer"]
    assert "--consul-policy deploy" in found["hint"]


def test_a_registry_without_acls_lacks_nothing(consul_url):
    assert Consul(consul_url).missing_rights(rights.PROXY) == []


def lines_of(argv: list[str], environ: dict[str, str], *wanted: str) -> list[str]:
    """The lines of a daemon's log, up to the last of the wanted ones."""
    missing, lines = set(wanted), []
    with subprocess.Popen(
        [sys.executable, "-m", "jenkins_proxy", *argv], env={**os.environ, **environ}, stderr=subprocess.PIPE, text=True
    ) as process:
        # A line that does not come ends the process, and with it the wait for more.
        end = threading.Timer(30, process.kill)
        end.start()
        for line in process.stderr:
            lines.append(line)
            missing -= {text for text in missing if text in line}
            if not missing:
                break
        end.cancel()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert not missing, "".join(lines)
    return lines


def test_the_start_of_serve_names_what_is_missing(guarded_consul, token, haproxy, free_port, tmp_path):
    nodes, _services, session = rights.RIGHTS[rights.PROXY][:3]
    lines_of(
        ["serve", "--bind", f"127.0.0.1:{free_port()}", "--listen",
         f"127.0.0.1:{free_port()}", "--state-dir", str(tmp_path)],
        {**guarded_consul.environment, "CONSUL_HTTP_TOKEN": token(without(rights.PROXY, nodes, session))},
        f"lacks what proxy needs: {nodes.rule} (no instance is seen: each service looks as if none were registered); "
        f"{session.rule} (this proxy is not counted",
        "WARNING this proxy is not counted among the live ones: the registry at ",
    )  # fmt: skip


def test_the_start_of_the_registrator_names_what_is_missing(guarded_consul, token, tmp_path):
    lines_of(
        ["registrator", "--docker-host", f"unix://{tmp_path}/absent.sock"],
        {**guarded_consul.environment, "CONSUL_HTTP_TOKEN": token('service_prefix "" { policy = "read" }')},
        'lacks what registrator needs: service_prefix "" { policy = "write" } (no container is registered)',
    )

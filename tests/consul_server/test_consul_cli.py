"""Consul's own command line speaks to the embedded registry as it does to Consul: each test runs it against both."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys

import pytest
import requests


@pytest.fixture
def run(consul_program, url, tmp_path):
    """``run("kv", "get", KEY)`` runs ``consul``: exit code and output. ``run.start(…)`` does not wait for its end."""
    environ = {**os.environ, "CONSUL_HTTP_ADDR": url}
    started = []

    def start(*argv: str, stdin: str = "") -> subprocess.Popen:
        process = subprocess.Popen(
            [consul_program, *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environ,
            cwd=tmp_path,
        )
        started.append(process)
        return process

    def run(*argv: str, stdin: str = "") -> tuple[int, str]:
        process = start(*argv)
        output, _ = process.communicate(stdin, timeout=30)
        return process.returncode, output

    run.start = start
    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def node(url) -> str:
    return requests.get(f"{url}/v1/agent/self").json()["Config"]["NodeName"]


def table(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines()]


def test_members(run, node):
    code, output = run("members")
    heads, member = table(output)
    assert code == 0
    assert heads == ["Node", "Address", "Status", "Type", "Build", "Protocol", "DC", "Segment"]
    assert [member[0], *member[2:7]] == [node, "alive", "server", "1.8.7", "2", "dc1"]


def test_members_in_detail_and_of_other_data_centers(run, node):
    assert f"{node}.dc1" in run("members", "-wan")[1]
    code, output = run("members", "-detailed")
    assert (code, "role=consul" in output, "build=1.8.7:" in output) == (0, True, True)
    assert "Network segments are not supported" in run("members", "-segment=x")[1]


def test_info(run):
    code, output = run("info")
    assert code == 0
    for line in ("leader = true", "state = Leader", "version = 1.8.7", "known_datacenters = 1", "acl = disabled"):
        assert f"\t{line}\n" in output


def test_catalog(run, name, consul, node):
    consul.register({"ID": name, "Name": name, "Port": 80, "Tags": ["b", "a"]})
    assert run("catalog", "datacenters") == (0, "dc1\n")
    assert [node, "dc1"] in [[line[0], line[-1]] for line in table(run("catalog", "nodes")[1])]
    assert [node] == [line[0] for line in table(run("catalog", "nodes", f"-service={name.upper()}")[1])[1:]]
    assert [name, "a,b"] in table(run("catalog", "services", "-tags")[1])
    assert name in run("catalog", "services", f"-node={node.upper()}")[1]
    code, output = run("catalog", "nodes", "-datacenter=nope")
    assert (code, "No path to datacenter" in output) == (1, True)


def test_kv(run, name):
    assert run("kv", "put", f"{name}/a", "1") == (0, f"Success! Data written to: {name}/a\n")
    assert run("kv", "put", "-flags=42", f"{name}/b", "-", stdin="from stdin")[0] == 0
    assert run("kv", "get", f"{name}/a") == (0, "1\n")
    assert run("kv", "get", "-recurse", f"{name}/") == (0, f"{name}/a:1\n{name}/b:from stdin\n")
    assert run("kv", "get", "-keys", f"{name}/") == (0, f"{name}/a\n{name}/b\n")
    detailed = dict(line for line in table(run("kv", "get", "-detailed", f"{name}/b")[1]) if len(line) == 2)
    assert (detailed["Flags"], detailed["LockIndex"]) == ("42", "0")
    assert run("kv", "put", "-cas", f"-modify-index={detailed['ModifyIndex']}", f"{name}/b", "new")[0] == 0
    assert run("kv", "put", "-cas", f"-modify-index={detailed['ModifyIndex']}", f"{name}/b", "late")[0] == 1
    code, exported = run("kv", "export", f"{name}/")
    assert [base64.b64decode(pair["value"]) for pair in json.loads(exported)] == [b"1", b"new"]
    assert run("kv", "delete", "-recurse", f"{name}/")[0] == 0
    code, output = run("kv", "get", f"{name}/a")
    assert (code, output) == (1, f"Error! No key exists at: {name}/a\n")
    assert run("kv", "import", "-", stdin=exported)[0] == 0
    assert run("kv", "get", f"{name}/b") == (0, "new\n")


def test_lock(run, name, tmp_path, wait_for):
    held, go_on = tmp_path / "held", tmp_path / "go-on"
    script = f"import pathlib, time\npathlib.Path({str(held)!r}).touch()\n"
    script += f"while not pathlib.Path({str(go_on)!r}).exists(): time.sleep(0.05)\n"
    first = run.start("lock", "-shell=false", f"{name}/lock", sys.executable, "-c", script)
    wait_for(held.exists, "the first to hold the lock")
    code, output = run("lock", "-shell=false", "-try=1s", f"{name}/lock", "true")
    assert (code, output) == (1, "Shutdown triggered or timeout during lock acquisition\n")
    go_on.touch()
    assert first.wait(timeout=30) == 0
    assert run("lock", "-shell=false", f"{name}/lock", "echo", "mine now") == (0, "mine now\n")


def test_a_semaphore(run, name):
    assert run("lock", "-shell=false", "-n=2", f"{name}/sem", "echo", "one of two") == (0, "one of two\n")


def test_watch_a_key(run, name, consul):
    consul.kv_put(f"{name}/k", b"v")
    code, output = run("watch", "-type=key", f"-key={name}/k")
    assert (code, base64.b64decode(json.loads(output)["Value"])) == (0, b"v")


def test_watch_with_a_handler_sees_each_change(run, name, consul, tmp_path, wait_for):
    seen = tmp_path / "seen"
    script = f"import sys\nwith open({str(seen)!r}, 'a') as file: file.write(sys.stdin.read())"
    run.start("watch", "-type=keyprefix", f"-prefix={name}/", "-shell=false", sys.executable, "-c", script)
    wait_for(seen.exists, "the first answer")
    consul.kv_put(f"{name}/new", b"v")
    wait_for(lambda: f"{name}/new" in seen.read_text(), "the change")


@pytest.mark.parametrize(
    "watch", [["nodes"], ["services"], ["service", "-service=NAME"], ["checks", "-service=NAME"], ["checks"]]
)
def test_watch_the_catalog(run, name, consul, node, watch):
    consul.register({"ID": name, "Name": name, "Port": 80, "Check": {"TTL": "10m", "CheckID": f"{name}-check"}})
    kind, *options = watch
    code, output = run("watch", f"-type={kind}", *(option.replace("NAME", name.upper()) for option in options))
    assert code == 0
    assert {"nodes": node, "checks": f"{name}-check"}.get(kind, name) in output


def test_services(run, name, url, tmp_path):
    file = tmp_path / "service.json"
    check = {"http": "http://127.0.0.1:1", "interval": "10s", "timeout": "1s"}
    file.write_text(json.dumps({"service": {"id": name, "name": name, "port": 80, "tags": ["t"], "check": check}}))
    assert run("services", "register", str(file)) == (0, f"Registered service: {name}\n")
    [found] = requests.get(f"{url}/v1/catalog/service/{name}").json()
    assert (found["ServicePort"], found["ServiceTags"]) == (80, ["t"])
    assert run("services", "deregister", f"-id={name}") == (0, f"Deregistered service: {name}\n")
    assert requests.get(f"{url}/v1/catalog/service/{name}").json() == []


def test_maintenance(run, name, consul):
    consul.register({"ID": name, "Name": name, "Port": 80})
    assert run("maint", "-enable", f"-service={name}", "-reason=because")[0] == 0
    code, output = run("maint")
    assert (code, name in output, "because" in output) == (0, True, True)
    assert run("maint", "-disable", f"-service={name}")[0] == 0
    assert name not in run("maint")[1]

"""``inspect`` JSON of an engine and of a classic Swarm manager, cut to the parts that are read."""

from __future__ import annotations

import copy

import pytest

from jenkins_proxy.clients.docker import containers, host_addresses
from jenkins_proxy.model import Binding

# From Docker Engine 20.10.24 and compose 1.29.2.
INSPECT = {
    "Id": "5d3272c778f2" + "0" * 52,
    "Created": "2026-11-22T10:02:41.123456789Z",
    "Name": "/books-ms_app_1",
    "Image": "sha256:768e1307b3859b5759713fb13cf9f8c08b8e66daadd7a726ecacfcc998bede1f",
    "State": {"Status": "running", "Running": True, "ExitCode": 0},
    "HostConfig": {"NetworkMode": "books-ms_default"},
    "NetworkSettings": {
        "Ports": {
            "8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32769"}, {"HostIp": "::", "HostPort": "32769"}],
            "9000/udp": [{"HostIp": "127.0.0.1", "HostPort": "9000"}],
            "9999/tcp": None,
        }
    },
    "Config": {
        "Image": "books-ms:1",
        "ExposedPorts": {"8080/tcp": {}, "9999/tcp": {}},
        "Labels": {
            "com.docker.compose.project": "books-ms",
            "com.docker.compose.service": "app",
            "com.docker.compose.container-number": "1",
        },
    },
}


def changed(**parts) -> dict:
    entry = copy.deepcopy(INSPECT)
    for key, value in parts.items():
        entry[key] = {**entry[key], **value} if isinstance(entry.get(key), dict) else value
    return entry


def test_a_container_of_an_engine():
    found = containers.parse(INSPECT, ("10.0.0.5", "127.0.0.1"))
    assert (found.name, found.service, found.project) == ("books-ms_app_1", "app", "books-ms")
    assert found.image == "books-ms:1"
    assert (found.running, found.health, found.exit_code, found.node) == (True, "", 0, "")
    assert found.node_addresses == ("10.0.0.5", "127.0.0.1")
    assert found.image_id == INSPECT["Image"]
    assert found.created == pytest.approx(1795341761.123457)
    assert found.bindings == (
        Binding("0.0.0.0", 32769, 8080, "tcp"),
        Binding("127.0.0.1", 9000, 9000, "udp"),
        Binding("::", 32769, 8080, "tcp"),
    )


def test_a_container_of_a_classic_swarm():
    # Node as in Swarm 1.2's API: https://github.com/docker-archive/classicswarm/blob/v1.2.9/docs/swarm-api.md
    node = {"ID": "ODAI", "IP": "10.100.192.202", "Addr": "10.100.192.202:2375", "Name": "no-such-node.invalid"}
    found = containers.parse(changed(Name="/swarm-node-2/booksms_app_1", Node=node), ("10.100.192.200",))
    assert (found.name, found.node) == ("booksms_app_1", "no-such-node.invalid")
    assert found.node_addresses == ("10.100.192.202",)


def test_a_container_on_its_hosts_network_is_at_its_exposed_ports():
    found = containers.parse(changed(HostConfig={"NetworkMode": "host"}, NetworkSettings={"Ports": {}}))
    assert found.bindings == (Binding("", 8080, 8080, "tcp"), Binding("", 9999, 9999, "tcp"))


@pytest.mark.parametrize(
    "state, expected",
    [
        ({"Status": "exited", "ExitCode": 137}, ("exited", "", 137)),
        ({"Status": "created"}, ("created", "", 0)),
        ({"Status": "running", "Health": {"Status": "starting", "Log": []}}, ("running", "starting", 0)),
        ({"Status": "running", "Health": {"Status": "none"}}, ("running", "", 0)),
        ({"Status": "running", "Health": None}, ("running", "", 0)),
    ],
)
def test_states(state, expected):
    found = containers.parse(changed(State=state))
    assert (found.state, found.health, found.exit_code) == expected


def test_a_container_that_compose_did_not_make():
    found = containers.parse(changed(Config={"Labels": None}, NetworkSettings={"Ports": None}))
    assert (found.service, found.project, found.bindings) == ("", "", ())


@pytest.mark.parametrize(
    "health, expected",
    [
        (None, ""),
        ({"Log": None}, ""),
        ({"Log": [{"Output": "old"}, {"Output": " no database\n"}]}, "no database"),
    ],
)
def test_health_output(health, expected):
    assert containers.health_output(changed(State={"Health": health})) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.5Z", 1.5),
        ("1970-01-01T00:01:00.000000001Z", 60.000000001),
    ],
)
def test_timestamp(text, expected):
    assert containers.timestamp(text) == pytest.approx(expected)


FIB_TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
        |-- 192.0.2.2
           /32 host LOCAL
"""


def test_addresses_in_fib_trie():
    assert host_addresses.ipv4_of(FIB_TRIE.splitlines()) == {"127.0.0.1", "192.0.2.2"}


def test_addresses_in_if_inet6():
    lines = "00000000000000000000000000000001 01 80 10 80 lo\nfd000000000000000000000000000002 02 40 00 80 eth0\n\n"
    assert host_addresses.ipv6_of(lines.splitlines()) == {"::1", "fd00::2"}


@pytest.mark.parametrize(
    ("config", "name", "expected"),
    [
        ({"Env": ["SERVICE_NAME=books-ms"], "Image": "x"}, "books-ms", True),
        ({"Labels": {"SERVICE_8080_NAME": "books-ms"}, "Image": "x"}, "books-ms", True),
        ({"Env": ["SERVICE_NAME=books"], "Image": "x"}, "books-8080", True),
        ({"Env": ["SERVICE_NAME=books"], "Image": "books-ms"}, "books-ms", False),
        ({"Env": ["PATH=/bin"], "Image": "registry:5000/team/books-ms:1@sha256:abc"}, "books-ms", True),
        ({"Image": "books-ms:1"}, "books", False),
        ({}, "books", False),
    ],
)
def test_the_name_that_a_container_says(config, name, expected):
    assert containers.says_name(config, name) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ({"PortBindings": {"8080/tcp": [{"HostPort": ""}]}}, True),
        ({"PublishAllPorts": True}, True),
        ({"NetworkMode": "host"}, True),
        ({"NetworkMode": "books_default", "PortBindings": None}, False),
    ],
)
def test_what_publishes_a_port(host, expected):
    assert containers.publishes({"HostConfig": host}) is expected

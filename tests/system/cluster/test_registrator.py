"""Our agent beside gliderlabs/registrator on one node: the same entries, field by field."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

CHECKS = {
    "http": ("SERVICE_CHECK_HTTP=/h", "SERVICE_CHECK_INTERVAL=15s", "SERVICE_CHECK_TIMEOUT=2s"),
    "https": ("SERVICE_CHECK_HTTPS=/h", "SERVICE_CHECK_HTTPS_METHOD=HEAD", "SERVICE_CHECK_DEREGISTER_AFTER=10m"),
    "tcp": ("SERVICE_CHECK_TCP=true", "SERVICE_CHECK_INITIAL_STATUS=passing"),
    "ttl": ("SERVICE_CHECK_TTL=30s", "SERVICE_CHECK_INTERVAL=5s"),
    "script": ("SERVICE_CHECK_SCRIPT=nc $SERVICE_IP $SERVICE_PORT",),
    "cmd": ("SERVICE_CHECK_CMD=/check.sh a",),
    "grpc": ("SERVICE_CHECK_GRPC=true", "SERVICE_CHECK_GRPC_USE_TLS=1", "SERVICE_CHECK_TLS_SKIP_VERIFY=1"),
    "several": ("SERVICE_CHECK_TTL=30s", "SERVICE_CHECK_TCP=true", "SERVICE_CHECK_HTTP=/h"),
    "interval": ("SERVICE_CHECK_INTERVAL=5s",),
}
# What is asked of the engine for each container: environment, labels, what is published and its network.
TWO = ("8080/tcp", "9090/tcp")
CONTAINERS: dict[str, dict] = {
    "article": {},
    "named": {"env": ("SERVICE_NAME=books", "SERVICE_TAGS=a,b\\,c,,d", "SERVICE_REGION=eu", "SERVICE_EMPTY=")},
    "labels": {"env": ("SERVICE_NAME=env",), "labels": {"SERVICE_NAME": "label", "SERVICE_8080_TAGS": "x"}},
    "two": {"ports": TWO},
    "two-named": {"ports": TWO, "env": ("SERVICE_8080_NAME=web", "SERVICE_NAME=all", "SERVICE_9090_REGION=eu")},
    "two-one-ignored": {"ports": TWO, "env": ("SERVICE_9090_IGNORE=yes",)},
    "ignored": {"env": ("SERVICE_IGNORE=false",)},
    "udp": {"ports": ("53/udp", "53/tcp"), "env": ("SERVICE_TAGS=dns",)},
    "own-id": {"env": ("SERVICE_ID=mine", "SERVICE_NAME=own")},
    "unpublished": {"ports": ()},
    "half-published": {"exposed": ("9090/tcp",)},
    # The engine would pick one that another container has for all addresses.
    "at-loopback": {"host_ip": "127.0.0.1", "host_port": "18080"},
    "on-the-host": {"network": "host", "exposed": TWO},
    "on-a-network": {"network": "books"},
    "healthy": {"health": True},
    "checked-and-healthy": {"health": True, "env": ("SERVICE_CHECK_TCP=true",)},
    **{f"check-{name}": {"env": env} for name, env in CHECKS.items()},
}
HEALTHCHECK = {"Test": ["CMD", "/bin/busybox", "true"], "Interval": 10**9}
# What differs on purpose: see docs/registry.md.
DELIBERATE = {
    ("own-id", "Meta"): "our entries with an ID of their own name their host",
    ("on-a-network", "Address"): "a container's address on a network of its own does not answer at the host's port",
    # What Consul makes of the address.
    ("on-a-network", "TaggedAddresses"): "as the address",
    ("healthy", "check"): "the HEALTHCHECK is a check",
    ("healthy", "registered check"): "the HEALTHCHECK is a check",
}


class Recorder:
    """Passes calls on to a Consul, and keeps what is registered: Consul shows no check as it was asked for."""

    def __init__(self, consul: str) -> None:
        self.checks: dict[str, dict] = {}
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:  # noqa: N802
                self._pass_on(b"")

            def do_PUT(self) -> None:  # noqa: N802
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path.startswith("/v1/agent/service/register"):
                    recorder._keep(json.loads(body))
                self._pass_on(body)

            def _pass_on(self, body: bytes) -> None:
                answer = requests.request(self.command, consul + self.path, data=body, timeout=90)
                self.send_response(answer.status_code)
                for name in ("Content-Type", "X-Consul-Index"):
                    if name in answer.headers:
                        self.send_header(name, answer.headers[name])
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # Whoever waits for a change when the test ends hangs up: that is no news.
        self._server.handle_error = lambda *_: None
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def _keep(self, body: dict) -> None:
        check = {name: value for name, value in (body.get("Check") or {}).items() if value}
        # `ScriptArgs` is what Consul called `Args` when Registrator was made.
        self.checks[body["ID"]] = {{"ScriptArgs": "Args"}.get(name, name): value for name, value in check.items()}

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@dataclass
class Side:
    """A Consul and who enters the node's containers into it."""

    consul: str
    recorder: Recorder

    def rows(self) -> dict[str, dict]:
        """The entries by the name of their container and their exposed port."""
        rows = requests.get(f"{self.consul}/v1/agent/services", timeout=10).json()
        return {entry_id: {**row, **self._check(entry_id)} for entry_id, row in rows.items()}

    def _check(self, entry_id: str) -> dict:
        there = requests.get(f"{self.consul}/v1/agent/checks", timeout=10).json().get(f"service:{entry_id}")
        # Status and output are of the moment.
        shown = {name: there[name] for name in ("Name", "Notes", "ServiceID", "ServiceTags", "Type")} if there else None
        return {"check": shown, "registered check": self.recorder.checks.get(entry_id) or None}


@dataclass
class Engine:
    """A node's engine by its API: what the command line cannot write can be asked for here."""

    url: str
    image: str
    names: dict[str, str] = field(default_factory=dict)

    def post(self, path: str, body: object = None, ok: tuple[int, ...] = (200, 201, 204, 304)) -> dict:
        answer = requests.post(self.url + path, json=body, timeout=60)
        assert answer.status_code in ok, answer.text
        return answer.json() if answer.content else {}

    def run(self, name: str, *, env=(), labels=None, ports=("8080/tcp",), exposed=(), command=None, **how) -> None:
        made = {
            "Image": self.image,
            "Env": list(env),
            "Labels": labels or {},
            "ExposedPorts": dict.fromkeys([*ports, *exposed], {}),
            "HostConfig": {
                "NetworkMode": how.get("network", "bridge"),
                "PortBindings": dict.fromkeys(
                    ports, [{"HostIp": how.get("host_ip", ""), "HostPort": how.get("host_port", "")}]
                ),
            },
            **({"Cmd": command} if command else {}),
            **({"Healthcheck": HEALTHCHECK} if "health" in how else {}),
        }
        self.post(f"/containers/create?name={name}", made)
        self.post(f"/containers/{name}/start")


@pytest.fixture(scope="module")
def cluster(start_cluster):
    return start_cluster("noswarm", nodes=1)


@pytest.fixture
def engine(cluster, emptied, image):
    emptied(cluster.host(1))
    made = Engine(cluster.host(1).replace("tcp:", "http:"), image(1))
    made.post("/networks/create", {"Name": "books"})
    return made


@pytest.fixture
def sides(cluster, consul_server, our_agent, real_registrator):
    """``sides()`` starts both on the node: ours and theirs, each with a Consul of its own."""
    recorders = []

    def start() -> tuple[Side, Side]:
        made = []
        for agent in (our_agent, real_registrator):
            consul = consul_server(enable_script_checks=True)
            recorders.append(Recorder(consul.url))
            for host in (f"{cluster.name}-1", "another"):
                stale = {"ID": f"{host}:gone:8080", "Name": "gone", "Address": "10.0.0.9", "Port": 1}
                requests.put(f"{consul.url}/v1/agent/service/register", json=stale, timeout=10).raise_for_status()
            agent(cluster.host(1), on=cluster.inside(1), CONSUL_HTTP_ADDR=recorders[-1].url)
            made.append(Side(consul.url, recorders[-1]))
        return made[0], made[1]

    yield start
    for recorder in recorders:
        recorder.stop()


def compared(ours: dict[str, dict], theirs: dict[str, dict]) -> tuple[int, dict[tuple[str, str], tuple]]:
    """How many fields there are, and which of them differ, by container."""
    count, different = 0, {}
    for entry_id in sorted({*ours, *theirs}):
        container = {"mine": "own-id"}.get(entry_id, entry_id.split(":")[1] if ":" in entry_id else "")
        mine, other = ours.get(entry_id), theirs.get(entry_id)
        if mine is None or other is None:
            different[(container, "entry")] = (mine, other)
            continue
        for name in sorted({*mine, *other}):
            count += 1
            if mine.get(name) != other.get(name):
                different[(container, name)] = (mine.get(name), other.get(name))
    return count, different


def test_the_entries_are_the_same_field_by_field(engine, sides, cluster, wait_for):
    names = list(CONTAINERS)
    for name in names[::2]:
        engine.run(name, **CONTAINERS[name])
    ours, theirs = sides()
    # The others come by events.
    for name in names[1::2]:
        engine.run(name, **CONTAINERS[name])
    host = f"{cluster.name}-1"
    expected = {"mine", "another:gone:8080", f"{host}:udp:53", f"{host}:udp:53:udp"}
    expected |= {
        f"{host}:{name}:{port}"
        for name in names
        if name not in ("ignored", "own-id", "unpublished", "udp")
        for port in ("8080", "9090")
        if port == "8080" or name in ("two", "two-named", "on-the-host")
    }
    for side in (ours, theirs):
        wait_for(lambda side=side: set(side.rows()) == expected, f"the entries of {side}", 60)
    count, different = compared(ours.rows(), theirs.rows())
    print(f"{count} fields of {len(expected)} entries compared, {len(different)} different: {sorted(different)}")
    assert {key: values for key, values in different.items() if key not in DELIBERATE} == {}
    assert set(different) == set(DELIBERATE), "a difference is gone: docs/registry.md says that it is there"
    assert count > 10 * len(expected)


def test_both_follow_what_becomes_of_a_container(engine, sides, cluster, wait_for):
    exits = {"exits-well": "0", "exits-badly": "3"}
    lives = {
        "stopped": "stop?t=0",
        "killed": "kill",
        "restarted": "restart?t=0",
        "paused": "pause",
        "renamed": "rename?name=other-name",
        **dict.fromkeys(exits, "kill?signal=USR1"),
    }
    for name in lives.keys() - exits.keys():
        engine.run(name)
    for name, code in exits.items():
        until_told = f"trap 'exit {code}' USR1; while :; do /bin/busybox sleep 0.1; done"
        engine.run(name, command=["/bin/busybox", "sh", "-c", until_told])
    ours, theirs = sides()
    for side in (ours, theirs):
        wait_for(lambda side=side: len(side.rows()) == 8, f"the entries of {side}", 60)
    for name, verb in lives.items():
        engine.post(f"/containers/{name}/{verb}")
    host = f"{cluster.name}-1"
    for side in (ours, theirs):
        kept = {f"{host}:restarted:8080", f"{host}:paused:8080", "another:gone:8080"}
        wait_for(
            lambda side=side, kept=kept: kept <= set(side.rows()) and len(side.rows()) == 4, f"{side}'s entries", 60
        )
    # A renamed container has the new name's ID with ours at once, with Registrator when it starts anew.
    _, different = compared(ours.rows(), theirs.rows())
    assert set(different) <= {("renamed", "entry"), ("other-name", "entry")}, different

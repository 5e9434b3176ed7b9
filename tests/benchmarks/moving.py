"""Two services move from a real Docker Flow: Proxy to ours under load, as docs/coming-from-docker-flow-proxy.md says.

python moving.py [--rate 200] [--moves 3]

Where the program is on PATH (docker_flow.py says how). Needs root, for the redirection. Every request opens a
connection of its own: what is kept open ends with the old proxy, as it does when that restarts.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import requests
import world
from docker_flow import PROGRAM, DockerFlow, is_there
from load import Count, Load

SERVICES = {"books": "/api/v1/books", "orders": "/orders"}
PHASES = ("old proxy", "import", "redirected", "old proxy ends", "ours for good", "ours alone")
CLIENTS = 8


class Instance(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None: ...


class Server(ThreadingHTTPServer):
    request_queue_size = 1024

    def handle_error(self, *_: object) -> None: ...  # a connection that a proxy ends


@contextlib.contextmanager
def instances() -> Iterator[dict[str, int]]:
    """One of each service, and its port."""
    servers = {name: Server(("127.0.0.1", 0), Instance) for name in SERVICES}
    for server in servers.values():
        Thread(target=server.serve_forever, daemon=True).start()
    yield {name: server.server_port for name, server in servers.items()}
    for server in servers.values():
        server.shutdown()


@contextlib.contextmanager
def redirected(port: int, entry: int) -> Iterator[None]:
    """New connections to the port go to ours; those that are open stay where they are."""
    rule = ["-p", "tcp", "-d", "127.0.0.1", "--dport", str(port), "-j", "REDIRECT", "--to-ports", str(entry)]
    subprocess.run(["iptables", "-w", "-t", "nat", "-I", "OUTPUT", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run(["iptables", "-w", "-t", "nat", "-D", "OUTPUT", *rule], check=True)


def register(registry: str, places: dict[str, int]) -> None:
    for name, port in places.items():
        data = {"Name": name, "ID": name, "Address": "127.0.0.1", "Port": port}
        requests.put(f"{registry}/v1/agent/service/register", json=data, timeout=10).raise_for_status()


def served(port: int) -> bool:
    return all(world.answers(f"http://127.0.0.1:{port}{path}") for path in SERVICES.values())


def move(folder: Path, rate: float, seconds: float) -> dict[str, Count]:
    """Once. What users met, by phase, of both services together."""
    with contextlib.ExitStack() as stack:
        places = stack.enter_context(instances())
        registry = stack.enter_context(world.consul(folder))
        register(registry, places)
        old = DockerFlow(folder, *SERVICES)
        process = stack.enter_context(old.running())
        for name, path in SERVICES.items():
            words = {"serviceName": name, "servicePath": path, "port": places[name]}
            url = f"{old.api}/v1/docker-flow-proxy/reconfigure"
            requests.get(url, params=words, timeout=30).raise_for_status()
        loads = [
            stack.enter_context(Load(old.entry, path, CLIENTS, rate / len(SERVICES), keep_alive=False))
            for path in SERVICES.values()
        ]

        def phase(name: str) -> None:
            for load in loads:
                load.phase(name)
            print(f"  {name}", file=sys.stderr, flush=True)

        phase("old proxy")
        time.sleep(seconds)
        phase("import")
        first = world.Daemon(folder, registry)
        with first.running():
            first.command("import", "--from", old.api, "--apply")
            time.sleep(seconds)
            with redirected(old.entry, first.entry):
                phase("redirected")
                time.sleep(seconds)
                phase("old proxy ends")
                old.end_softly(process)
                end = time.monotonic() + 30
                while old.haproxies(process) and time.monotonic() < end:
                    time.sleep(0.1)
                process.kill()
                last = world.Daemon(folder / "last", registry)
                last.folder.mkdir()
                last.argv[last.argv.index("--bind") + 1] = f"127.0.0.1:{old.entry}"
                stack.enter_context(last.running())
                while not all(_serves(last.api, name) for name in SERVICES):
                    time.sleep(0.1)
            phase("ours for good")
            time.sleep(seconds)
        phase("ours alone")
        time.sleep(seconds)
        return _together([load.stop() for load in loads])


def _serves(api: str, service: str) -> bool:
    answer = requests.get(f"{api}/v1/routes/{service}", timeout=5)
    return answer.status_code == 200 and any(one["serving"] for one in answer.json()["instances"])


def _together(counts: list[dict[str, Count]]) -> dict[str, Count]:
    return {
        name: Count(
            sum(own[name].sent for own in counts if name in own),
            sum((own[name].lost for own in counts if name in own), start=Counter()),
        )
        for name in PHASES
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=200, help="requests a second")
    parser.add_argument("--moves", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="of each phase, at the least")
    args = parser.parse_args()
    if not is_there():
        raise SystemExit(f"{PROGRAM} is not on PATH")
    lost = 0
    for number in range(1, args.moves + 1):
        with world.folder() as folder:
            found = move(folder, args.rate, args.seconds)
        told = ", ".join(f"{name} {count.failed} of {count.sent}" for name, count in found.items())
        all_lost = sum((count.lost for count in found.values()), start=Counter())
        sent = sum(count.sent for count in found.values())
        lost += all_lost.total()
        print(f"move {number}: {all_lost.total()} of {sent} lost: {told} {dict(all_lost) or ''}", flush=True)
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()

"""How long from a change in the registry to the server in rotation, with many services present.

The limit, measured in the same run: Consul's own wake-up of a blocking query, plus one command to HAProxy. Once with
Consul's default connection limit (200 a client address), within which the daemon shares its watches, and once with a
raised limit, with a watch for each service; with ``--https`` by Consul's HTTPS port, where the default is enough for
that. The routes have ``skipCheck``, as one small server could not answer the checks of 50,000; with ``--check`` they
have not, and each new instance is asked for a page before it joins.

    python latency.py [--sizes 10,100,1000,5000] [--samples 200] [--limits 200,10000] [--nodes 1] [--https] [--check]
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import requests
import world
from figures import against

INSTANCES = 10
RAISED = 10_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="10,100,1000,5000")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--limits", default=f"200,{RAISED}", help="Consul's http_max_conns_per_client")
    parser.add_argument("--nodes", type=int, default=1, help="which the instances are spread over")
    parser.add_argument("--https", action="store_true", help="the daemon asks Consul's HTTPS port")
    parser.add_argument("--check", action="store_true", help="ask new instances first; for small sizes")
    args = parser.parse_args()
    for size in (int(text) for text in args.sizes.split(",")):
        for limit in (int(text) for text in args.limits.split(",")):
            https = world.free_port() if args.https else -1
            with world.folder() as folder, world.consul(folder, limit, https) as consul, world.backend() as port:
                world.fill(consul, size, port, instances=INSTANCES, skip_check=not args.check, nodes=args.nodes)
                connections = [] if limit == 200 else ["--connections", str(size + 50)]
                daemon = world.Daemon(folder, f"https://127.0.0.1:{https}" if args.https else consul, *connections)
                daemon.settings = {"CONSUL_CACERT": str(folder / "ca.pem")} if args.https else {}
                measure(daemon, consul, port, size, args.samples, limit, args.nodes)


def measure(daemon: world.Daemon, consul: str, port: int, size: int, samples: int, limit: int, nodes: int) -> None:
    with daemon.running() as process:
        stats = world.Stats(daemon.state)
        world.wait_until(lambda: stats.all_servers() >= size * INSTANCES, process, daemon.log)
        ours, ceiling = [], []
        for number in range(samples):
            node = world.node(random.randrange(nodes), nodes)
            ours.append(_in_rotation(consul, stats, port, random.randrange(size), number, node))
            ceiling.append(_limit(consul, stats, number))
        way = "by HTTPS, " if daemon.settings else ""
        kind = f"{nodes} nodes, {way}{'default limit of 200 connections' if limit == 200 else 'raised limit'}"
        against(
            f"registry change -> in rotation, {size} services x {INSTANCES} instances, {kind}",
            ours,
            "Consul's wake-up + one Runtime API command",
            ceiling,
            "<= 2, p99 <= 25 ms raised, <= 150 ms default",
        )
        mib, cpu = _resident_mib(process.pid), _idle_cpu(process.pid)
        print(f"  daemon: {mib} MiB resident, {cpu:.1f} % CPU idle\n", flush=True)


def _in_rotation(consul: str, stats: world.Stats, port: int, number: int, sample: int, node: str) -> float:
    """Register one more instance, and take it away again."""
    name, before = f"bench-{number}", stats.servers(f"bench-{number}")
    entry = {
        "ID": f"{name}-new",
        "Service": name,
        "Address": f"127.{251 + sample % 4}.{1 + sample // 4 % 250}.9",
        "Port": port,
    }
    start = _register(consul, entry, node)
    while stats.servers(name) != before + 1:
        if time.perf_counter() - start > 30:
            raise SystemExit(f"{name} was not in rotation after 30 s")
        _pause(start)
    seconds = time.perf_counter() - start
    requests.put(consul + "/v1/catalog/deregister", json={"Node": node, "ServiceID": entry["ID"]})
    start = time.perf_counter()
    while stats.servers(name) != before:
        _pause(start)
    return seconds


def _pause(start: float) -> None:
    """Asking without a pause would take one of two cores away from what is measured: two per cent of it are exact."""
    time.sleep(max(0.0005, (time.perf_counter() - start) * 0.02))


def _register(consul: str, entry: dict, node: str) -> float:
    """When it was sent: what Consul needs to write it is part of both figures."""
    start = time.perf_counter()
    body = {"Node": node, "Address": "127.0.0.1", "SkipNodeUpdate": True, "Service": entry}
    requests.put(consul + "/v1/catalog/register", json=body).raise_for_status()
    return start


def _limit(consul: str, stats: world.Stats, sample: int) -> float:
    """One blocking query's wake-up by the same kind of change, and one command."""
    name = "limit"
    index = requests.get(f"{consul}/v1/health/service/{name}").headers["X-Consul-Index"]
    woken = []
    watch = threading.Thread(
        target=lambda: (
            requests.get(f"{consul}/v1/health/service/{name}", params={"index": index, "wait": "30s"}),
            stats.ask("show info"),
            woken.append(time.perf_counter()),
        )
    )
    watch.start()
    time.sleep(0.02)
    start = _register(consul, {"ID": "limit", "Service": name, "Address": "127.0.0.1", "Port": 1 + sample}, "limit")
    watch.join()
    return woken[0] - start


def _resident_mib(pid: int) -> int:
    return (
        int(subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout)
        // 1024
    )


def _idle_cpu(pid: int) -> float:
    """Per cent of one core over 5 seconds in which nothing changes."""

    def ticks() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    time.sleep(5)
    return (ticks() - before) / os.sysconf("SC_CLK_TCK") / 5 * 100


if __name__ == "__main__":
    sys.exit(main())

"""Requests a second through the configuration that we render, against one that a person would tune by hand.

Both HAProxy processes send to the same third one, which answers by itself, and are loaded in turn. Both run in
master-worker mode, as Debian starts it, and get a new worker for each pair: where the memory of one process happens to
lie is worth 5 % for as long as it lives.
"""

from __future__ import annotations

import re
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import requests
import world

ROUNDS = 16
ROUTES = 1000
_ANSWER = """\
defaults
    mode http
    timeout client 30s
frontend answer
    bind *:{port}
    http-request return status 200 content-type text/plain string "ok"
"""
_BY_HAND = """\
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    option forwardfor
    http-reuse safe
frontend entry
    bind 127.0.0.1:{port}
    use_backend %[path,map_beg({map})]
"""


def rate(port: int) -> float:
    """Requests a second over one second, by wrk, on 32 kept-alive connections."""
    done = subprocess.run(
        ["wrk", "-t1", "-c32", "-d1s", f"http://127.0.0.1:{port}/bench-500/x"],
        check=True,
        capture_output=True,
        text=True,
    )
    if "Non-2xx" in done.stdout:
        raise SystemExit(done.stdout)
    return float(re.search(r"Requests/sec: +([\d.]+)", done.stdout)[1])


def by_hand(folder: Path, port: int, answer: int) -> str:
    """The same routes as a person would write them: a map, and a backend for each."""
    map_file = folder / "hand.map"
    map_file.write_text("".join(f"/bench-{number}/ b{number}\n" for number in range(ROUTES)))
    backends = "".join(f"backend b{number}\n    server one 127.0.0.1:{answer}\n" for number in range(ROUTES))
    return _BY_HAND.format(port=port, map=map_file) + backends


def haproxy(folder: Path, name: str, text: str):
    config = folder / f"{name}.cfg"
    config.write_text(text)
    # In a session of its own, as the daemon's is: Linux shares the processors out by sessions first.
    return world.running(["setsid", "haproxy", "-W", "-db", "-f", str(config)], folder / f"{name}.log")


def new_workers(daemon: world.Daemon, hand: subprocess.Popen) -> None:
    requests.get(f"{daemon.api}/v1/docker-flow-proxy/reload", timeout=60).raise_for_status()
    hand.send_signal(signal.SIGUSR2)
    time.sleep(1)


def pair(daemon: world.Daemon, hand: subprocess.Popen, port: int, ours_first: bool) -> tuple[float, float]:
    """The rates of ours and of the other: each goes first as often as second, as a machine's speed drifts."""
    new_workers(daemon, hand)
    if ours_first:
        return rate(daemon.entry), rate(port)
    theirs = rate(port)
    return rate(daemon.entry), theirs


def main() -> None:
    with world.folder() as folder, world.consul(folder) as consul:
        answer, hand = world.free_port(), world.free_port()
        world.fill(consul, ROUTES, answer, instances=1)
        daemon = world.Daemon(folder, consul)
        with (
            haproxy(folder, "answer", _ANSWER.format(port=answer)),
            daemon.running() as process,
            haproxy(folder, "hand", by_hand(folder, hand, answer)) as other,
        ):
            world.wait_until(
                lambda: requests.get(f"http://127.0.0.1:{daemon.entry}/bench-500/x", timeout=5).ok, process, daemon.log
            )
            pairs = [pair(daemon, other, hand, number % 2 == 0) for number in range(ROUNDS)]
    ours, peer = (statistics.median(side) for side in zip(*pairs))
    ratio = statistics.median(one / other for one, other in pairs)
    print(f"throughput, {ROUTES} routes\n  ours     {ours:.0f} requests/s\n  by hand  {peer:.0f} requests/s")
    print(f"  ratio    {ratio:.3f}  (goal >= 0.98; median of {ROUNDS} pairs)\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())

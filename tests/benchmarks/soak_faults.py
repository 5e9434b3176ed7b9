"""What goes wrong in the soak: daemons, workers, masters, Consul servers, links, disks and data."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence

import requests
import world
from hosts import ENTRY, Host, leader, read, wait_until
from soak_users import PATH, Cut

# Entries of Consul's log that may come while its servers are asked one after the other.
_BEHIND = 20


class Faults:
    """What goes wrong. Each comes back when it is over.

    :ivar cuts: when users had no path.
    """

    def __init__(self, made: Sequence[Host], rng: random.Random) -> None:
        self._hosts = made
        self._rng = rng
        self._count = 0
        self.cuts: list[Cut] = []

    @contextlib.contextmanager
    def _cut(self, host: Host) -> Iterator[None]:
        cut = Cut(host.number, time.monotonic())
        self.cuts.append(cut)
        try:
            yield
        finally:
            cut.end = time.monotonic()

    def kill_daemon(self, host: Host) -> None:
        host.daemon.kill()
        host.daemon.wait()
        self._pause()
        self._start_daemon(host)

    def restart_daemon(self, host: Host) -> None:
        host.daemon.terminate()
        host.daemon.wait()
        self._start_daemon(host)

    def _start_daemon(self, host: Host) -> None:
        host.start_daemon()
        wait_until(lambda: world.answers(host.api + "/healthz"), f"the proxy of host {host.number} after a start")

    def kill_worker(self, host: Host) -> None:
        self._kill_haproxy(host, -1)

    def kill_master(self, host: Host) -> None:
        self._kill_haproxy(host, 0)

    def _kill_haproxy(self, host: Host, which: int) -> None:
        with self._cut(host):
            found = host.haproxies()
            os.kill(found[which], signal.SIGKILL)
            time.sleep(0.2)
            wait_until(lambda: _enters(host), f"users of host {host.number} after a kill of HAProxy")

    def kill_consul(self, host: Host) -> None:
        host.consul.kill()
        host.consul.wait()
        self._pause()
        host.start_consul()

    def kill_leader(self, _: Host) -> None:
        found = leader(list(self._hosts))
        self.kill_consul(next(host for host in self._hosts if host.address == found))

    def wipe_consul(self, host: Host) -> None:
        host.consul.kill()
        host.consul.wait()
        host.wipe(host.data)
        self._pause()
        host.start_consul()

    def wipe_state(self, host: Host) -> None:
        """The proxy's state is gone, and with it what it would start from."""
        with self._cut(host):
            host.daemon.kill()
            host.daemon.wait()
            for pid in host.haproxies():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            host.wipe(host.state)
            self._start_daemon(host)
            wait_until(lambda: _enters(host), f"users of host {host.number} after its state was wiped")

    def cut_link(self, host: Host) -> None:
        with self._cut(host):
            host.link("down")
            self._pause()
            host.link("up")
            wait_until(lambda: _enters(host), f"users of host {host.number} after its link was cut")

    def stop_daemon(self, host: Host) -> None:
        self._stop(host.daemon)

    def stop_consul(self, host: Host) -> None:
        self._stop(host.consul)

    def _stop(self, process: subprocess.Popen) -> None:
        process.send_signal(signal.SIGSTOP)
        self._pause()
        process.send_signal(signal.SIGCONT)

    def fill_disk(self, host: Host) -> None:
        host.fill_disk()
        self._pause()
        host.empty_disk()

    def _pause(self) -> None:
        time.sleep(self._rng.uniform(0.5, 5))

    def any(self) -> str:
        """One of them. :return: its name."""
        kinds: list[Callable[[Host], None]] = [
            self.kill_daemon,
            self.restart_daemon,
            self.kill_worker,
            self.kill_master,
            self.kill_consul,
            self.kill_leader,
            self.wipe_consul,
            self.wipe_state,
            self.cut_link,
            self.stop_daemon,
            self.stop_consul,
            self.fill_disk,
        ]
        # One after the other, each as often: then at random, so that a short run has met each.
        kind = kinds[self._count] if self._count < len(kinds) else self._rng.choice(kinds)
        kind(self._rng.choice(self._hosts))
        # Two servers of three are needed: the next one fails only once this one is back.
        wait_until(lambda: _healthy(self._hosts), "Consul to be whole again", 120)
        self._count += 1
        return f"fault: {kind.__name__.replace('_', ' ')}"


def _enters(host: Host) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"http://{host.address}:{ENTRY}{PATH}", timeout=5).status_code == 200
    return False


def _healthy(made: Sequence[Host]) -> bool:
    """Whether every server is a voter that has what the leader has.

    What it has is asked of each: of a server whose data were wiped the leader goes on telling for seconds how it was
    before. Two of three must not lose their data within that time: with it the cluster's are gone.
    """
    found = read(f"{made[0].consul_url}/v1/operator/autopilot/health")
    if not isinstance(found, dict) or not all(one["Healthy"] and one["Voter"] for one in found["Servers"]):
        return False
    agents = [read(f"{host.consul_url}/v1/agent/self") for host in made]
    applied = [int(agent["Stats"]["raft"]["applied_index"]) for agent in agents if isinstance(agent, dict)]
    return len(found["Servers"]) == len(applied) == len(made) and max(applied) - min(applied) < _BEHIND

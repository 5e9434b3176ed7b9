"""Twenty minutes of faults: three proxies, three Consul servers and agents on two engines, in network namespaces.

Deploys that are good and bad, scales, routes that come and go; kills -9 of daemons, workers, masters, Consul servers
and its leader, cut links, SIGSTOP, full disks, wiped data; requests through each proxy all the time. A request may be
lost only where its every path was cut: its proxy's HAProxy was killed or its host's link was down. At the end no route
is lost and none has come back. Needs root.

python soak.py [--minutes 20] [--seed N]
"""

from __future__ import annotations

import argparse
import collections
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import requests
import world
from hosts import API, ENGINES, ENTRY, MODULE, Host, hosts, read, wait_until
from soak_faults import Faults
from soak_users import PATH, Cut, Lost, Users

SERVICE = "soak"
COMPOSE = """\
version: "2"
services:
  app:
    image: jenkins-proxy-bench
    ports: ["8080"]
    stop_grace_period: 8s
    network_mode: bridge
    environment:
      SERVICE_NAME: soak
      SERVICE_PATH: /api/v1/soak
      VERSION: "${VERSION:-1}"
      RELEASE: "${RELEASE:-good}"
    command: ["/bin/busybox", "sh", "/release.sh"]
"""
_CONVERGED = 2.0
# What may have to do with a lost request ended no longer before it than this.
_BEFORE = 10.0


class Soak:
    """What people do beside the faults, and what has to be true afterwards.

    :ivar log: what was done: begin and end on the monotonic clock, and its name.
    :ivar lagging: proxies that a command went on without, and named: as docs/proxy.md has it, their users may meet an
        instance that it stopped meanwhile.
    :ivar routes: the routes without containers that have to be there. :ivar removed: those that must not be.
    """

    def __init__(self, made: Sequence[Host], folder: Path, rng: random.Random) -> None:
        self._hosts = made
        self._rng = rng
        self._folder = folder
        self.faults = Faults(made, rng)
        self.did: collections.Counter[str] = collections.Counter()
        self.routes: set[str] = set()
        self.removed: set[str] = set()
        self.log: list[tuple[float, float, str]] = []
        self.lagging: list[Cut] = []
        self._began = time.monotonic()
        self._version = 1
        self._route = 0
        for number in ENGINES:
            (folder / f"engine-{number}").mkdir()
            (folder / f"engine-{number}" / "docker-compose.yml").write_text(COMPOSE)

    def note(self, name: str, begin: float) -> None:
        """Something was done just now. :param begin: when it began, on the monotonic clock."""
        self.did[name] += 1
        self.log.append((begin, time.monotonic(), name))
        print(f"  {begin - self._began:7.1f} s: {name}", file=sys.stderr, flush=True)

    def during(self, lost: Lost) -> str:
        """When a request was lost, and what was done then or ended within the seconds before."""
        names = [name for begin, end, name in self.log if begin <= lost.end and lost.begin <= end + _BEFORE]
        return f"{lost.begin - self._began:.1f} s, with {', '.join(names) or 'nothing'}"

    def command(self, engine: int, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        host = self._hosts[engine - 1]
        environment = {
            **world.ENVIRONMENT,
            "DOCKER_HOST": host.engine,
            "CONSUL_HTTP_ADDR": host.consul_url,
            "JENKINS_PROXY_URL": host.api,
            "JENKINS_PROXY_ENTRY": f"http://{host.address}:{ENTRY}",
            "VERSION": str(self._version),
            **more,
        }
        begin = time.monotonic()
        done = subprocess.run([*MODULE, *words], env=environment, capture_output=True, text=True, check=False)
        for line in done.stderr.splitlines():
            if "not yet served by" in line:
                print(f"    {line}", file=sys.stderr, flush=True)
                # A proxy's name ends with its API's port.
                named = [int(port) - API for port in re.findall(r":(\d+)\b", line)]
                self.lagging += [Cut(number, begin, time.monotonic()) for number in named]
        return done

    def deploy(self, engine: int, **more: str) -> subprocess.CompletedProcess[str]:
        self._version += 1
        file = self._folder / f"engine-{engine}" / "docker-compose.yml"
        options = ["--path", PATH, "-f", str(file), "-p", f"soak{engine}", "--orchestrator", "compose-v2"]
        return self.command(engine, "deploy", SERVICE, *options, "--strategy", "rolling", "--timeout", "60", **more)

    def deploy_any(self) -> str:
        engine = self._rng.choice(ENGINES)
        release = self._rng.choice(["good", "good", "bad-500", "exits"])
        done = self.deploy(engine, RELEASE=release)
        code = done.returncode
        if release == "good":
            self._tell(done)
        if code == 0 and release != "good":
            raise SystemExit(f"a release that is {release} was called good")
        return f"deploy of a {'good' if release == 'good' else 'bad'} release: exit {code}"

    def scale(self) -> str:
        done = self._scale_to(self._rng.choice(ENGINES), self._rng.randint(1, 3))
        self._tell(done)
        return f"scale: exit {done.returncode}"

    def _scale_to(self, engine: int, count: int) -> subprocess.CompletedProcess[str]:
        file = self._folder / f"engine-{engine}" / "docker-compose.yml"
        words = ["scale", SERVICE, str(count), "-f", str(file), "-p", f"soak{engine}"]
        return self.command(engine, *words, "--orchestrator", "compose-v2")

    def _tell(self, done: subprocess.CompletedProcess[str]) -> None:
        """Why a command failed: within so many faults it may, as long as it says so."""
        for line in done.stderr.splitlines() if done.returncode else ():
            if "ERROR: " in line:
                print(f"    {line}", file=sys.stderr, flush=True)

    def put_route(self) -> str:
        self._route += 1
        name = f"soak-{self._route}"
        if self._change("PUT", name, {"paths": [f"/{name}"]}):
            self.routes.add(name)
            return "route put"
        return "route put: refused"

    def remove_route(self) -> str:
        if not self.routes:
            return "route removed: there was none"
        name = self._rng.choice(sorted(self.routes))
        if self._change("DELETE", name, None):
            self.routes.discard(name)
            self.removed.add(name)
            return "route removed"
        return "route removed: refused"

    def _change(self, method: str, name: str, body: object) -> bool:
        """Whether the change is certain: one that was refused by one proxy is asked for until another one takes it."""
        end = time.monotonic() + 240
        answers = []
        while time.monotonic() < end:
            host = self._rng.choice(self._hosts)
            begin = time.monotonic()
            try:
                url = f"{host.api}/v1/routes/{name}"
                query = {"allowEmpty": "true"} if method == "PUT" else {}
                answer = requests.request(method, url, params=query, json=body, timeout=60)
            except requests.RequestException as error:
                answers.append(f"proxy {host.number}, {time.monotonic() - begin:.0f} s: {type(error).__name__}")
            else:
                if answer.ok or (answer.status_code == 404 and method == "DELETE"):
                    return True
                if answer.status_code < 500 and answer.status_code not in (404, 409):
                    raise SystemExit(f"{method} {name}: {answer.status_code} {answer.text}")
                answers.append(f"proxy {host.number}, {time.monotonic() - begin:.0f} s: {answer.text}")
            time.sleep(0.5)
        raise SystemExit(f"{method} of route {name}: no proxy took it within four minutes: {answers}")

    def converged(self) -> bool:
        """Whether every proxy serves what is registered, and the routes that have to be there."""
        return not self.differences()

    def put_in_order(self) -> None:
        """Whatever a command that failed has left half-done, the next one ends it."""
        for engine in ENGINES:
            done = self._scale_to(engine, 2)
            if done.returncode:
                raise SystemExit(f"the last scale on engine {engine} ended with {done.returncode}:\n{done.stderr}")
        if differences := self.differences(in_order=True):
            raise SystemExit(f"after the last scales: {'; '.join(differences)}")

    def differences(self, *, in_order: bool = False) -> list[str]:
        """What a proxy serves and should not, or does not and should.

        :param in_order: whether no instance may be drained: a command that failed on the way down has left some so.
        """
        entries = read(f"{self._hosts[0].consul_url}/v1/health/service/{SERVICE}?passing=true")
        if not entries:
            return [f"no entry of {SERVICE}"]
        wanted = {f"{entry['Service']['Address']}:{entry['Service']['Port']}" for entry in entries}
        found = []
        for host in self._hosts:
            route = read(f"{host.api}/v1/routes/{SERVICE}")
            if not route:
                found.append(f"proxy {host.number} has no route of {SERVICE}")
                continue
            serving = {f"{one['address']}:{one['port']}" for one in route["instances"] if one["serving"]}
            drained = {f"{one['address']}:{one['port']}" for one in route["instances"] if one["draining"]}
            names = _names(host)
            for words, what in (
                ("does not serve", wanted - serving - (set() if in_order else drained)),
                ("serves what is not registered:", serving - wanted),
                ("has lost", self.routes - names),
                ("has again", names & self.removed),
            ):
                if what:
                    found.append(f"proxy {host.number} {words} {', '.join(sorted(what))}")
        return found


def play(soak: Soak, made: Sequence[Host], minutes: float) -> int:
    """Everything, for so long. :return: how much went wrong."""
    for number in ENGINES:
        done = soak.deploy(number)
        if done.returncode:
            raise SystemExit(f"the first deploy to engine {number} ended with {done.returncode}:\n{done.stderr}")
    users = [Users(host, keep=keep) for host in made for keep in (True, False)]
    for user in users:
        user.start()
    failures = at_once(soak, minutes)
    took = float("inf")
    if not failures:
        try:
            took = wait_until(soak.converged, "the proxies to serve the same", 120)
        except SystemExit:
            print(*soak.differences(), sep="\n", file=sys.stderr)
            raise
        soak.put_in_order()
    for user in users:
        user.stopping = True
    for user in users:
        user.join()
    return report(soak, made, users, took=took, failures=failures)


def at_once(soak: Soak, minutes: float) -> list[BaseException]:
    """What people do beside what goes wrong, for so long. :return: why it was broken off."""
    end = time.monotonic() + minutes * 60
    failures: list[BaseException] = []

    def repeat(actions: Sequence[Callable[[], str]], seed: int) -> None:
        rng = random.Random(seed)
        try:
            while time.monotonic() < end and not failures:
                begin = time.monotonic()
                name = rng.choice(actions)()
                soak.note(name, begin)
                time.sleep(rng.uniform(0, 2))
        except (SystemExit, Exception) as error:
            failures.append(error)
            print(f"  broken off: {error!r}", file=sys.stderr, flush=True)

    people = [soak.deploy_any, soak.scale, soak.put_route, soak.put_route, soak.remove_route]
    workers = [threading.Thread(target=repeat, args=pair) for pair in ((people, 1), ([soak.faults.any], 2))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return failures


def report(soak: Soak, made: Sequence[Host], users: Sequence[Users], *, took: float, failures: list) -> int:
    """Print what was done and lost. :return: how much went wrong."""
    lost = [one for user in users for one in user.lost]
    left = [one for one in lost if not any(cut.excuses(one) for cut in soak.faults.cuts)]
    vain = [one for one in left if not any(lag.excuses(one) for lag in soak.lagging)]
    for name, count in sorted(soak.did.items()):
        print(f"{count:6} x {name}")
    print(f"{sum(user.sent for user in users)} requests; lost where every path was cut: {len(lost) - len(left)}")
    print(f"lost at a proxy that a command had gone on without, and named: {len(left) - len(vain)}")
    for (proxy, reason, during), count in collections.Counter(
        (one.proxy, one.reason, soak.during(one)) for one in vain
    ).items():
        print(f"  lost in vain at proxy {proxy}: {count} x {reason} at {during}")
    gone = soak.routes - set.intersection(*map(_names, made))
    back = soak.removed & set.union(*map(_names, made))
    print(f"lost in vain: {len(vain)} (goal 0); converged after {took:.1f} s (goal {_CONVERGED:.0f})")
    print(f"routes lost: {len(gone)}, come back: {len(back)} (goal 0)", flush=True)
    for failure in failures:
        print(f"broken off: {failure!r}")
    return len(vain) + len(gone) + len(back) + len(failures) + (took > _CONVERGED)


def _names(host: Host) -> set[str]:
    found = read(f"{host.api}/v1/routes")
    return {one["route"]["service"] for one in found["routes"]} if isinstance(found, dict) else set()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--logs", type=Path, help="a folder that gets the logs of proxies, agents and Consul servers")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    args = parser.parse_args()
    # The namespaces end with the block.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"soak of {args.minutes:g} minutes, seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="jps-") as name, hosts() as made:
        wrong = play(Soak(made, Path(name), random.Random(args.seed)), made, args.minutes)
        for file in made[0].folder.parent.glob("host-*/*.log") if args.logs else ():
            args.logs.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, args.logs / f"{file.parent.name}-{file.name}")
        return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

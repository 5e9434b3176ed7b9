"""What the daemon's own life costs users: restarts, kills and upgrades of it and of HAProxy, under load. The goal is 0.

python lives.py                           20 restarts, 5 kills -9, an upgrade of the package and one of HAProxy, and one
                                          of each in the middle of a rolling deploy; and a download of 60 s and a
                                          websocket that live through all of it
python lives.py --short                   3 restarts, 1 kill, and the rest
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import requests
import world
from load import Load, table
from service import SERVICE_PATH, TOP, Bench, build_image

from jenkins_proxy import __version__

# With a host of its own, so that the load's route stays the only one that is measured.
STREAM_PATH = "/stream"
DOWNLOAD_SECONDS = 60
_PIECE = b"x" * 1000


class Life:
    """The daemon, which can be ended and started again, by another package or with another HAProxy.

    :ivar daemon: as benchmarks know it. :ivar restarts: how often it was started again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.daemon = world.Daemon(folder, stop_haproxy=False)
        self._environment = dict(world.ENVIRONMENT)
        self._process: subprocess.Popen | None = None
        self.restarts = 0
        programs = folder / "programs"
        programs.mkdir()
        self._haproxy = programs / "haproxy"
        self.replace_haproxy()
        self._environment["PATH"] = f"{programs}:{os.environ['PATH']}"

    def start(self) -> None:
        with self.daemon.log.open("ab") as log:
            self._process = subprocess.Popen(self.daemon.argv, stdout=log, stderr=log, env=self._environment)
        world.wait_until(lambda: world.answers(self.daemon.api + "/readyz"), self._process, self.daemon.log)

    def restart(self, signum: int = signal.SIGTERM) -> None:
        """End it, at once or in order, and start it again."""
        self._process.send_signal(signum)
        self._process.wait(timeout=60)
        self.start()
        self.restarts += 1

    def kill(self) -> None:
        self.restart(signal.SIGKILL)

    def upgrade_package(self) -> None:
        """Restart it from a checkout of the next release."""
        checkout = self._folder / f"checkout-{self.restarts}"
        for name in ("jenkins_proxy", "resources"):
            shutil.copytree(TOP / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
        file = checkout / "jenkins_proxy" / "__init__.py"
        text = file.read_text()
        file.write_text(text.replace(f'"{__version__}"', f'"{__version__}.{self.restarts}"'))
        if file.read_text() == text:
            raise SystemExit(f"{file} does not hold the version {__version__}")
        self._environment["PYTHONPATH"] = str(checkout)
        self.restart()
        said = requests.get(self.daemon.api + "/v1/state", timeout=10).text
        if f"{__version__}." not in said:
            raise SystemExit("the daemon is not of the next release")

    def replace_haproxy(self) -> None:
        """Put another file at HAProxy's place, as a package manager does."""
        new = self._haproxy.with_suffix(".new")
        shutil.copy(shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin"), new)
        new.replace(self._haproxy)

    def upgrade_haproxy(self) -> None:
        """Install another HAProxy and restart the daemon: every HAProxy that takes users is the new one then."""
        self.replace_haproxy()
        self.restart()
        # The one of before serves only what it began.
        master = next(self.daemon.state.rglob("haproxy.pid")).read_text()
        if os.stat(f"/proc/{master}/exe").st_ino != self._haproxy.stat().st_ino:
            raise SystemExit("the HAProxy that serves is not the one that was installed")

    def haproxies(self) -> list[int]:
        """The process IDs of every HAProxy of this daemon: a master and its worker, but for those that end yet."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (folder / "comm").read_text() == "haproxy\n" and self._folder in (folder / "cwd").resolve().parents:
                    found.append(int(folder.name))
        return found

    def end(self) -> None:
        """End the daemon and its HAProxy."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=60)
        for pid in self.haproxies():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


@contextlib.contextmanager
def streaming(daemon: world.Daemon) -> Iterator[None]:
    """A service that sends a download of DOWNLOAD_SECONDS, and echoes what comes over an upgraded connection."""

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += (piece := connection.recv(4096))
                if not piece:
                    return
            if b"upgrade: echo" in head.lower():
                connection.sendall(b"HTTP/1.1 101 Ok\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
                while said := connection.recv(4096):
                    connection.sendall(said)
            elif head.startswith(b"GET /stream/download "):
                size = len(_PIECE) * DOWNLOAD_SECONDS
                connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
                for _ in range(DOWNLOAD_SECONDS):
                    connection.sendall(_PIECE)
                    time.sleep(1)
            else:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        entry = {"ID": "stream-1", "Name": "stream", "Address": "127.0.0.1", "Port": server.getsockname()[1]}
        url = f"{daemon.registry}/v1/agent/service/register"
        requests.put(url, json=entry, timeout=10).raise_for_status()
        daemon.command("reconfigure", "stream", "--path", STREAM_PATH, "--probe-path", f"{STREAM_PATH}/")
        yield


class Websocket:
    """A connection that stays upgraded."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._socket.sendall(b"GET /stream/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        if b" 101 " not in self._socket.recv(4096):
            raise SystemExit("no websocket")

    def lives(self) -> bool:
        with contextlib.suppress(OSError):
            self._socket.sendall(b"still there?")
            return self._socket.recv(100) == b"still there?"
        return False

    def close(self) -> None:
        self._socket.close()


class Download(threading.Thread):
    """A download that takes DOWNLOAD_SECONDS, in a thread.

    :ivar whole: how many came to their end. :ivar broken: how many did not.
    """

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self.whole = self.broken = 0
        self.stopping = False

    def run(self) -> None:
        while not self.stopping:
            try:
                with socket.create_connection(("127.0.0.1", self._port), timeout=20) as connection:
                    connection.sendall(b"GET /stream/download HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    got = b"".join(iter(lambda: connection.recv(65536), b""))
                ok = got.partition(b"\r\n\r\n")[2] == _PIECE * DOWNLOAD_SECONDS
            except OSError:
                ok = False
            self.whole += ok
            self.broken += not ok


def in_a_deploy(bench: Bench, action: Callable[[], None], rng: random.Random) -> Callable[[], None]:
    """The action in the middle of a rolling deploy, which has to end well all the same."""

    def both() -> None:
        bench.version += 1
        run = {"env": bench.environment(), "stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}
        with subprocess.Popen(bench.argv("deploy", "--strategy", "rolling"), **run) as process:
            # Before it has its lock and its plan, a deploy says that nobody answers, and has changed nothing.
            said = ""
            while "* strategy" not in said and (line := process.stderr.readline()):
                said += line
            time.sleep(rng.uniform(0, 4))
            action()
            said += process.stderr.read()
        if process.returncode:
            raise SystemExit(f"the deploy ended with {process.returncode}:\n{said}")
        waited = "waited for the daemon and " * ("waits for it" in said)
        print(f"  a deploy that met it {waited}ended with 0", file=sys.stderr, flush=True)

    return both


def play(*, short: bool, seed: int) -> int:
    """Everything once: print the table, and return how many requests and streams were lost."""
    rng = random.Random(seed)
    restarts, kills = (3, 1) if short else (20, 5)
    with world.folder() as folder:
        build_image(folder)
        life = Life(folder)
        bench = Bench(folder, life.daemon)
        port = life.daemon.entry
        try:
            life.start()
            bench.deploy("--scale", "2")
            phases = [
                (restarts, "polite restart", life.restart),
                (kills, "kill -9 of the daemon", life.kill),
                (1, "upgrade of the package", life.upgrade_package),
                (1, "upgrade of HAProxy", life.upgrade_haproxy),
                (1, "restart in a rolling deploy", in_a_deploy(bench, life.restart, rng)),
                (1, "kill -9 in a rolling deploy", in_a_deploy(bench, life.kill, rng)),
                (1, "upgrade of both in a deploy", in_a_deploy(bench, life.upgrade_haproxy, rng)),
            ]
            with streaming(life.daemon), Load(port, SERVICE_PATH, rate=600) as load:
                websocket, download = Websocket(port), Download(port)
                download.start()
                for times, name, action in phases:
                    load.phase(f"{times} x {name}")
                    for _ in range(times):
                        action()
                        time.sleep(rng.uniform(0, 1))
                load.phase("afterwards")
                download.stopping = True
                download.join()
                lives = websocket.lives()
                websocket.close()
                counts = load.stop()
            time.sleep(60)
            left = len(life.haproxies())
        finally:
            bench.down()
            life.end()
    print(table(counts))
    lost = sum(count.failed for count in counts.values())
    print(f"downloads of {DOWNLOAD_SECONDS} s: {download.whole} whole, {download.broken} broken (goal 0)")
    print(f"the websocket lives: {'yes' if lives else 'no'}; HAProxy processes a minute later: {left} (goal 2)")
    print(f"lost: {lost} (goal 0), seed {seed}\n", flush=True)
    return lost + download.broken + (not lives) + (left != 2)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    args = parser.parse_args()
    return 1 if play(short=args.short, seed=args.seed) else 0


if __name__ == "__main__":
    sys.exit(main())

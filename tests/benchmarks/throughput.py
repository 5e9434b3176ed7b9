"""Requests a second through the configuration that we render, against one that a person would tune by hand.

python throughput.py                      every row
python throughput.py --rows off,tls       some of them; --rounds N: pairs of each

A row is what a front door does beside leading requests to their service: nothing, an access log, TLS, users who stay
at their instance, a login. By hand it is written as HAProxy's own documentation does. Both HAProxy processes send to
the same third one, which answers by itself, and are loaded in turn. Both run in master-worker mode, as Debian starts
it, and get a new worker for each pair: where the memory of one process happens to lie is worth 5 % for as long as it
lives.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import requests
import trustme
import urllib3
import world

GOAL = 0.98
ROUTES = 1000
LOGIN = ("ann", "secret")
# Of that password, as `openssl passwd -6` makes it. HAProxy asks crypt(3) at each request, by either configuration.
HASH = "$6$benchmark$BnKR4D1GzYgVNTXJAUDcQM1aBiC1qN7GwH5A1o3o9sww9gSqXy9tbJ7Sf3x2DwI5Tjn7LQCCY2qMomXp8qsOj1"
_ANSWER = """\
defaults
    mode http
    timeout client 30s
frontend answer
    bind *:{port}
    http-request return status 200 content-type text/plain string "ok"
"""
_BY_HAND = """\
{globals}defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    option forwardfor
    http-reuse safe
{userlist}frontend entry
    bind 127.0.0.1:{port}{bind}
{frontend}    use_backend %[path,map_beg({map})]
"""
_TLS = """\
global
    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
    ssl-default-bind-ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384
"""
_LOG = "    log stdout len 8192 format raw local0\n"
_TEXTS = {
    "time": "%[date,utime(%Y-%m-%dT%H:%M:%SZ)]", "client": "%ci", "method": "%HM", "protocol": "%HV", "tls": "%sslv",
    "uri": "%[capture.req.uri,json(utf8s)]", "host": "%[capture.req.hdr(0),json(utf8s)]",
    "referer": "%[capture.req.hdr(1),json(utf8s)]", "user_agent": "%[capture.req.hdr(2),json(utf8s)]",
    "route": "%b", "instance": "%s", "termination": "%ts",
}  # fmt: skip
_NUMBERS = {
    "status": "%ST",
    "bytes": "%B",
    "request": "%TR",
    "queue": "%Tw",
    "connect": "%Tc",
    "answer": "%Tr",
    "all": "%Ta",
}
_JSON = ",".join(
    [f'"{name}":"{value}"' for name, value in _TEXTS.items()] + [f'"{n}":{v}' for n, v in _NUMBERS.items()]
)
_CAPTURES = "".join(f"    http-request capture req.hdr({name}) len 128\n" for name in ("host", "referer", "user-agent"))


@dataclass(frozen=True)
class Row:
    """What both do.

    :ivar arguments: of ``serve``; ``{folder}`` and ``{port}`` stand for the row's own.
    :ivar options: of the route that is asked for.
    :ivar globals: sections and lines by hand; ``userlist``, ``bind``, ``frontend``, ``backend``, ``server`` likewise.
    """

    text: str
    arguments: tuple[str, ...] = ()
    options: dict[str, object] = field(default_factory=dict)
    globals: str = ""
    userlist: str = ""
    bind: str = ""
    frontend: str = ""
    backend: str = ""
    server: str = ""
    scheme: str = "http"
    authorization: str = ""


ROWS = {
    "off": Row("nothing else"),
    "clf": Row(
        "access log, CLF",
        ("--access-log", "clf", "--access-log-to", "{folder}/access.log"),
        frontend=f"{_LOG}    option httplog clf\n",
    ),
    "json": Row(
        "access log, JSON",
        ("--access-log", "json", "--access-log-to", "{folder}/access.log"),
        frontend=f"{_LOG}{_CAPTURES}    log-format '{{{_JSON}}}'\n",
    ),
    "tls": Row(
        "TLS",
        ("--tls-bind", "127.0.0.1:{port}", "--certs", "{folder}/certs"),
        globals=_TLS,
        bind=" ssl crt {folder}/certs/own.pem alpn h2,http/1.1",
        frontend="    http-request set-header X-Forwarded-Proto https\n",
        scheme="https",
    ),
    "sticky": Row(
        "users stay at their instance",
        options={"session_type": "sticky-server"},
        backend="    cookie kept insert indirect nocache\n",
        server=" cookie one",
    ),
    "users": Row(
        "a login",
        options={"users": [f"{LOGIN[0]}:{HASH}"]},
        userlist=f"userlist known\n    user {LOGIN[0]} password '{HASH}'\n",
        backend="    http-request auth unless { http_auth(known) }\n    http-request del-header Authorization\n",
        authorization="Basic " + base64.b64encode(":".join(LOGIN).encode()).decode(),
    ),
}


def by_hand(folder: Path, row: Row, number: int, port: int, answer: int) -> str:
    """The same routes as a person would write them: a map, and a backend for each.

    :param number: of the route that has the row's options.
    """
    map_file = folder / "hand.map"
    map_file.write_text("".join(f"/bench-{number}/ b{number}\n" for number in range(ROUTES)))
    given = {"globals": row.globals, "userlist": row.userlist, "frontend": row.frontend}
    head = _BY_HAND.format(port=port, bind=row.bind.format(folder=folder), map=map_file, **given)
    backends = (
        f"backend b{own}\n{row.backend if own == number else ''}"
        f"    server one 127.0.0.1:{answer}{row.server if own == number else ''}\n"
        for own in range(ROUTES)
    )
    return head + "".join(backends)


def haproxy(folder: Path, name: str, text: str) -> contextlib.AbstractContextManager[subprocess.Popen]:
    config = folder / f"{name}.cfg"
    config.write_text(text)
    # In a session of its own, as the daemon's is: Linux shares the processors out by sessions first.
    return world.running(["setsid", "haproxy", "-W", "-db", "-f", str(config)], folder / f"{name}.log")


@dataclass
class Pair:
    """Ours and the one by hand, both of one row.

    :ivar ours: the URL of a page; ``theirs`` likewise.
    """

    row: Row
    daemon: world.Daemon
    hand: subprocess.Popen
    ours: str
    theirs: str

    def rates(self, ours_first: bool) -> tuple[float, float]:
        """Each goes first as often as second, as a machine's speed drifts."""
        requests.get(f"{self.daemon.api}/v1/docker-flow-proxy/reload", timeout=60).raise_for_status()
        self.hand.send_signal(signal.SIGUSR2)
        time.sleep(1)
        if ours_first:
            return self._rate(self.ours), self._rate(self.theirs)
        theirs = self._rate(self.theirs)
        return self._rate(self.ours), theirs

    def headers(self, url: str) -> dict[str, str]:
        """Those of a user who has been there before."""
        own = {"Authorization": self.row.authorization} if self.row.authorization else {}
        answer = requests.get(url, headers=own, timeout=5, verify=False)
        answer.raise_for_status()
        cookies = "; ".join(f"{name}={value}" for name, value in answer.cookies.items())
        return {**own, **({"Cookie": cookies} if cookies else {})}

    def _rate(self, url: str) -> float:
        """Requests a second over one second, by wrk, on 32 kept-alive connections."""
        given = [word for name, value in self.headers(url).items() for word in ("-H", f"{name}: {value}")]
        done = subprocess.run(["wrk", "-t1", "-c32", "-d1s", *given, url], check=True, capture_output=True, text=True)
        if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
            raise SystemExit(done.stdout)
        return float(re.search(r"Requests/sec: +([\d.]+)", done.stdout)[1])


@contextlib.contextmanager
def pair(folder: Path, consul: str, answer: int, name: str) -> Iterator[Pair]:
    """Both of a row, while they serve."""
    row, number = ROWS[name], 500 + list(ROWS).index(name)
    route = json.dumps(
        {"service": f"bench-{number}", "paths": [f"/bench-{number}/"], "skip_check": True, **row.options}
    )
    requests.put(f"{consul}/v1/kv/jenkins-proxy/routes/bench-{number}", data=route, timeout=10).raise_for_status()
    own = folder / name
    (own / "certs").mkdir(parents=True)
    pem = trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem
    pem.write_to_path(str(own / "certs" / "own.pem"))
    port, https = world.free_port(), world.free_port()
    daemon = world.Daemon(own, consul, *(text.format(folder=own, port=https) for text in row.arguments))
    page = f"{row.scheme}://127.0.0.1:{{}}/bench-{number}/x"
    with (
        daemon.running() as process,
        haproxy(own, "hand", by_hand(own, row, number, port, answer)) as hand,
    ):
        made = Pair(row, daemon, hand, page.format(https if row.scheme == "https" else daemon.entry), page.format(port))

        def ready() -> bool:
            with contextlib.suppress(requests.RequestException):
                return all(made.headers(url) is not None for url in (made.ours, made.theirs))
            return False

        world.wait_until(ready, process, daemon.log)
        yield made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", default=",".join(ROWS), help="of " + " ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=16, help="pairs of each row")
    args = parser.parse_args()
    names = args.rows.split(",")
    if unknown := [name for name in names if name not in ROWS]:
        parser.error(f"no row {unknown[0]}; there are {' '.join(ROWS)}")
    urllib3.disable_warnings()  # nobody trusts these certificates
    print(f"throughput, {ROUTES} routes, requests/s\n{'':34}{'ours':>8} {'by hand':>8} {'ratio':>7}", flush=True)
    with world.folder() as folder, world.consul(folder) as consul:
        answer = world.free_port()
        world.fill(consul, ROUTES, answer, instances=1)
        with haproxy(folder, "answer", _ANSWER.format(port=answer)):
            for name in names:
                with pair(folder, consul, answer, name) as both:
                    rates = [both.rates(number % 2 == 0) for number in range(args.rounds)]
                ours, theirs = (statistics.median(side) for side in zip(*rates))
                ratio = statistics.median(one / other for one, other in rates)
                goal = f"  (goal >= {GOAL})" if name == "off" else ""
                print(f"  {ROWS[name].text:32}{ours:8.0f} {theirs:8.0f} {ratio:7.3f}{goal}", flush=True)
    print(f"  ratio: median of {args.rounds} pairs\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())

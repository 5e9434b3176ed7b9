"""The documented calls of Docker Flow: Proxy, made to a real one and to ours: what its users get of each.

python replay.py [--only TEXT]

Where the program is on PATH (docker_flow.py says how). Both have the same instances. After each call the same requests
go through both, and what the user and the instance saw of them is compared; so are the answers of the API.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import subprocess
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import requests
import world
from docker_flow import PROGRAM, DockerFlow, is_there

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.docs.docker_flow_exchanges import EXCHANGES, Exchange  # noqa: E402 - the path to it comes first

PREFIX = "/v1/docker-flow-proxy/"
# What the documentation's calls say of ports, and where these instances are here.
PORTS = ("1111", "2222", "8080", "8081", "6379", "80", "443", "9000")
PATHS = (
    "/demo",
    "/demo/hello",
    "/demo/person?a=b",
    "/demos",
    "/",
    "/other",
    "/something/x",
    "/else/x",
    "/foo/x",
    "/API",
)
HOSTS = ("", "my-domain.com", "sub.my-domain.com", "my-other-domain.com", "a.org", "x.a.org", "ba.org", "a.org.net")
HEADERS: tuple[Mapping[str, str], ...] = (
    {"X-Version": "3"},
    {"X-Version": "3", "name": "Viktor"},
    {"User-Agent": "amiga 500"},
    {"User-Agent": "an amstrad"},
    {"Authorization": "Basic YWRtaW46cGFzc3dvcmQ="},
    {"Authorization": "Basic YWRtaW46d3Jvbmc="},
    {"X-Forwarded-Proto": "http"},
    {"X-Forwarded-Proto": "https"},
    {"Cookie": "a=b", "X-Forwarded-For": "1.2.3.4"},
    {"Accept-Encoding": "gzip"},
)
METHODS = ("HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
# Of an answer: the instance's own, and what a request's way adds.
ANSWERED = ("location", "www-authenticate", "my-res-header", "strict-transport-security", "content-encoding", "vary")
# Of what an instance sees: all that is not of this client or of one request.
# Where a difference that is named in the documentation shows: its name, the call, what is asked, and what differs.
NAMED = (
    ("domain", r"serviceDomain=my-domain", r"sub\.my-domain", ""),
    ("hdr-dom", r"serviceDomainMatchAll", r"a\.org\.net", ""),
    ("https-port", r"httpsOnly|redirect(When|Unless)", "", "^location: '.* there, 'https:[^']*:TLS"),
    ("redirect", r"redirectFromDomain", "https:", "^location: 'http:.* there, 'https:"),
    ("secure", r"denyHttp|httpsOnly|ssl_fc", r"X-Forwarded-Proto: https", ""),
    ("forwarded", "", r"https:.* X-Forwarded-Proto: http$", "^header x-forwarded-proto"),
    ("redirect-when", r"redirectWhen", "", ""),
    ("cookie", r"sessionType", "", "^cookies"),
)
UNSEEN = ("connection", "accept", "accept-encoding", "content-length", "x-forwarded-port", "x-forwarded-host")


@dataclass(frozen=True)
class Ask:
    path: str = "/demo"
    host: str = ""
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    tls: bool = False

    def __str__(self) -> str:
        more = "".join(f" {name}: {value}" for name, value in self.headers)
        return f"{self.method} {'https:' if self.tls else ''}{self.host}{self.path}{more}"


ASKS = (
    *(Ask(path) for path in PATHS),
    *(Ask(path, host) for host in HOSTS if host for path in ("/demo", "/other")),
    *(Ask(headers=tuple(own.items())) for own in HEADERS),
    *(Ask(method=method) for method in METHODS),
    *(Ask(path, tls=True) for path in ("/demo", "/demo/hello", "/other")),
    *(Ask(headers=tuple(own.items()), tls=True) for own in HEADERS),
    *(Ask("/demo", host, tls=True) for host in HOSTS if host),
)


class Instance(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        seen = {name.lower(): value for name, value in self.headers.items()}
        said = {"port": self.server.server_port, "path": self.path, "method": self.command, "headers": seen}
        body = json.dumps(said).encode()
        self.send_response(200)
        for name, value in (
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("X-Cache", "hit"),
        ):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = _answer

    def log_message(self, *_: object) -> None: ...


class Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None: ...  # a connection that a proxy ends


@contextlib.contextmanager
def instances() -> Iterator[dict[str, int]]:
    """An instance for each port of the documentation: by it, where it is."""
    servers = {port: Server(("127.0.0.1", 0), Instance) for port in PORTS}
    for server in servers.values():
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {port: server.server_port for port, server in servers.items()}
    for server in servers.values():
        server.shutdown()


def seen(side: Side, ask: Ask) -> dict[str, Any]:
    """What the user gets, and what the instance was asked."""
    port = side.tls_entry if ask.tls else side.entry
    headers = {
        "User-Agent": "user",
        **dict(ask.headers),
        "Connection": "close",
        "Host": ask.host or f"127.0.0.1:{port}",
    }
    try:
        answer = requests.request(
            ask.method,
            f"{'https' if ask.tls else 'http'}://127.0.0.1:{port}{ask.path}",
            headers=headers,
            timeout=10,
            allow_redirects=False,
            verify=False,
        )
    except requests.RequestException as error:
        return {"status": type(error).__name__}
    found: dict[str, Any] = {"status": answer.status_code}
    found |= {name: answer.headers[name] for name in (*ANSWERED, "x-cache") if name in answer.headers}
    found["cookies"] = sorted(answer.cookies.keys())
    if answer.status_code == 200 and answer.headers.get("content-type") == "application/json" and answer.content:
        asked = answer.json()
        found |= {name: asked[name] for name in ("port", "path", "method")}
        found["headers"] = {name: value for name, value in asked["headers"].items() if name not in UNSEEN}
        if not ask.tls and "X-Forwarded-Proto" not in dict(ask.headers):
            found["headers"].pop("x-forwarded-proto", None)  # there only https is told
        if found["headers"].get("host") == f"127.0.0.1:{port}":
            found["headers"]["host"] = "itself"
    if "location" in found:
        found["location"] = found["location"].replace(f":{side.entry}", ":PORT").replace(f":{side.tls_entry}", ":TLS")
    return found


def differing(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """In words, in what two of them differ."""
    found = [
        f"{name}: {there.get(name)!r} there, {here.get(name)!r} here"
        for name in sorted({*there, *here} - {"headers"})
        if there.get(name) != here.get(name)
    ]
    one, other = there.get("headers"), here.get("headers")
    if one is not None and other is not None:
        found += [
            f"header {name}: {one.get(name)!r} there, {other.get(name)!r} here"
            for name in sorted({*one, *other})
            if one.get(name) != other.get(name)
        ]
    return found


def call(url: str, exchange: Exchange, path: str, body: str) -> tuple[int, Any]:
    answer = requests.request(exchange.method, url + path, data=body or None, timeout=60)
    try:
        return answer.status_code, answer.json()
    except requests.JSONDecodeError:
        return answer.status_code, answer.text


def located(exchange: Exchange, ports: Mapping[str, int], certificate: str) -> str:
    """The call's path with the ports of the instances here, and with a real certificate."""
    # One machine has no Swarm to distribute to, and no host of this name.
    text = exchange.call.replace("&distribute=true", "") if exchange.call.startswith("cert") else exchange.call
    text = text.replace("ecme.com:80", f"127.0.0.1&port={ports['8080']}")
    path = text if text.startswith("/") else PREFIX + text
    head, mark, query = path.replace("-----BEGIN CERTIFICATE-----", quote(certificate)).partition("?")
    pairs = []
    for pair in query.split("&") if query else []:
        name, _, value = pair.partition("=")
        own = name.startswith("port") and value in ports
        pairs.append(f"{name}={ports[value]}" if own else pair)
    return head + mark + "&".join(pairs)


@dataclass
class Side:
    """One of the two proxies. :ivar ports: of the documentation, where they are at this proxy's entry."""

    api: str
    entry: int
    tls_entry: int
    ports: dict[str, int]

    def make(
        self, exchange: Exchange, instances: Mapping[str, int], certificate: str, more: str = ""
    ) -> tuple[int, Any]:
        path = located(exchange, instances, certificate.replace("\n", "\\n"))
        head, mark, query = path.partition("?")
        pairs = []
        for pair in query.split("&") if query else []:
            name, _, value = pair.partition("=")
            pairs.append(f"{name}={self.ports[value]}" if name.startswith("srcPort") and value in self.ports else pair)
        return call(self.api, exchange, head + mark + "&".join(pairs) + more, exchange.body and certificate)

    def clean(self, exchange: Exchange) -> None:
        query = dict(parse_qsl(exchange.call.partition("?")[2]))
        names = {name: query[name] for name in ("serviceName", "aclName") if name in query}
        requests.get(f"{self.api}{PREFIX}remove", params=names, timeout=60)


def name_of(exchange: Exchange, ask: Ask, difference: str) -> str:
    """The name that the documentation has for a difference; empty where it has none."""
    for name, call_pattern, ask_pattern, pattern in NAMED:
        patterns = ((call_pattern, exchange.call), (ask_pattern, str(ask)), (pattern, difference))
        if all(re.search(own, text) for own, text in patterns):
            return name
    return ""


def compare(there: Side, here: Side, places: Mapping[str, int], certificate: str, only: str) -> int:
    """Every documented call at both, and what comes of it.

    :return: how many differences have no name.
    """
    counts: Counter[str] = Counter()
    names: Counter[str] = Counter()
    for exchange in EXCHANGES:
        # What is no certificate keeps the real one from every later change: it stays in its folder.
        if not re.search(only, exchange.call) or "serviceCert=my-cert" in exchange.call:
            continue
        query = exchange.call.startswith("reconfigure?")
        port = "" if not query or re.search(r"ecme|[?&]port(\.[0-9]+)?=", exchange.call) else f"&port={places['8080']}"
        one = there.make(exchange, places, certificate, port)
        other = here.make(exchange, places, certificate, "&wait=5" if query and "wait=" not in exchange.call else "")
        counts["calls"] += 1
        counts["calls with one status"] += one[0] == other[0]
        if one[0] != other[0]:
            names[exchange.difference] += 1
            texts = [answer[1].get("Message") if isinstance(answer[1], dict) else answer[1] for answer in (one, other)]
            print(f"API [{exchange.difference}] {exchange.call}: {one[0]} there, {other[0]} here: {str(texts)[:300]}")
        if query and one[0] == other[0] == 200 and not re.search("reqMode=(tcp|sni)", exchange.call):
            for ask in ASKS:
                differences = differing(seen(there, ask), seen(here, ask))
                counts["requests"] += 1
                counts["requests alike"] += not differences
                for difference in differences:
                    name = name_of(exchange, ask, difference)
                    names[name] += 1
                    if not name:
                        print(f"USERS {exchange.call}\n    {ask}: {difference}", flush=True)
        if query:
            there.clean(exchange)
            here.clean(exchange)
    print(", ".join(f"{name} {number}" for name, number in counts.items()))
    print("differences: " + ", ".join(f"{name or 'WITHOUT A NAME'} {number}" for name, number in sorted(names.items())))
    return names[""]


def write_certificate(folder: Path) -> None:
    """One with its key, for any name."""
    paths = [folder / "key", folder / "cert"]
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=proxy", "-days", "9"]
    subprocess.run([*argv, "-keyout", paths[0], "-out", paths[1]], check=True, capture_output=True)
    (folder / "proxy.pem").write_bytes(b"".join(path.read_bytes() for path in reversed(paths)))
    for path in paths:
        path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", metavar="REGEX", help="of the calls")
    only = parser.parse_args().only
    warnings.simplefilter("ignore")
    if not is_there():
        raise SystemExit(f"{PROGRAM} is not on PATH")
    with world.folder() as folder, instances() as places:
        certificates = folder / "certs"
        certificates.mkdir()
        write_certificate(certificates)
        old = DockerFlow(folder, "go-demo", "redis", "api", "closed", "dead", "foo", certificates=certificates)
        second, tcp, tls = world.free_port(), world.free_port(), world.free_port()
        more = ["--bind", f"127.0.0.1:{second}", "--tcp-bind", f"127.0.0.1:{tcp}"]
        ours = world.Daemon(
            folder,
            "",
            *more,
            "--tls-bind",
            f"127.0.0.1:{tls}",
            "--certs",
            str(certificates),
            "--trusted",
            "127.0.0.0/8",
        )
        with old.running(), ours.running():
            for service in ("go-demo", "redis", "api", "foo"):
                for port in (None, "blue", *places):
                    name = service if port is None else f"{service}-{places.get(port, port)}"
                    where = places.get(port, places["8080"])
                    data = {"Name": name, "ID": name, "Address": "127.0.0.1", "Port": where}
                    requests.put(f"{ours.registry}/v1/agent/service/register", json=data, timeout=10).raise_for_status()
            there = Side(old.api, old.entry, old.tls_entry, {"80": old.entry})
            here = Side(ours.api, ours.entry, tls, {"80": ours.entry, "443": second, "6379": tcp})
            without_name = compare(there, here, places, (certificates / "proxy.pem").read_text(), only)
    sys.exit(1 if without_name else 0)


if __name__ == "__main__":
    main()

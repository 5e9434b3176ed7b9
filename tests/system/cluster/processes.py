"""What runs beside the engines: Consul, our daemon, instances without a container."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests

from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.clients.proxy import ProxyClient

MODULE = [sys.executable, "-m", "jenkins_proxy"]


class ConsulServer:
    """A real Consul of one server that can be stopped and started at its ports. In memory unless it has a folder.

    With ``join``, another one, it is an agent of that one's cluster and no server.
    """

    def __init__(
        self,
        program: str,
        folder: Path,
        ports: dict[str, int],
        *,
        keep: bool = False,
        join: ConsulServer | None = None,
        **more,
    ) -> None:
        self._data = folder / "data"
        self.member = f"127.0.0.1:{ports['serf_lan']}"
        self._log = folder / "log"
        config = folder / "config.json"
        text = {"ports": {"dns": -1, "grpc": -1, **ports}, "bind_addr": "127.0.0.1", **more}
        config.write_text(json.dumps(text))
        kind = ["-server", "-bootstrap-expect", "1", "-data-dir", str(self._data)] if keep else ["-dev"]
        if join:
            kind = ["-retry-join", join.member, "-data-dir", str(self._data)]
        self._argv = [program, "agent", *kind, "-config-file", str(config)]
        scheme = "https" if ports.get("http") == -1 else "http"
        self.url = f"{scheme}://127.0.0.1:{ports.get(scheme)}"
        self.cacert = more.get("ca_file", "")
        self._certificate = (more["cert_file"], more["key_file"]) if self.cacert else None
        self._process: subprocess.Popen | None = None

    def start(self, wait_for) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._argv, stdout=log, stderr=log)
        wait_for(self._ready, f"Consul at {self.url}")

    def _ready(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        with contextlib.suppress(requests.RequestException):
            answer = requests.get(
                self.url + "/v1/status/leader", verify=self.cacert or True, cert=self._certificate, timeout=2
            )
            return len(answer.text) > 4
        return False

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None

    def lose_data(self) -> None:
        """Kill it, and take its data away."""
        self._process.kill()
        self._process.wait(timeout=20)
        self._process = None
        shutil.rmtree(self._data)


class Daemon:
    """A ``serve`` with ports and a state directory that outlive it."""

    def __init__(self, argv: list[str], environment: dict, api: str, entry: str, log: Path) -> None:
        self._argv, self._environment, self._log = argv, environment, log
        self.api, self.entry = api, entry
        self.process: subprocess.Popen | None = None

    @property
    def client(self) -> ProxyClient:
        return ProxyClient(self.api)

    @property
    def said(self) -> str:
        return self._log.read_text()

    def start(self, wait_for) -> None:
        before = self.said.count("serving: ") if self._log.exists() else 0
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([*MODULE, *self._argv], env=self._environment, stderr=log)

        def ready() -> bool:
            assert self.process.poll() is None, self.said
            return self.said.count("serving: ") > before

        wait_for(ready, f"serve at {self.api}")

    def stop(self, signum: int = signal.SIGTERM) -> int:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signum)
        return self.process.wait(timeout=30) if self.process else 0

    def get(self, path: str) -> tuple[int, str]:
        """What a user meets."""
        answer = requests.get(self.entry + path, timeout=10)
        return answer.status_code, answer.text


class Origin:
    """An instance without a container: answers every request with its name.

    :ivar release: what ends with ``/slow`` is answered once it is set, and what ends with ``/stream`` ends then.
    :ivar asked: the paths of these.
    """

    def __init__(self, name: str) -> None:
        self.release = release = threading.Event()
        self.asked = asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # noqa: N802
                if self.path.endswith("/stream"):
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(b"begun")
                if self.path.endswith(("/slow", "/stream")):
                    asked.append(self.path)
                    release.wait(30)
                if self.path.endswith("/stream"):
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(name)))
                self.end_headers()
                self.wfile.write(name.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # HAProxy's checks hang up before they are answered: that is no news.
        self._server.handle_error = lambda *_: None
        self.name, self.port = name, self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def register(self, url: str, service: str) -> None:
        entry = {"ID": self.name, "Name": service, "Address": "127.0.0.1", "Port": self.port}
        with Consul(url) as registry:
            registry.register(entry)

    def stop(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

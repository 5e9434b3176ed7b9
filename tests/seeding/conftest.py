"""A Jenkins in this process: enough of its REST API to seed against, and to fail in every way that Jenkins does."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from jenkins_proxy.seeding.items import FOLDER, JOB, VIEW
from jenkins_proxy.seeding.jenkins_server import JenkinsServer

FOLDER_TAG = "<com.cloudbees.hudson.plugins.folder.Folder"


@dataclass
class Answer:
    """What the server says once, in place of what it would say.

    ``silent`` closes the connection without an answer; ``hang`` says nothing for five seconds.
    """

    status: int = 200
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    silent: bool = False
    hang: bool = False


class FakeJenkins:
    """Items by kind and path, and every request that was made."""

    token = "secret-token"

    def __init__(self) -> None:
        self.configs: dict[tuple[str, str], bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.headers: list[dict] = []
        self.bodies: list[bytes] = []
        self.faults: dict[tuple[str, str], list[Answer]] = {}
        self.password_login = False
        self.crumb = "crumb-1"
        self.most_at_once = 0
        self.stopped = threading.Event()
        # Called before its items are listed.
        self.before_listing: Callable[[], object] = lambda: None
        self._running = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def connect(self, **more) -> JenkinsServer:
        return JenkinsServer(self.url, "admin", self.token, **more)

    def fault(self, method: str, path: str, *answers: Answer) -> None:
        """Give these answers, one each, to requests for a path (without its query)."""
        self.faults[method, path] = list(answers)

    def writes(self) -> list[str]:
        return [path for method, path in self.requests if method == "POST"]

    def put(self, kind: str, path: str, config: str) -> None:
        self.configs[kind, path] = config.encode()

    def restart(self) -> None:
        self.crumb = f"crumb-{uuid.uuid4().hex}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_) -> None:
                pass

            def do_GET(self) -> None:
                fake._serve(self)

            do_POST = do_GET

        return Handler

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        parts = urlsplit(handler.path)
        with self._lock:
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
            self.requests.append((handler.command, parts.path))
            self.headers.append(dict(handler.headers))
            self.bodies.append(body)
            faults = self.faults.get((handler.command, parts.path))
            answer = faults.pop(0) if faults else None
        try:
            answer = answer or self._answer(handler, parts.path, parse_qs(parts.query), body)
        finally:
            with self._lock:
                self._running -= 1
        if answer.hang:
            self.stopped.wait(timeout=5)
        if answer.silent or answer.hang:
            handler.close_connection = True
            return
        handler.send_response(answer.status)
        headers = {"X-Jenkins": "2.421", "Content-Length": str(len(answer.body)), **answer.headers}
        for name, value in headers.items():
            if value is not None:
                handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer.body)

    def _answer(self, handler: BaseHTTPRequestHandler, path: str, query: dict, body: bytes) -> Answer:
        if "Authorization" not in handler.headers:
            return Answer(403)
        if path == "/crumbIssuer/api/json":
            cookie = {"Set-Cookie": f"JSESSIONID={self.crumb}; Path=/"}
            return Answer(body=_json({"crumbRequestField": "Jenkins-Crumb", "crumb": self.crumb}), headers=cookie)
        if handler.command == "POST" and self.password_login and not self._has_crumb(handler):
            return Answer(403, b"<html><title>Error 403 No valid crumb was included in the request</title></html>")
        if path == "/me/api/json":
            return Answer(body=_json({"fullName": "admin"}))
        if path == "/api/json":
            self.before_listing()
            return Answer(body=_json(self._tree("")))
        return self._item_answer(handler.command, path, query, body)

    def _has_crumb(self, handler: BaseHTTPRequestHandler) -> bool:
        return handler.headers.get("Jenkins-Crumb") == self.crumb and f"JSESSIONID={self.crumb}" in handler.headers.get(
            "Cookie", ""
        )

    def _item_answer(self, method: str, path: str, query: dict, body: bytes) -> Answer:
        *steps, action = [unquote(step) for step in path.strip("/").split("/")]
        name = "/".join(steps[1::2])
        kind = VIEW if "view" in steps[0::2] else JOB
        if action in ("createItem", "createView"):
            made = "/".join(filter(None, (name, query["name"][0])))
            kind = VIEW if action == "createView" else FOLDER if FOLDER_TAG.encode() in body else JOB
            taken = {(VIEW, made)} if kind == VIEW else {(FOLDER, made), (JOB, made)}
            with self._lock:
                if taken & self.configs.keys():
                    return Answer(400, headers={"X-Error": f"A {kind} already exists with the name {query['name'][0]}"})
                self.configs[kind, made] = body
            return Answer()
        if kind == JOB and (FOLDER, name) in self.configs:
            kind = FOLDER
        if (kind, name) not in self.configs:
            return Answer(404)
        if action == "config.xml" and method == "GET":
            return Answer(body=self.configs[kind, name], headers={"Content-Type": "application/xml"})
        if action == "config.xml":
            self.configs[kind, name] = body
            return Answer()
        if action == "doDelete":
            del self.configs[kind, name]
            return Answer()
        return Answer(404)

    def _tree(self, folder: str) -> dict:
        inside = [(kind, path) for kind, path in self.configs if path.rpartition("/")[0] == folder]
        jobs = [
            {
                "name": path.rpartition("/")[2],
                "description": self._description(kind, path),
                **({"_class": FOLDER_TAG[1:], **self._tree(path)} if kind == FOLDER else {}),
            }
            for kind, path in inside
            if kind != VIEW
        ]
        views = [
            {"name": path.rpartition("/")[2], "description": self._description(kind, path)}
            for kind, path in inside
            if kind == VIEW
        ]
        return {"jobs": jobs, "views": views}

    def _description(self, kind: str, path: str) -> str:
        from jenkins_proxy.seeding import config_xml

        return config_xml.parse(self.configs[kind, path]).findtext("description") or ""


def _json(data: dict) -> bytes:
    return json.dumps(data).encode()


@pytest.fixture
def fake():
    """A Jenkins without items."""
    jenkins = FakeJenkins()
    yield jenkins
    jenkins.stop()


@pytest.fixture
def answer():
    """``answer(503)`` is what a fault answers with."""
    return Answer

"""Telling a URL: retried, bounded, verified, and no secret of it shown."""

from __future__ import annotations

import json
import ssl
import threading
import time

import pytest
import trustme

from jenkins_proxy import cli
from jenkins_proxy.clients.notification import Notifier, Timing
from jenkins_proxy.errors import UsageError
from tests.fixtures.http_server import Handler, serving

FAST = Timing(total=5.0, attempt=1.0, first_pause=0.01)
SECRET = "/services/T0/hunter2?key=hunter3"


class _Receiver(Handler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, self.headers["Content-Type"], json.loads(body)))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if status == 0:
            self.server.released.wait(30)
            return
        self.send_response(status)
        self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST


@pytest.fixture
def receiver():
    with serving(_Receiver) as server:
        server.seen, server.statuses, server.released = [], [], threading.Event()
        yield server
        server.released.set()


@pytest.mark.parametrize(
    ("statuses", "reason", "attempts"),
    [
        ([], "", 1),
        ([204], "", 1),
        ([503, 500, 429], "", 4),
        ([404], "it answered 404", 1),
        ([401], "it answered 401", 1),
        ([302], "it answered 302", 1),
    ],
)
def test_what_may_come_right_is_tried_again(receiver, statuses: list[int], reason: str, attempts: int) -> None:
    receiver.statuses = statuses
    pauses: list[float] = []
    notifier = Notifier(f"http://127.0.0.1:{receiver.server_port}{SECRET}", FAST, pauses.append)
    assert notifier.tell({"service": "books-ms"}) == reason
    assert receiver.seen == [(SECRET, "application/json", {"service": "books-ms"})] * attempts
    assert len(pauses) == attempts - 1
    assert all(before <= 2 * after for before, after in zip(pauses, pauses[1:]))


def test_one_that_never_takes_it_ends_in_time(receiver) -> None:
    receiver.statuses = [500] * 1000
    started = time.monotonic()
    notifier = Notifier(f"http://127.0.0.1:{receiver.server_port}/", Timing(total=0.5, first_pause=0.01))
    assert notifier.tell({}) == "it answered 500"
    assert time.monotonic() - started < 3
    assert len(receiver.seen) > 3


def test_one_that_says_nothing_ends_in_time(receiver) -> None:
    receiver.statuses = [0]
    notifier = Notifier(f"http://127.0.0.1:{receiver.server_port}{SECRET}", Timing(total=0.3, attempt=60))
    assert notifier.tell({}) == "no answer within 0.3 s"


def test_where_nobody_listens_no_part_of_the_url_is_shown(free_port) -> None:
    notifier = Notifier(f"http://me:hunter4@127.0.0.1:{free_port()}{SECRET}", Timing(total=0.1, first_pause=0.2))
    assert notifier.tell({}) == "connection refused"
    assert "hunter" not in notifier.name and notifier.name.startswith("http://127.0.0.1:")


def test_a_name_that_nobody_has_shows_no_part_of_the_url() -> None:
    notifier = Notifier(f"https://nobody.invalid{SECRET}", Timing(total=5, first_pause=6))
    reason = notifier.tell({})
    assert reason and "hunter" not in reason and "services" not in reason


def test_a_certificate_is_verified(receiver) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    notifier = Notifier(f"https://127.0.0.1:{receiver.server_port}{SECRET}", Timing(total=1, first_pause=2))
    assert notifier.tell({}).startswith("certificate not trusted: ")
    assert receiver.seen == []


@pytest.mark.parametrize(
    "url", ["hooks.example.com/hunter2", "ftp://h/hunter2", "https://", "file:///hunter2", "https://[x"]
)
def test_what_is_no_address_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Notifier(url)
    assert caught.value.message == "JENKINS_PROXY_NOTIFY is no http:// or https:// address"
    assert "hunter2" not in caught.value.hint


@pytest.mark.parametrize(
    "words",
    [
        ["deploy", "books-ms", "--path", "/"],
        ["promote", "books-ms"],
        ["abort", "books-ms"],
        ["scale", "books-ms", "3"],
        ["reconfigure", "books-ms", "--path", "/"],
        ["remove", "books-ms"],
        ["rollback", "books-ms"],
        ["undeploy", "books-ms"],
    ],
    ids=lambda words: words[0],
)
def test_every_command_that_changes_a_service_tells(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """Seen by what it refuses before it begins."""
    monkeypatch.setenv("JENKINS_PROXY_NOTIFY", "hunter2")
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert "JENKINS_PROXY_NOTIFY is no http:// or https:// address" in said and "hunter2" not in said

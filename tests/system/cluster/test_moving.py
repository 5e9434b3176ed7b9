"""Moving from a Docker Flow: Proxy that serves, on the same Consul and the same entries, without a lost request."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import requests

from tests.fixtures.traffic import asking

RECONFIGURE = "/v1/docker-flow-proxy/reconfigure?serviceName=books&servicePath=/books"
# As Docker Flow: Proxy writes it.
CONFIG = """\
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
frontend services
    bind 127.0.0.1:{port}
    option http-server-close
    acl url_books path_beg /books
    use_backend books-be if url_books
backend books-be
    mode http
    server books_0 {instance} check
"""


@pytest.fixture
def old_proxy(haproxy, free_port, wait_for, tmp_path: Path):
    """``old_proxy(instance)`` is the HAProxy that serves so far, and its port."""
    started = []

    def start(instance: str) -> tuple[subprocess.Popen, int]:
        port = free_port()
        (tmp_path / "old.cfg").write_text(CONFIG.format(port=port, instance=instance))
        started.append(subprocess.Popen([haproxy, "-db", "-f", str(tmp_path / "old.cfg")], stderr=subprocess.DEVNULL))
        wait_for(lambda: answer(f"http://127.0.0.1:{port}") == "200", "the old proxy")
        return started[-1], port

    yield start
    for process in started:
        process.kill()
        process.wait()


@contextlib.contextmanager
def redirected(port: int, entry: str):
    """New connections to the port go to ours; those that are open stay where they are."""
    rule = [
        "-p",
        "tcp",
        "-d",
        "127.0.0.1",
        "--dport",
        str(port),
        "-j",
        "REDIRECT",
        "--to-ports",
        entry.rpartition(":")[2],
    ]
    subprocess.run(["iptables", "-w", "-t", "nat", "-I", "OUTPUT", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run(["iptables", "-w", "-t", "nat", "-D", "OUTPUT", *rule], check=True)


def answer(url: str) -> str:
    """The status of a request with a connection of its own, or what became of it."""
    try:
        return str(requests.get(f"{url}/books", timeout=10).status_code)
    except requests.RequestException as error:
        return type(error).__name__


def test_moves_to_ours_and_to_the_same_port_without_a_lost_request(
    consul_server, start_daemon, origins, old_proxy, wait_for
) -> None:
    consul = consul_server()
    (one,) = origins("one")
    one.register(consul.url, "books")
    old, port = old_proxy(f"127.0.0.1:{one.port}")
    answers: Counter[str] = Counter()

    def user() -> None:
        answers[answer(f"http://127.0.0.1:{port}")] += 1

    def go_on(who: str) -> None:
        before = answers.total()
        wait_for(lambda: answers.total() > before + 20, f"users of {who}")

    with asking(user, user):
        go_on("the old proxy")
        ours = start_daemon("--consul", consul.url)
        assert requests.get(ours.api + RECONFIGURE, timeout=10).json()["Status"] == "OK"
        assert ours.get("/books") == (200, "one")
        with redirected(port, ours.entry):
            go_on("ours, behind a redirection")
            old.send_signal(signal.SIGUSR1)  # once its last request is over
            old.wait(timeout=20)
            # For good, where the old one listened; it reads the routes from Consul.
            last = start_daemon("--consul", consul.url, "--bind", f"127.0.0.1:{port}")
            wait_for(lambda: last.get("/books") == (200, "one"), "the last one to have proven its instances")
        go_on("ours")
        ours.stop()
        go_on("ours, alone")
    assert set(answers) == {"200"}, answers

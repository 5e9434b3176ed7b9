"""Who may call a daemon that runs, what it records of it, and with how few rights it runs itself."""

from __future__ import annotations

import json
import os
import pwd
import re
import socket
from pathlib import Path

import pytest

from tests.system.daemon.conftest import haproxies

BOOKS = "/api/v1/books"
RECONFIGURE = f"/v1/docker-flow-proxy/reconfigure?serviceName=books-ms&servicePath={BOOKS}"
READER, CHANGER, NEXT = "reading-token-of-a-test", "changing-token-of-a-test", "the-next-token-of-a-test"
_NOBODY = 65534


def bearer(token: str) -> tuple[str, str]:
    return "-H", f"Authorization: Bearer {token}"


def test_tokens_have_roles_are_turned_over_and_named_in_the_audit(make_daemon, backends, tmp_path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"read {READER} dashboard\nchange {CHANGER} ci\n")
    tokens.chmod(0o600)
    daemon = make_daemon("--token-file", str(tokens), "--log-format", "json")
    daemon.start()
    (backend,) = backends()
    daemon.register("books-ms", backend)
    assert "403" in daemon.curl(RECONFIGURE, *bearer(READER))[1]
    assert "401" in daemon.curl("/v1/routes")[1]
    assert daemon.curl(RECONFIGURE, *bearer(CHANGER), "-H", "X-Request-ID: build-7")[0] == 0
    assert daemon.get(BOOKS) == (200, str(backend.port))
    assert json.loads(daemon.curl("/v1/routes", *bearer(READER))[1])["routes"][0]["service"] == "books-ms"

    def write(name: str, *arguments: str) -> str:
        return daemon.curl("", "-X", "PUT", "-d", "{}", *arguments, f"{daemon.registry}/v1/kv/jenkins-proxy/{name}")[1]

    assert "403" in write("routes/evil") and "403" in write("routes/evil", *bearer(READER))
    assert "true" in write("drains/books-ms", *bearer(CHANGER))
    tokens.write_text(f"read {READER} dashboard\nchange {NEXT} ci\n")
    assert "401" in daemon.curl("/v1/docker-flow-proxy/reload", *bearer(CHANGER))[1]
    assert daemon.curl("/v1/docker-flow-proxy/reload", *bearer(NEXT))[0] == 0

    changes = json.loads(daemon.curl("/v1/audit", *bearer(READER))[1])["changes"]
    assert [(one["caller"], one["action"], one["service"], one["status"]) for one in reversed(changes)] == [
        ("dashboard", "reconfigure", "books-ms", 403),
        ("ci", "reconfigure", "books-ms", 200),
        ("anonymous", "registry put", "jenkins-proxy/routes/evil", 403),
        ("dashboard", "registry put", "jenkins-proxy/routes/evil", 403),
        ("ci", "registry put", "jenkins-proxy/drains/books-ms", 200),
        ("anonymous", "reload", "", 401),
        ("ci", "reload", "", 200),
    ]
    lines = [json.loads(line) for line in daemon.said.splitlines()]
    logged = [line for line in lines if line["logger"] == "jenkins_proxy.audit"]
    assert [line["request_id"] for line in logged] == [one["request_id"] for one in reversed(changes)]
    assert logged[1]["request_id"] == "build-7"
    assert not any(token in daemon.said for token in (READER, CHANGER, NEXT))


def low_port() -> int:
    """A free port below 1024."""
    for port in range(1023, 600, -1):
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port below 1024 is free")


@pytest.fixture
def ordinary(make_daemon, free_port):
    """A daemon of an ordinary user with one capability, as of systemd's unit, and its port below 1024 for users.

    Whoever is no root already runs the tests without any right, and has no such port.
    """
    root = os.geteuid() == 0
    port = low_port() if root else free_port()
    daemon = make_daemon("--bind", f"127.0.0.1:{port}")
    if root:
        daemon.state.mkdir()
        os.chown(daemon.state, _NOBODY, _NOBODY)
        # The second one is for this checkout, which others may not be able to read.
        rights = "-all,+net_bind_service,+dac_read_search"
        daemon.wrap(
            "setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--no-new-privs",
            f"--inh-caps={rights}", f"--ambient-caps={rights}", f"--bounding-set={rights}",
        )  # fmt: skip
    return daemon, port


def test_it_runs_as_an_ordinary_user_and_so_does_haproxy(ordinary, backends, wait_for) -> None:
    daemon, port = ordinary
    daemon.start()
    (backend,) = backends()
    daemon.register("books-ms", backend)
    assert daemon.curl(RECONFIGURE)[0] == 0
    assert daemon.end() == 143
    daemon.start()
    daemon.entry = port
    assert daemon.get(BOOKS) == (200, str(backend.port))
    running = [daemon.process.pid, *haproxies(daemon.state)]
    assert len(running) >= 3
    owner = pwd.getpwuid(_NOBODY if os.geteuid() == 0 else os.geteuid())
    assert {Path(f"/proc/{pid}").owner() for pid in running} == {owner.pw_name}
    if os.geteuid() == 0:
        held = {re.search(r"CapEff:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())[1] for pid in running}
        assert all(int(rights, 16) & ~(1 << 10 | 1 << 2) == 0 for rights in held), held
    complaints = [line for line in daemon.said.splitlines() if " ERROR " in line or "ermission" in line]
    assert complaints == []

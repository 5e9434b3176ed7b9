"""The access log on the daemon's stdout: a line for each request, over reloads and a new daemon, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from jenkins_proxy.proxy.haproxy.entry.access_log import CLF, FORMATS

CLF_PATH = re.compile(
    r'127\.0\.0\.1 - - \[[^]]+\] "GET (\S+) HTTP/1\.1" (\d+) .* (\S+) 127\.0\.0\.1:\d+ \S+ - - - \d+ -- \d+'
)


@pytest.fixture
def outputs(tmp_path) -> Path:
    """Where each daemon has its stdout, one file for each that was started."""
    folder = tmp_path / "outputs"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("form", FORMATS)
def test_stdout_has_the_requests_and_nothing_else(form, outputs, make_daemon, backends, wait_for):
    daemon = make_daemon("--access-log", form)
    daemon.wrap("sh", "-c", 'exec "$@" >"$(mktemp "$0/$(date +%s%N).XXXXXX")"', str(outputs))
    (backend,) = backends()

    def told(number: int) -> list[tuple[str, int, str]]:
        text = sorted(outputs.iterdir())[number].read_text()
        assert text == "" or text.endswith("\n")
        return [_read(form, line) for line in text.splitlines()]

    daemon.start()
    for name in ("books", "more"):
        # Each route is a reload.
        daemon.register(name, backend)
        assert daemon.curl(f"/v1/routes/{name}", "-X", "PUT", "-d", json.dumps({"paths": [f"/{name}"]}))[0] == 0
        assert daemon.get(f"/{name}/1")[0] == 200
    expected = [("/books/1", 200, "books"), ("/more/1", 200, "more")]
    wait_for(lambda: sorted(told(0)) == expected, "the first lines")
    daemon.end()
    daemon.start()
    assert daemon.get("/more/2")[0] == 200
    wait_for(lambda: told(1) == [("/more/2", 200, "more")], "the line of the next daemon")
    assert daemon.curl("/v1/docker-flow-proxy/reload")[0] == 0
    assert daemon.get("/books/3")[0] == 200
    wait_for(lambda: told(1)[1:] == [("/books/3", 200, "books")], "the line after its reload")
    assert sorted(told(0)) == expected
    assert "/books/1 " not in daemon.said


def _read(form: str, line: str) -> tuple[str, int, str]:
    """Path, status and route of a line."""
    if form == CLF:
        match = CLF_PATH.fullmatch(line)
        assert match, line
        return match[1], int(match[2]), match[3]
    own = json.loads(line)
    return own["uri"], own["status"], own["route"]

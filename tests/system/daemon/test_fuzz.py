"""A short form of `tests/benchmarks/run fuzz`: no bug's answer, no hang, no injected line, nothing that is refused."""

from __future__ import annotations

import itertools
import random
import re

import pytest

from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.haproxy.backend import Backend
from jenkins_proxy.proxy.haproxy.config.options import Options
from jenkins_proxy.proxy.haproxy.config.render import render
from tests.fixtures import fuzz
from tests.fixtures.fuzz_lines import foreign_lines, possible_lines

BOOKS = Backend.serving(
    Route("books", ("/a", "/b"), ("example.com",), "path_reg", req_path_search="^/a", req_path_replace="/b"),
    [Address("10.0.0.1", 1)],
)


@pytest.mark.parametrize("seed", [pytest.param(20261128, id="the same calls"), pytest.param(None, id="fresh ones")])
async def test_whatever_is_called_it_answers_and_stays_servable(seed, make_daemon, haproxy):
    seed = random.randrange(10**9) if seed is None else seed
    print(f"again with: bash tests/benchmarks/run fuzz --seed {seed} --calls 120")
    daemon = make_daemon()
    daemon.start()
    target = fuzz.Target(daemon.api, daemon.registry, daemon.state / "haproxy", haproxy)
    for name, calls in (("api", fuzz.api_calls), ("registry", fuzz.registry_calls)):
        result = await fuzz.run(name, itertools.islice(calls(seed, 120), 120), target, seed)
        assert result.wrong == [], result.line()
        assert result.statuses[200] > 12
        assert result.checked == 1
    assert "Traceback" not in daemon.said
    assert "drift repaired" not in daemon.said


@pytest.mark.parametrize(
    ("after", "line"),
    [
        ("    option dontlognull", "    http-request deny"),
        ("    option dontlognull", "    bind *:81"),
        ("backend books-be", "    server evil 10.6.6.6:6 check\x01"),
        ("    option dontlognull", "backend evil-be"),
        ("    option dontlognull", "listen evil"),
        ("global", "    lua-load /tmp/evil.lua"),
    ],
)
def test_a_line_that_no_template_makes_is_found(after: str, line: str):
    lines, config = possible_lines(), render([BOOKS], Options(), 1).config
    assert foreign_lines(config, ["books"], lines) == []
    injected = re.sub(rf"^{re.escape(after)}$", lambda match: f"{match[0]}\n{line}", config, count=1, flags=re.M)
    assert foreign_lines(injected, ["books"], lines)[-1] == line

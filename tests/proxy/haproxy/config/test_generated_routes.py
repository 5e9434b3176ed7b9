"""The routes that the fuzz generates hold every option of the table, and what is accepted of them HAProxy takes."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.api.docker_flow.params import PARAMETERS
from jenkins_proxy.proxy.haproxy.backend import Backend
from jenkins_proxy.proxy.haproxy.config.options import Options
from jenkins_proxy.proxy.haproxy.config.render import render
from jenkins_proxy.route_options.table import OPTIONS, check_route
from tests.fixtures import fuzz_batches
from tests.fixtures.fuzz_batches import PORTS
from tests.fixtures.fuzz_lines import groups
from tests.fixtures.fuzz_routes import flow, route

NAMES = {option.name for option in OPTIONS} - {"service"}


def generated(seed: int, number: int) -> tuple[list[Route], Counter[str], Counter[str]]:
    """Accepted routes, and how often each option was in one that was accepted, and in one that was not."""
    chance = random.Random(seed)
    accepted, good, bad = [], Counter[str](), Counter[str]()
    for _ in range(number):
        data = route(chance, PORTS)
        try:
            made = Route.from_dict({"service": f"s{len(accepted)}", **data})
            check_route(made)
        except UsageError:
            bad.update(list(data))
            continue
        good.update(name for name in data if getattr(made, name) != getattr(Route, name))
        accepted.append(made)
    return accepted, good, bad


def test_every_option_is_generated_with_good_values_and_with_bad_ones():
    accepted, good, bad = generated(1, 3000)
    assert 0.4 < len(accepted) / 3000 < 0.9
    assert {name for name in NAMES if good[name] < 5} == set()
    assert {name for name in NAMES if bad[name] < 5} == set()


def test_every_parameter_of_docker_flow_is_generated():
    chance = random.Random(1)
    text = "&".join(flow(chance, "books", PORTS) for _ in range(3000))
    # How a call itself is made is said elsewhere.
    assert PARAMETERS - set(re.findall(r"(?:^|&)([A-Za-z]+)", text)) == {"wait", "allowEmpty"}


def test_a_key_that_leads_to_a_group_is_no_fault():
    routes = [Route(kind, ("/a",), path_type=kind, service_header=("X:1",)) for kind in ("path", "path_beg")]
    rendered = render([Backend.serving(one, [Address("10.0.0.1", 80)]) for one in routes], Options(), 1)
    led = {row.split(" ")[1] for text in rendered.maps.values() for row in text.splitlines()}
    assert led == groups(rendered.config)
    assert len(led) == 2


@pytest.mark.parametrize("seed", [pytest.param(1, id="the same ones"), pytest.param(None, id="fresh ones")])
def test_haproxy_takes_what_is_accepted_and_no_line_is_injected(seed, haproxy):
    result = fuzz_batches.run(random.randrange(10**9) if seed is None else seed, 400, haproxy)
    assert result.wrong == [], result.line()
    assert result.statuses[200] > 100

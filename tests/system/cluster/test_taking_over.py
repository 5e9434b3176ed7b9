"""Our agent and gliderlabs/registrator take over from each other on a node under load: no entry goes for a moment."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, field

import pytest
import requests

from tests.fixtures.traffic import asking


@pytest.fixture(scope="module")
def cluster(start_cluster):
    return start_cluster("noswarm", nodes=1)


@dataclass
class Watched:
    """What was met while somebody looked, of a service that nobody touched."""

    answers: Counter[str] = field(default_factory=Counter)
    entries: set[tuple[str, ...]] = field(default_factory=set)


@contextlib.contextmanager
def watched(daemon, consul: str, service: str):
    """Users, and one who looks at the service's entries all the time."""
    seen = Watched()

    def user() -> None:
        with contextlib.suppress(requests.RequestException):
            seen.answers[str(daemon.get(f"/{service}/"))] += 1
            return
        seen.answers["none"] += 1

    def look() -> None:
        rows = requests.get(f"{consul}/v1/catalog/service/{service}", timeout=10).json()
        # One that vanished and came back is a new one to Consul.
        seen.entries.add(tuple(sorted(f"{row['ServiceID']} since {row['CreateIndex']}" for row in rows)))

    with asking(user, user, look):
        yield seen


def test_each_takes_over_from_the_other_under_load(
    cluster, emptied, consul_server, start_daemon, our_agent, real_registrator, delivery, wait_for
):
    emptied(cluster.host(1))
    server = consul_server()
    daemon = start_daemon("--consul", server.url)
    environment = {"CONSUL_HTTP_ADDR": server.url, "JENKINS_PROXY_URL": daemon.api, "JENKINS_PROXY_ENTRY": daemon.entry}
    books = delivery("books", **environment, DOCKER_HOST=cluster.host(1))

    def start(agent):
        """Start one on the node, and wait until it has looked at everything: it removes what is left of before."""
        stale = {"ID": f"{cluster.name}-1:gone:8080", "Name": "gone", "Address": "10.0.0.9", "Port": 1}
        requests.put(f"{server.url}/v1/agent/service/register", json=stale, timeout=10).raise_for_status()
        process = agent(cluster.host(1), cluster.address(1), on=cluster.inside(1), **environment)
        wait_for(lambda: stale["ID"] not in services(), "the agent to have compared")
        return process

    def services() -> dict:
        return requests.get(f"{server.url}/v1/agent/services", timeout=10).json()

    def deploys(version: int, *more: str) -> None:
        books.write(version)
        ended = books.deploy(*more)
        assert ended.code == 0, ended.text

    def switch(old, running, new, *, new_first: bool):
        """From one to the other, with the new one's start before the old one's end or after it."""
        with watched(daemon, server.url, "books") as seen:
            wait_for(lambda: seen.answers.total() > 20, "users")
            if not new_first:
                old.end(running)
            started = start(new)
            if new_first:
                old.end(running)
            before = seen.answers.total()
            wait_for(lambda: seen.answers.total() > before + 20, "users")
        assert len(seen.answers) == 1 and next(iter(seen.answers)).startswith("(200, "), seen.answers
        assert len(seen.entries) == 1, seen.entries
        return started

    running = start(real_registrator)
    deploys(1)
    scaled = books.run("scale", "2")
    assert scaled.code == 0, scaled.text
    running = switch(real_registrator, running, our_agent, new_first=True)
    deploys(2, "--strategy", "rolling")
    running = switch(our_agent, running, real_registrator, new_first=True)
    deploys(1, "--strategy", "blue-green")
    running = switch(real_registrator, running, our_agent, new_first=False)
    switch(our_agent, running, real_registrator, new_first=False)
    assert books.run("scale", "1").code == 0

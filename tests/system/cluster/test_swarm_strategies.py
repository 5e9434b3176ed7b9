"""Swarm mode over two nodes: each strategy leaves the tasks on both nodes."""

from __future__ import annotations

import pytest

from tests.system.cluster.swarm_books import write


@pytest.fixture(scope="module")
def cluster(start_cluster):
    return start_cluster("swarm")


def test_rolled_and_exchanged_on_both_nodes(books, cluster):
    both = {cluster.address(1), cluster.address(2)}
    write(books, 1, 3)
    assert books.deploy().code == 0

    write(books, 2, 3)
    rolled = books.deploy("--strategy", "rolling")
    assert (rolled.code, len(rolled.report["instances"]), rolled.nodes) == (0, 3, both), rolled.text
    assert {books.daemon.get("/books/") for _ in range(6)} == {(200, "version 2\n")}

    write(books, 1, 3)
    exchanged = books.deploy("--strategy", "blue-green")
    assert (exchanged.code, len(exchanged.report["instances"]), exchanged.nodes) == (0, 3, both), exchanged.text
    assert {books.daemon.get("/books/") for _ in range(6)} == {(200, "version 1\n")}

"""What ``depends_on`` asks for: what is missing, and what can not come true any more."""

from __future__ import annotations

import pytest

from jenkins_proxy.errors import DeployFailed
from jenkins_proxy.model import Container
from jenkins_proxy.orchestrator.compose.conditions import unmet
from jenkins_proxy.orchestrator.project import COMPLETED, HEALTHY


def one(state: str, health: str = "", exit_code: int = 0) -> Container:
    return Container("1", "books_db_1", "db", "books", "db:1", state, health, exit_code)


@pytest.mark.parametrize(
    "condition, container, missing",
    [
        (HEALTHY, one("running", "healthy"), ""),
        (HEALTHY, one("running", "starting"), "books_db_1 is starting"),
        (HEALTHY, one("running"), "books_db_1 is without a HEALTHCHECK"),
        (COMPLETED, one("exited"), ""),
        (COMPLETED, one("running"), "books_db_1 is running"),
        (COMPLETED, one("created"), "books_db_1 is created"),
    ],
)
def test_unmet(condition, container, missing):
    assert unmet(condition, [container], lambda _one: "") == missing


@pytest.mark.parametrize(
    "condition, container, message",
    [
        (HEALTHY, one("exited"), "books_db_1 ended with exit code 0: no disk"),
        (HEALTHY, one("running", "unhealthy"), "books_db_1 is unhealthy"),
        (COMPLETED, one("exited", exit_code=7), "books_db_1 ended with exit code 7: no disk"),
    ],
)
def test_what_can_not_come_true(condition, container, message):
    with pytest.raises(DeployFailed, match=message) as caught:
        unmet(
            condition,
            [one("running", "healthy") if condition == HEALTHY else one("exited"), container],
            lambda _one: "no disk",
        )
    assert caught.value.hint

"""What goes along with the candidates of a first deploy, and what does not."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from jenkins_proxy import settings
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.context import Context
from jenkins_proxy.deployment.failure import first_deploy
from jenkins_proxy.deployment.strategies import colors
from jenkins_proxy.deployment.strategies.record import HELD, DeployRecord
from jenkins_proxy.orchestrator.project import ComposeProject
from jenkins_proxy.retry import Deadline
from tests.fixtures.orchestrators import InMemoryCompose


@pytest.mark.parametrize(
    ("there", "old", "belongings", "gone", "still"),
    [
        pytest.param(["db"], (), ("n0",), True, ["network books_default"], id="a first deploy"),
        pytest.param([], (), ("n0",), False, ["network books_default"], id="its needs are gone already"),
        pytest.param(["db"], ("1",), ("n0",), False, [], id="it had something to replace"),
        pytest.param(["db", "web"], (), ("n0",), False, ["service db"], id="another one has come, and may need it"),
        pytest.param(["db"], (), None, False, [], id="a scaling, which makes none"),
    ],
)
def test_what_a_first_deploy_has_made_goes(a_container, monkeypatch, there, old, belongings, gone, still):
    compose = InMemoryCompose(ComposeProject("books", {}), *(a_container(name, service=name) for name in there))
    kept = []
    monkeypatch.setattr(compose, "remove_belongings", lambda keep, deadline: kept.append(keep) or still)
    monkeypatch.setattr(colors, "orchestrator", lambda *_words: compose)
    context = Context(settings.resolve({}), Console(io.StringIO()), SimpleNamespace(), SimpleNamespace(), Deadline(5))
    record = DeployRecord("rolling", HELD, "books", "app", old, since="now", absent=("db",), belongings=belongings)

    assert first_deploy.undo(record, context) == still
    assert ("restore" in compose.calls) is gone
    assert kept == ([("n0",)] if still and "network" in still[0] else [])

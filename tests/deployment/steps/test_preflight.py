"""Every problem in one answer, and which routes can be probed: pure parts of preflight."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from jenkins_proxy.console import Console
from jenkins_proxy.deployment.context import DeployOptions
from jenkins_proxy.deployment.steps import preflight
from jenkins_proxy.errors import DockerError, ProxyError, UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.orchestrator.compose_project import ComposeProject, Port, Service


def gathered(*errors: Exception) -> preflight.Problems:
    problems = preflight.Problems()
    for error in errors:
        problems.gather(lambda error=error: (_ for _ in ()).throw(error))
    return problems


def test_no_problem_is_no_error():
    problems = preflight.Problems()

    assert problems.gather(lambda: 3) == 3
    problems.raise_any()


def test_one_problem_is_raised_as_it_is():
    error = ProxyError("no proxy", "start it")

    with pytest.raises(ProxyError) as raised:
        gathered(error).raise_any()

    assert raised.value is error


def test_several_are_told_at_once_and_wrong_usage_gives_the_code():
    with pytest.raises(UsageError) as raised:
        gathered(DockerError("no engine", "start it"), UsageError("bad path"), ProxyError("no proxy", "go")).raise_any()

    assert raised.value.message == "3 problems: (1) bad path (2) no engine (3) no proxy"
    assert raised.value.hint == "(2) start it (3) go"


def test_the_same_problem_is_told_once():
    with pytest.raises(UsageError, match="^bad path$"):
        gathered(UsageError("bad path"), UsageError("bad path")).raise_any()


def test_what_is_no_problem_of_the_user_is_not_gathered():
    with pytest.raises(ZeroDivisionError):
        preflight.Problems().gather(lambda: 1 / 0)


@pytest.mark.parametrize(
    ("route", "probe_path"),
    [
        (Route("s", ("/a",)), ""),
        (Route("s", domains=("x.example",)), ""),
        (Route("s", ("/a.*",), path_type="path_reg"), "/a1"),
        (Route("s", ("/a",)), "/health?full=1"),
    ],
)
def test_a_route_that_can_be_probed(route, probe_path):
    assert preflight.check_route(route, probe_path) is route


@pytest.mark.parametrize(
    ("probe_path", "word"),
    [
        ("health", "--probe-path 'health'"),
        ("/a b", "--probe-path '/a b'"),
        ("/a?b c", "--probe-path 'b c'"),
        ("/a\r\nX: y", "--probe-path"),
    ],
)
def test_a_probe_path_that_is_none(probe_path, word):
    with pytest.raises(UsageError, match="is not allowed") as refused:
        preflight.check_route(Route("s", ("/a",)), probe_path)

    assert word in refused.value.message


@pytest.fixture
def check(monkeypatch):
    """``check(options, labels)`` is preflight's answer for a target with these labels, and the route the proxy saw."""

    def run(options: DeployOptions, labels: dict[str, str]) -> tuple[preflight.Ready, Route]:
        project = ComposeProject("s", {"app": Service("app", ports=(Port(8080),), labels=labels)})
        orchestrator = SimpleNamespace(name="compose-v2", version="2", validate=lambda: project)
        monkeypatch.setattr(preflight.detect, "choose", lambda *_args, **_named: (orchestrator, "because"))
        previewed = []
        context = SimpleNamespace(
            settings=None,
            console=Console(),
            registry=SimpleNamespace(leader=lambda: "here"),
            proxy=SimpleNamespace(put_route=lambda route, **_: previewed.append(route) or {}, health=dict),
            deadline=SimpleNamespace(remaining=1.0),
        )
        return preflight.check(options, context), *previewed

    return run


LABELS = {"com.jenkins-proxy.slow-start": "30", "com.jenkins-proxy.path-type": "path_reg"}


def test_the_targets_labels_complete_the_route_that_is_previewed_and_served(check):
    ready, previewed = check(DeployOptions("s", "s", route=Route("s", ("^/a",)), probe_path="/a"), LABELS)

    assert ready.route == previewed == Route("s", ("^/a",), path_type="path_reg", slow_start=30.0)


def test_an_argument_wins_over_the_label(check):
    options = DeployOptions("s", "s", route=Route("s", ("/a",)), route_given=frozenset({"path_type", "slow_start"}))

    assert check(options, LABELS)[0].route == Route("s", ("/a",))


def test_a_wrong_label_is_a_problem_beside_the_others(check):
    options = DeployOptions("S S", "s", route=Route("s", ("/a",)))

    with pytest.raises(UsageError) as refused:
        check(options, {"com.jenkins-proxy.slow-start": "soon"})

    assert refused.value.message.startswith("2 problems: (1) service 'S S'")
    assert "(2) com.jenkins-proxy.slow-start 'soon' is not allowed" in refused.value.message

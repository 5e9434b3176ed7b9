"""Every problem in one answer, and which routes can be probed: pure parts of preflight."""

from __future__ import annotations

import contextlib
import dataclasses
from types import SimpleNamespace

import pytest

from jenkins_proxy import settings
from jenkins_proxy.clients.consul import rights
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.context import Check, DeployOptions
from jenkins_proxy.deployment.steps import preflight, proxy_route
from jenkins_proxy.errors import DockerError, ProxyError, RegistryError, UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.orchestrator.project import ComposeProject, Port, Service


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
    assert proxy_route.check_route(route, Check(probe_path)) is route


@pytest.mark.parametrize(
    ("probe_path", "word"),
    [
        ("health", "--check-path 'health'"),
        ("/a b", "--check-path '/a b'"),
        ("/a?b c", "--check-path 'b c'"),
        ("/a\r\nX: y", "--check-path"),
    ],
)
def test_a_probe_path_that_is_none(probe_path, word):
    with pytest.raises(UsageError, match="is not allowed") as refused:
        proxy_route.check_route(Route("s", ("/a",)), Check(probe_path))

    assert word in refused.value.message


@pytest.fixture
def check(monkeypatch):
    """``check(options, labels)`` is preflight's answer for a target with these labels, and the route the proxy saw."""

    def run(
        options: DeployOptions, labels: dict[str, str], environ: dict[str, str] | None = None, **registry
    ) -> tuple[preflight.Ready, Route]:
        project = ComposeProject("s", {"app": Service("app", ports=(Port(8080),), labels=labels)})
        orchestrator = SimpleNamespace(name="compose-v2", version="2", validate=lambda: project)
        monkeypatch.setattr(preflight.detect, "choose", lambda *_args, **_named: (orchestrator, "because"))
        previewed = []
        context = SimpleNamespace(
            settings=settings.resolve({}, environ or {}),
            console=Console(),
            registry=SimpleNamespace(**{"leader": lambda: "here", "missing_rights": lambda _part: [], **registry}),
            proxy=SimpleNamespace(put_route=lambda route, **_: previewed.append(route) or {}, health=dict),
            deadline=SimpleNamespace(remaining=1.0, seconds=120.0),
        )
        return preflight.check(options, context), *previewed

    return run


LABELS = {"com.jenkins-proxy.slow-start": "30", "com.jenkins-proxy.path-type": "path_reg"}


def test_the_targets_labels_complete_the_route_that_is_previewed_and_served(check):
    ready, previewed = check(DeployOptions("s", "s", route=Route("s", ("^/a",)), check=Check("/a")), LABELS)

    assert ready.route == previewed == Route("s", ("^/a",), path_type="path_reg", slow_start=30.0)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"key_file": ""}, "--hold needs a place for the key"),
        ({"key_file": "/nowhere/key"}, "--key-file /nowhere/key: cannot be written"),
        ({"key_file": "key", "batch": 1}, "--hold tests all candidates at once"),
        ({"key_file": "key", "route": None}, "--no-proxy leaves it alone"),
    ],
)
def test_what_cannot_be_held(check, monkeypatch, tmp_path, more, word):
    monkeypatch.chdir(tmp_path)
    options = DeployOptions("s", "s", **{"route": Route("s", ("/a",)), "hold": True, **more})

    with pytest.raises(UsageError) as refused:
        check(options, {})

    assert word in refused.value.message


def test_a_key_that_is_given_needs_no_file(check):
    options = DeployOptions("s", "s", route=Route("s", ("/a",)), hold=True)

    assert check(options, {}, {"JENKINS_PROXY_CANDIDATE_KEY": "secret"})[0].route == options.route


@pytest.mark.parametrize(
    ("strategy", "serving", "refused"), [("recreate", 1, True), ("recreate", 0, False), ("rolling", 1, False)]
)
def test_where_the_old_ones_end_first_there_is_nothing_to_hold(strategy, serving, refused):
    options = DeployOptions("s", "s", hold=True)
    with pytest.raises(UsageError, match="recreate ends the old ones") if refused else contextlib.nullcontext():
        preflight.check_holdable(options, strategy, serving=serving)


@pytest.mark.parametrize(
    ("registry", "said"),
    [
        ({"leader": str}, "has no leader"),
        (
            {"missing_rights": lambda part: rights.RIGHTS[part][:1]},
            'the registry\'s token lacks what deploy needs: node_prefix "" { policy = "read" } (no instance is seen: ',
        ),
    ],
)
def test_a_registry_that_a_deploy_cannot_work_with(check, registry, said):
    with pytest.raises(RegistryError) as refused:
        check(DeployOptions("s", "s", route=Route("s", ("/a",))), {}, **registry)

    assert said in refused.value.message


def test_an_argument_wins_over_the_label(check):
    options = DeployOptions("s", "s", route=Route("s", ("/a",)), route_given=frozenset({"path_type", "slow_start"}))

    assert check(options, LABELS)[0].route == Route("s", ("/a",))


def test_a_wrong_label_is_a_problem_beside_the_others(check):
    options = DeployOptions("S S", "s", route=Route("s", ("/a",)))

    with pytest.raises(UsageError) as refused:
        check(options, {"com.jenkins-proxy.slow-start": "soon"})

    assert refused.value.message.startswith("2 problems: (1) service 'S S'")
    assert "(2) com.jenkins-proxy.slow-start 'soon' is not allowed" in refused.value.message


TCP = Route("redis", req_mode="tcp", src_port="6379")


@pytest.mark.parametrize(
    ("route", "check", "says"),
    [
        (TCP, Check(path="/a"), "--req-mode tcp goes without --check-path"),
        (TCP, Check(path="/a", host="a.org"), "--req-mode tcp goes without --check-path and --check-host"),
        (
            dataclasses.replace(TCP, skip_check=True),
            Check(),
            "--req-mode tcp with --skip-check leaves nothing to prove",
        ),
        (
            Route("books", domains=("^a[.]org$",), domain_algo="hdr_reg(host)"),
            Check(),
            "--domain-algo hdr_reg(host) names no host to probe",
        ),
    ],
)
def test_what_could_not_be_proven_is_refused(route, check, says):
    with pytest.raises(UsageError) as refused:
        proxy_route.check_route(route, check)
    assert refused.value.message.startswith(says)


@pytest.mark.parametrize(
    ("route", "check"),
    [
        (TCP, Check()),
        (Route("books", domains=("^a[.]org$",), domain_algo="hdr_reg(host)"), Check(host="a.org")),
    ],
)
def test_what_can_be_proven_is_taken(route, check):
    assert proxy_route.check_route(route, check) is route

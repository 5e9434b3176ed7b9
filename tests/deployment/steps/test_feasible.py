"""What is found before anything is touched: a table of files and facts to problems."""

from __future__ import annotations

import pytest

from jenkins_proxy.deployment.context import DeployOptions
from jenkins_proxy.deployment.steps import feasible
from jenkins_proxy.model import Binding, Container
from jenkins_proxy.orchestrator.parse import parse
from jenkins_proxy.orchestrator.project import External
from jenkins_proxy.orchestrator.survey import Survey

RANGE = {"ports": ["8000-8003:8080"]}


def old(count: int, *, project: str = "books") -> list[Container]:
    bindings = [(Binding("0.0.0.0", 8000 + number, 8080),) for number in range(count)]
    return [Container(f"{project}{n}", "", "app", project, "", "running", bindings=b) for n, b in enumerate(bindings)]


def problems(service: dict, running: int = 0, survey: Survey | None = None, **more) -> list[str]:
    about = {"kind": more.pop("kind", "compose-v2"), "scripts": more.pop("scripts", False)}
    about["consul"] = more.pop("consul", True)
    target = parse("books", {"services": {"app": service}}).services["app"]
    options = DeployOptions("books-ms", "books", **more)
    found = feasible.problems(options, target, survey or Survey(), old(running), **about)
    assert all(problem.hint for problem in found)
    return [f"{problem.message} ({problem.hint})" for problem in found]


@pytest.mark.parametrize(
    ("service", "more", "words"),
    [
        ({"ports": ["8080"]}, {"scale": 2}, None),
        ({"ports": ["80:8080"]}, {"scale": 1}, None),
        ({"ports": ["80:8080"]}, {}, None),
        ({"ports": ["80:8080"]}, {"scale": 2}, "fixed host port 80"),
        ({"ports": ["80:8080/udp", "8080"]}, {"scale": 2}, "fixed host port 80"),
        ({"ports": ["8080"], "container_name": "books"}, {"scale": 2}, "container_name (books)"),
        ({"ports": ["80:8080"], "deploy": {"replicas": 2}}, {}, "2 instances cannot run beside each other"),
        ({"ports": ["80:8080"], "deploy": {"replicas": 2}}, {"running": 1}, None),
        ({"ports": ["80:8080"], "deploy": {"replicas": 2}}, {"scale": 1}, None),
        ({"container_name": "books"}, {"running": 2}, "2 instances cannot run beside each other"),
        ({"network_mode": "host"}, {"scale": 3}, "3 instances cannot run beside each other"),
        ({"ports": ["80:8080"]}, {"scale": 2, "survey": Survey(several_nodes=True)}, None),
        ({"container_name": "x"}, {"scale": 2, "survey": Survey(several_nodes=True)}, "container_name (x)"),
    ],
)
def test_how_many_can_run_beside_each_other(service, more, words):
    found = problems(service, **more)
    assert [words in text for text in found] == ([True] if words else [])


@pytest.mark.parametrize(
    ("running", "more", "words"),
    [
        (0, {"scale": 4}, None),
        (2, {}, None),
        (0, {"scale": 5}, "has room for 4, and 5 are wanted (publish a larger range"),
        (3, {}, "3 old and 3 new would run (add --batch 1 or --strategy recreate)"),
        (3, {"batch": 1}, None),
        (3, {"batch": 2}, "3 old and 2 new would run (add --batch 1 or --strategy recreate)"),
        (3, {"strategy": "recreate"}, None),
        (3, {"strategy": "blue-green"}, "3 old and 3 new would run (add --strategy recreate)"),
        (4, {}, "4 old and 4 new would run (add --strategy recreate)"),
        (4, {"strategy": "recreate"}, None),
    ],
)
def test_a_range_of_ports_has_room_for_old_and_new(running, more, words):
    found = problems(RANGE, running, Survey(running=tuple(old(running))), **more)
    assert [words in text for text in found] == ([True] if words else [])


def test_what_others_have_of_the_range_is_not_free():
    [found] = problems(RANGE, survey=Survey(running=tuple(old(3, project="shop"))), scale=2)
    assert "8000-8003 of app has room for 1, and 2 are wanted" in found


@pytest.mark.parametrize(
    ("external", "kind", "text"),
    [
        (External("network", "edge"), "compose-v2", "external network edge is not there (docker network create edge)"),
        (External("network", "edge"), "stack", "(docker network create --driver overlay --attachable edge)"),
        (External("volume", "data"), "compose-v1", "external volume data is not there (docker volume create data)"),
        (External("secret", "word"), "stack", "external secret word is not there (docker secret create word FILE)"),
        (External("config", "conf"), "stack", "external config conf is not there (docker config create conf FILE)"),
        (External("secret", "word"), "compose-v2", "the secret word is external: compose has none of a cluster"),
        (External("secret", "word", "/no/word"), "compose-v2", "the file /no/word of the secret word is not there"),
    ],
)
def test_what_is_missing_has_the_command_that_makes_it(external, kind, text):
    [found] = problems({"ports": ["8080"]}, survey=Survey(missing=(external,)), kind=kind)
    assert text in found


@pytest.mark.parametrize(
    ("service", "image", "words"),
    [
        ({"environment": {"SERVICE_NAME": "books-ms"}}, {}, None),
        ({"environment": {"SERVICE_IGNORE": ""}}, {}, None),
        ({"environment": {"SERVICE_IGNORE": "false"}}, {}, "SERVICE_IGNORE=false"),
        ({"labels": ["SERVICE_IGNORE=1"]}, {}, "SERVICE_IGNORE=1"),
        ({"environment": ["SERVICE_8080_IGNORE=yes"]}, {}, "SERVICE_IGNORE=yes"),
        ({"environment": ["SERVICE_9090_IGNORE=yes"]}, {}, None),
        ({}, {"SERVICE_IGNORE": "1"}, "SERVICE_IGNORE=1"),
        ({"environment": {"SERVICE_IGNORE": ""}}, {"SERVICE_IGNORE": "1"}, None),
        ({"environment": {"SERVICE_CHECK_SCRIPT": "curl"}}, {}, "runs no scripts: it refuses the entry"),
        ({"labels": {"SERVICE_8080_CHECK_CMD": "curl"}}, {}, "SERVICE_CHECK_CMD"),
        ({"environment": {"SERVICE_CHECK_SCRIPT": "x", "SERVICE_CHECK_HTTP": "/"}}, {}, None),
        ({"environment": {"SERVICE_CHECK_HTTP": "/", "SERVICE_CHECK_INTERVAL": "10"}}, {}, "CHECK_INTERVAL=10"),
        ({"environment": {"SERVICE_CHECK_HTTP": "/", "SERVICE_CHECK_TIMEOUT": "soon"}}, {}, "CHECK_TIMEOUT=soon"),
        ({"environment": {"SERVICE_CHECK_TTL": "30"}}, {}, "SERVICE_CHECK_TTL=30"),
        ({"environment": {"SERVICE_CHECK_TCP": "true", "SERVICE_CHECK_INTERVAL": "15s"}}, {}, None),
        ({"environment": {"SERVICE_CHECK_INTERVAL": "10"}}, {}, None),
        (
            {"environment": {"SERVICE_CHECK_TCP": "true", "SERVICE_CHECK_INITIAL_STATUS": "ok"}},
            {},
            "SERVICE_CHECK_INITIAL_STATUS=ok",
        ),
    ],
)
def test_what_keeps_the_entry_from_coming(service, image, words):
    found = problems({"ports": ["8080"], **service}, survey=Survey(environment=image))
    assert [words in text for text in found] == ([True] if words else [])


SEVERAL = {"ports": ["9090", "8080"]}
NAMED = {"SERVICE_8080_NAME": "books-ms", "SERVICE_CHECK_HTTP": "/"}


@pytest.mark.parametrize(
    ("ports", "environment", "words"),
    [
        # Of several ports the one counts that has the service's name.
        (SEVERAL, {**NAMED, "SERVICE_8080_CHECK_INTERVAL": "10"}, "SERVICE_CHECK_INTERVAL=10"),
        (SEVERAL, {**NAMED, "SERVICE_9090_CHECK_INTERVAL": "10"}, None),
        (SEVERAL, {**NAMED, "SERVICE_9090_NAME": "books-ms", "SERVICE_9090_CHECK_INTERVAL": "10"}, None),
        (SEVERAL, {**NAMED, "SERVICE_8080_IGNORE": "1"}, "SERVICE_IGNORE=1"),
        # What Consul 1.8.7 says to these was tried.
        ({}, {"SERVICE_CHECK_HTTP": "/", "SERVICE_CHECK_INTERVAL": "0s"}, "SERVICE_CHECK_INTERVAL=0s"),
        ({}, {"SERVICE_CHECK_HTTP": "/", "SERVICE_CHECK_INTERVAL": "1d"}, "SERVICE_CHECK_INTERVAL=1d"),
        ({}, {"SERVICE_CHECK_HTTP": "/", "SERVICE_CHECK_TIMEOUT": "0"}, None),
        ({}, {"SERVICE_CHECK_HTTP": "/", "SERVICE_CHECK_DEREGISTER_AFTER": "0"}, None),
        ({}, {"SERVICE_CHECK_TTL": "10s", "SERVICE_CHECK_INTERVAL": "0s"}, None),
        ({}, {"SERVICE_CHECK_TTL": "0s"}, "SERVICE_CHECK_TTL=0s"),
        ({}, {"SERVICE_CHECK_TCP": "1", "SERVICE_CHECK_INITIAL_STATUS": "Passing"}, "INITIAL_STATUS=Passing"),
        ({}, {"SERVICE_ABOUT": "x" * 512}, None),
        ({}, {"SERVICE_ABOUT": "x" * 513}, "'SERVICE_ABOUT': Consul refuses the entry, as its value is longer"),
        ({}, {"SERVICE_FOO.BAR": "1"}, "as its name has other signs"),
        ({}, {f"SERVICE_{'K' * 129}": "1"}, "as its name is longer than 128"),
        ({}, {"SERVICE_CONSUL-X": "1"}, "are Consul's own"),
        ({}, {f"SERVICE_K{number}": "1" for number in range(64)}, None),
        ({}, {f"SERVICE_K{number}": "1" for number in range(65)}, "app has 65 variables SERVICE_"),
    ],
)
def test_what_the_registry_refuses_is_known_before(ports, environment, words):
    found = problems({"ports": ["8080"], **ports, "environment": environment})
    assert [words in text for text in found] == ([True] if words else [])


def test_the_embedded_registry_takes_metadata_of_any_length():
    assert problems({"ports": ["8080"], "environment": {"SERVICE_ABOUT": "x" * 513}}, consul=False) == []


def test_a_registry_that_runs_scripts_takes_such_a_check():
    assert problems({"ports": ["8080"], "environment": {"SERVICE_CHECK_SCRIPT": "curl"}}, scripts=True) == []


@pytest.mark.parametrize(
    ("replicas", "running", "scale", "said"),
    [(None, 2, None, False), (3, 3, None, False), (3, 0, None, False), (3, 2, 5, False), (3, 2, None, True)],
)
def test_another_count_than_the_files_is_one_line(replicas, running, scale, said):
    service = {"ports": ["8080"], **({"deploy": {"replicas": replicas}} if replicas else {})}
    target = parse("books", {"services": {"app": service}}).services["app"]
    note = feasible.replicas_note(target, running, scale)
    assert bool(note) is said
    assert "\n" not in note
    if said:
        assert note == "2 of app run, and stay as many; the files say 3: --scale 3 makes it so"

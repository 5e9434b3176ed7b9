"""What a project says of targets, order and obstacles."""

from __future__ import annotations

import pytest

from jenkins_proxy.errors import UsageError
from jenkins_proxy.orchestrator.parse import parse
from jenkins_proxy.orchestrator.project import COMPLETED, Sides


def project(**services):
    return parse("books-ms", {"services": services})


def test_target_is_the_one_service_that_publishes():
    assert project(app={"ports": ["8080"]}, db={}).target().name == "app"


def test_target_by_name():
    both = project(app={"ports": ["8080"]}, admin={"ports": ["8081"]})
    assert both.target("admin").name == "admin"
    with pytest.raises(UsageError, match="project books-ms: several services publish a port: app, admin") as caught:
        both.target()
    assert caught.value.hint == "name one of them with --target"


def test_tcp_alone_makes_a_target():
    dns = {"ports": ["53:53/udp", {"target": 54, "protocol": "udp"}]}
    assert project(app={"ports": ["8080"]}, dns=dns).target().name == "app"
    with pytest.raises(UsageError, match="service dns publishes no port; those that do: app"):
        project(app={"ports": ["8080"]}, dns=dns).target("dns")
    assert project(app={"ports": ["53:53/udp", "8080"]}).services["app"].keeps_address is False


def test_the_target_is_the_one_in_whose_network_the_named_one_lives():
    found = project(vpn={"ports": ["8080"]}, app={"network_mode": "service:vpn"}, side={"network_mode": "service:app"})
    assert found.target().name == found.target("app").name == found.target("side").name == "vpn"
    assert found.services["vpn"].sharers == ("app", "side")
    assert found.services["vpn"].obstacle == "app, side lives in its network (network_mode: service:vpn)"
    assert found.closure("vpn") == ["app", "side", "vpn"]


def profiles(*enabled: str):
    services = {
        "app": {"ports": ["8080"], "profiles": ["web"], "depends_on": ["db"]},
        "db": {"profiles": ["web", "data"]},
        "admin": {"ports": ["8081"], "profiles": ["admin"], "depends_on": {"mail": {}}},
        "mail": {"profiles": ["mail"]},
        "always": {},
    }
    return parse("books", {"services": services}, enabled)


def test_what_is_in_no_enabled_profile_is_not_there():
    assert list(profiles("web").services) == ["app", "db", "always"]
    assert profiles("web").target().name == "app"
    assert len(parse("books", {"services": {"app": {"profiles": ["web"]}}}).services) == 1
    with pytest.raises(UsageError, match="no service publishes a port: always") as caught:
        profiles().target()
    assert "name one with --target, whose profile it enables: app (web)" in caught.value.hint


def test_a_need_that_no_profile_enables_is_named():
    with pytest.raises(UsageError, match="admin needs mail, which is only in the profile mail") as caught:
        profiles("admin").target("admin")
    assert caught.value.hint == "enable it with --profile mail"
    assert profiles("admin", "mail").target("admin").name == "admin"


def test_target_on_its_nodes_network_needs_its_name():
    assert project(app={"network_mode": "host"}).target("app").host_network


@pytest.mark.parametrize(
    "name, message",
    [
        ("", "project books-ms: no service publishes a port: db, cache"),
        ("db", "project books-ms: service db publishes no port; those that do: none"),
        ("web", "project books-ms has no service 'web'"),
    ],
)
def test_target_that_is_none(name, message):
    with pytest.raises(UsageError, match=message) as caught:
        project(db={}, cache=None).target(name)
    assert caught.value.hint


def test_before_and_after_the_target():
    found = project(
        app={"depends_on": {"db": {"condition": "service_healthy"}}, "links": ["cache:c"]},
        db={"volumes_from": ["data:ro", "container:other", "service:files:rw"]},
        cache={},
        files={},
        data={},
        web={"depends_on": ["app"]},
        log={"network_mode": "service:web"},
        apart={},
    )
    assert found.services["app"].needs == {"db", "cache"}
    assert found.services["db"].needs == {"data", "files"}
    assert found.after("app") == ["log", "web"]
    assert found.needs(["app"]) == ["cache", "data", "db", "files"]
    assert found.needs(["app", "log"]) == ["cache", "data", "db", "files", "web"]


def test_services_that_need_each_other_end():
    found = project(app={"links": ["web"]}, web={"links": ["app"]})
    assert (found.after("app"), found.needs(["app"])) == (["web"], ["web"])


SHOP = {
    "app": {"depends_on": {"db": {"condition": "service_healthy"}, "migrate": {"condition": COMPLETED}}},
    "db": {"network_mode": "service:vpn"},
    "vpn": {},
    "migrate": {"depends_on": ["db"]},
    "web": {"depends_on": ["app", "cache"]},
    "cache": {},
    "worker": {"depends_on": {"seed": {"condition": COMPLETED}}},
    "seed": {},
    "tests": {},
}


@pytest.mark.parametrize(
    "asked, sides",
    [
        pytest.param({}, Sides(("db", "migrate", "vpn"), one_shots=("migrate",)), id="what the target needs"),
        pytest.param(
            {"names": ["app"]}, Sides(("db", "migrate", "vpn"), one_shots=("migrate",)), id="the target itself"
        ),
        pytest.param(
            {"names": ["worker", "db"]},
            Sides(("migrate", "seed", "vpn"), ("db", "worker"), one_shots=("migrate", "seed")),
            id="by name, with what that needs",
        ),
        pytest.param(
            {"names": ["migrate"]}, Sides(("db", "migrate", "vpn"), one_shots=("migrate",)), id="a one-shot runs once"
        ),
        pytest.param(
            {"names": ["web"]},
            Sides(("cache", "db", "migrate", "vpn"), after=("web",), one_shots=("migrate",)),
            id="what needs the target comes after it",
        ),
        pytest.param(
            {"every": True},
            Sides(
                ("migrate", "seed"), ("cache", "db", "tests", "vpn", "worker"), ("web",), one_shots=("migrate", "seed")
            ),
            id="all",
        ),
        pytest.param(
            {"others": ["worker"]},
            Sides(("db", "migrate", "seed", "vpn"), one_shots=("migrate", "seed"), others=("worker",)),
            id="another target, with what that needs",
        ),
        pytest.param(
            {"others": ["db", "web"], "names": ["web"]},
            Sides(("cache", "migrate", "vpn"), ("db",), one_shots=("migrate",), others=("db", "web")),
            id="of the other targets, what the first needs comes before it",
        ),
        pytest.param(
            {"others": ["app", "migrate"]},
            Sides(("db", "migrate", "vpn"), one_shots=("migrate",)),
            id="the target itself, and a one-shot that it needs",
        ),
    ],
)
def test_sides(asked, sides):
    assert project(**SHOP).sides("app", **asked) == sides


def test_a_side_that_is_not_there():
    with pytest.raises(UsageError, match="--side 'wroker': project books-ms has no such service") as caught:
        project(**SHOP).sides("app", ["worker", "wroker"])
    assert "worker" in caught.value.hint


def test_targets_that_are_not_there():
    with pytest.raises(UsageError, match="--target 'a', 'b': project books-ms has no such service"):
        project(**SHOP).sides("app", others=["b", "worker", "a"])


def test_what_lives_in_the_other_targets_network_comes_with_it():
    found = project(**SHOP).sides("app", others=["vpn"])
    assert (found.before, found.others, found.late) == (("db", "vpn"), ("db", "vpn"), ())
    assert project(**SHOP).sides("app", others=["worker"]).late == ("worker",)


@pytest.mark.parametrize(
    "service, obstacle",
    [
        ({"ports": ["8080"]}, ""),
        ({"ports": ["8000-8010:8080"]}, ""),
        ({"ports": ["80:8080"]}, "app publishes the fixed host port 80"),
        ({"ports": ["8080"], "container_name": "books"}, "app has a fixed container_name (books)"),
        ({"network_mode": "host"}, "app uses its node's network (network_mode: host)"),
    ],
)
def test_obstacle(service, obstacle):
    assert project(app=service).services["app"].obstacle == obstacle

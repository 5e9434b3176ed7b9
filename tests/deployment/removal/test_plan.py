"""Which services go, and whose an entry of the registry is."""

from __future__ import annotations

import pytest

from jenkins_proxy.deployment.removal import plan
from jenkins_proxy.deployment.removal.plan import Entries, Going
from jenkins_proxy.errors import UsageError
from jenkins_proxy.orchestrator.project import ComposeProject, Service

SHOP = {"app": ["db", "cache"], "web": ["db"], "db": ["init"], "worker": []}


@pytest.mark.parametrize(
    ("asked", "present", "expected"),
    [
        pytest.param(["app"], ["app"], Going(("app",)), id="alone"),
        pytest.param(["app"], ["app", "db", "cache"], Going(("app", "db", "cache")), id="with what it needs"),
        pytest.param(["app"], ["app", "db", "init"], Going(("app", "db", "init")), id="each before what it needs"),
        pytest.param(
            ["app"],
            ["app", "db", "cache", "init", "web"],
            Going(("app", "cache"), {"db": "web needs", "init": "web needs"}, ("web",)),
            id="not what a neighbour needs",
        ),
        pytest.param(["app"], ["app", "worker"], Going(("app",), {}, ("worker",)), id="not who is beside it"),
        pytest.param(["app"], ["web", "db"], Going((), {"db": "web needs"}, ("web",)), id="a second run"),
        pytest.param(["app"], ["db"], Going(("db",)), id="a second run after a first that was stopped"),
        pytest.param(["app", "web"], ["app", "web", "db"], Going(("app", "web", "db")), id="two targets share a need"),
        pytest.param(["db", "app", "web"], ["app", "web", "db"], Going(("app", "web", "db")), id="with what needs it"),
        pytest.param(
            ["app"],
            ["app", "db", "new"],
            Going(("app",), {"db": "new may need"}, ("new",)),
            id="not what one may need of which nothing is known",
        ),
        pytest.param([], ["worker"], Going((), {}, ("worker",)), id="no target is known"),
        pytest.param(["app"], [], Going(), id="nothing is there"),
    ],
)
def test_who_goes(asked, present, expected):
    assert plan.going(asked, SHOP, present) == expected


@pytest.mark.parametrize(
    ("asked", "present", "message"),
    [
        (["db"], ["db", "web"], "web needs db, and is there"),
        (["init"], ["init", "db", "worker", "web"], "db needs init, and is there"),
        (["app", "cache", "db"], ["app", "cache", "db", "web"], "web needs db, and is there"),
    ],
)
def test_what_a_neighbour_needs_is_not_taken_from_it(asked, present, message):
    with pytest.raises(UsageError, match=message) as raised:
        plan.going(asked, SHOP, present)

    assert "--with-sides" in raised.value.hint


def test_services_that_need_one_another_go_together():
    assert set(plan.going(["a"], {"a": ["b"], "b": ["a"]}, ["a", "b"]).services) == {"a", "b"}


def test_who_needs_whom_by_labels_and_by_files(a_container):
    app = a_container("app", service="app", labels={plan.NEEDS: "db:service_started:true,cache:service_healthy:false"})
    vpn = Service("vpn", needs=frozenset({"dns"}), sharers=("app",))

    # What v1 has made has no such label.
    others = [a_container("db", service="db", labels={plan.NEEDS: ""}), a_container("old", service="old")]
    assert plan.graph_of_labels([app, *others]) == {"app": {"db", "cache"}, "db": set()}
    files = plan.graph_of_files(ComposeProject("books", {"vpn": vpn, "app": Service("app")}))
    assert files == {"vpn": {"dns", "app"}, "app": set()}


@pytest.fixture
def sorted_out(a_container, an_instance):
    """``sorted_out(instance)`` while app leaves, and web stays, of a node 10.0.0.1."""
    app, web = a_container("books_app_1", 32768), a_container("books_web_1", 32769, service="web")

    def sort(*found, node=("10.0.0.1",)) -> Entries:
        return plan.entries(found, [app], [app, web], node)

    return sort


@pytest.mark.parametrize(
    ("port", "host", "id", "whose"),
    [
        (32768, "10.0.0.1", "node-1:books_app_1:8080", "mine"),
        (32768, "10.0.0.1", "an ID of somebody's own", "mine"),
        (32000, "10.0.0.1", "node-1:books_app_1:8080", "mine"),
        (32001, "10.0.0.1", "node-1:books_app_7:8080", "stale"),
        (32769, "10.0.0.1", "node-1:books_web_1:8080", "others"),
        (32769, "10.0.0.1", "node-1:books_app_7:8080", "others"),
        (32769, "10.0.0.1", "node-1:books_app_1:8080", "mine"),
        (32768, "10.0.0.9", "node-9:other_app_1:8080", "elsewhere"),
    ],
)
def test_whose_an_entry_is(sorted_out, an_instance, port, host, id, whose):
    instance = an_instance(port, host, id)

    found = sorted_out(instance)

    lists = {"mine": found.mine, "stale": found.stale, "others": found.others, "elsewhere": found.elsewhere}
    assert [name for name, there in lists.items() if there] == [whose]


def test_on_a_cluster_nothing_is_called_stale_by_its_node(sorted_out, an_instance):
    instance = an_instance(32001, id="node-1:books_app_7:8080")

    assert sorted_out(instance, node=()).elsewhere == (instance,)


@pytest.mark.parametrize(
    ("port", "host", "id", "status", "message"),
    [
        (
            32769,
            "10.0.0.1",
            "node-1:books_web_1:8080",
            "passing",
            "also to books_web_1 of project books at 10.0.0.1",
        ),
        (32769, "10.0.0.1", "node-1:books_app_7:8080", "passing", ""),
        (
            32768,
            "10.0.0.9",
            "node-9:a:1",
            "passing",
            "passing instances on no container of project books",
        ),
        (32768, "10.0.0.9", "node-9:a:1", "critical", ""),
        (32768, "10.0.0.1", "node-1:books_app_1:8080", "passing", ""),
        (32001, "10.0.0.1", "node-1:books_app_7:8080", "passing", ""),
    ],
)
def test_a_route_that_others_serve_stays(sorted_out, an_instance, port, host, id, status, message):
    found = sorted_out(an_instance(port, host, id, status=status))

    if not message:
        plan.refuse_shared("books-ms", found, "books")
        return
    with pytest.raises(UsageError, match=message):
        plan.refuse_shared("books-ms", found, "books")

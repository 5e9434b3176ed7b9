"""Who stands at an address of the registry."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from jenkins_proxy.deployment.context import DeployOptions
from jenkins_proxy.deployment.steps import neighbours
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route


def find(instances, running):
    return neighbours.find(instances, running, projects={"books", "books-blue"}, services={"app", "app-standby"})


def take(found, adopt: bool):
    return neighbours.adopted("books-ms", found, projects={"books", "books-blue"}, target="app", adopt=adopt)


def test_ours_and_entries_of_nobody_are_no_neighbours(a_container, an_instance):
    running = [a_container("books_app_1", 32768), a_container("x", 32769, project="books-blue")]
    instances = [an_instance(32768), an_instance(32769), an_instance(32770), an_instance(32768, host="10.0.0.9")]
    assert find(instances, running) == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"project": "shop"}, "books_app_1 of project shop, service app at 10.0.0.1:32768"),
        ({"service": "web"}, "books_app_1 of project books, service web at 10.0.0.1:32768"),
        ({"project": "", "service": ""}, "books_app_1 at 10.0.0.1:32768"),
    ],
)
def test_a_container_of_others_is_named(a_container, an_instance, more, said):
    found = find([an_instance(32768)], [a_container("books_app_1", 32768, **more)])
    assert [str(neighbour) for neighbour in found] == [said]


def test_at_most_three_are_named(a_container, an_instance):
    found = find(
        [an_instance(port, id="x") for port in range(32768, 32773)],
        [a_container(f"shop_{port}", port, project="shop") for port in range(32768, 32773)],
    )
    text = neighbours.describe("books-ms", found)
    assert text.startswith("the registry leads users of books-ms also to shop_32768 of project shop")
    assert text.endswith("10.0.0.1:32770 and 2 more")


def test_they_are_taken_over_where_that_is_asked_for(a_container, an_instance):
    container = a_container("books_app_1", 32768, project="shop")
    found = find([an_instance(32768)], [container])
    assert take(found, True) == (container,)
    with pytest.raises(UsageError, match="books_app_1 of project shop") as caught:
        take(found, False)
    assert caught.value.hint.startswith("-p shop deploys into that project; --adopt replaces them")
    assert take([], False) == ()


@pytest.mark.parametrize("more", [{"service": "web"}, {"service": "web", "project": "shop"}])
def test_a_hint_does_not_lead_back_to_the_same_words(a_container, an_instance, more):
    found = find([an_instance(32768)], [a_container("books_app_1", 32768, **more)])
    with pytest.raises(UsageError) as caught:
        take(found, False)
    assert caught.value.hint == "--adopt replaces them; or give them another SERVICE_NAME"


@pytest.mark.parametrize("adopt", [False, True])
def test_what_an_old_entry_leads_to_by_accident_is_not_taken_over(a_container, an_instance, adopt):
    found = find([an_instance(32768)], [a_container("db_1", 32768, project="shop", service="db")])
    with pytest.raises(
        UsageError, match="by the entry node-1:books_app_1:8080, which is another container's"
    ) as caught:
        take(found, adopt)
    assert "restart it" in caught.value.hint


@pytest.mark.parametrize("adopt", [False, True])
def test_containers_of_no_project_or_of_several_are_not_taken_over(a_container, an_instance, adopt):
    alone = find([an_instance(32768)], [a_container("books_app_1", 32768, project="")])
    several = find(
        [an_instance(32768, id="a"), an_instance(32769, id="b")],
        [a_container("one", 32768, project="one"), a_container("two", 32769, project="two")],
    )
    for found in (alone, several):
        with pytest.raises(UsageError) as caught:
            take(found, adopt)
        assert "stop what is not meant to serve it" in caught.value.hint


@pytest.mark.parametrize("adopt", [False, True])
@pytest.mark.parametrize(
    ("name", "project", "strategy", "color", "met"),
    [
        ("books-ms-blue", "shop", "blue-green", "", True),
        ("books-ms-green", "shop", "blue-green", "", True),
        ("books-ms-blue", "shop", "rolling", "blue", True),
        # Another service may be called so.
        ("books-ms-blue", "shop", "rolling", "", False),
        ("books-ms-blue", "shop", "rolling", "green", False),
        ("books-ms-red", "shop", "blue-green", "", False),
        ("books-ms-blue", "books-blue", "blue-green", "", False),
    ],
)
def test_who_stands_under_a_colors_name_is_met_too(
    a_container, an_instance, name, project, strategy, color, met, adopt
):
    container = a_container("app-1", 32768, project=project)
    entries = {name: [an_instance(32768)]}
    route = Route("books-ms", ("/",), color=color)
    context = SimpleNamespace(
        registry=SimpleNamespace(instances=lambda asked: (entries.get(asked, []), 1)),
        proxy=SimpleNamespace(get_route=lambda _service: {"route": route.as_dict()}),
    )

    def check():
        options = DeployOptions("books-ms", "books", adopt=adopt, strategy=strategy, route=route)
        ours = {"books", "books-blue", "books-green"}
        return neighbours.check(options, context, [container], ours, "app")

    if not met:
        assert check() == ()
        return
    with pytest.raises(UsageError, match="app-1 of project shop, service app at 10.0.0.1:32768") as caught:
        check()
    assert "stop what is not meant to serve it" in caught.value.hint

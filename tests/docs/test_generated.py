"""The generated blocks of the pages say what the code says, and each of them stands somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from jenkins_proxy.route_options.docker_flow import REFUSED
from tests.docs import docker_flow, generate, markdown, rooms, sources
from tests.docs.pages import PAGES

OUTDATED = f"written from the code: run {generate.COMMAND} in the folder of the checkout"


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return generate.texts()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_generated_blocks_are_current(page: Path, texts: dict[str, str]) -> None:
    written = markdown.generated(page.read_text(encoding="utf-8"))
    assert written == {name: texts.get(name) for name in written}, OUTDATED


def test_every_generated_block_stands_in_one_page(texts: dict[str, str]) -> None:
    places = [name for page in PAGES for name in markdown.generated(page.read_text(encoding="utf-8"))]
    assert sorted(places) == sorted(texts)


def test_every_page_is_closed_where_it_is_opened() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert text.count("<!-- generated:") == text.count("<!-- end -->") == len(markdown.generated(text)), page.name


def test_a_page_gets_the_new_text_and_keeps_the_rest() -> None:
    page = "a\n<!-- generated: x -->\nold\n<!-- end -->\nb\n"
    new = markdown.with_generated(page, {"x": "new\n"})
    assert new == "a\n<!-- generated: x -->\nnew\n<!-- end -->\nb\n"
    with pytest.raises(KeyError):
        markdown.with_generated(page, {})


def test_the_exit_codes_of_help_are_those_of_the_errors() -> None:
    assert set(sources.exit_codes()) == {0, *sources.error_codes()}


def test_every_call_of_the_daemon_has_its_text(texts: dict[str, str]) -> None:
    registered = {
        (endpoint.method, endpoint.path.rstrip("/") or "/")
        for endpoint in sources.daemon_endpoints()
        if endpoint.method != "POST" or not endpoint.path.startswith(("/v1/docker-flow-proxy", "/v1/test", "/v2/test"))
    }
    assert len(texts["api"].splitlines()) == 2 + len(registered)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("servicePath", "taken"),
        ("reqPathSearch", "taken"),
        ("mode", "ignored"),
        ("addReqHeader", "taken"),
        ("users", "taken"),
        ("backendExtra", "refused"),
        ("serviceCert", "taken"),
    ],
)
def test_what_becomes_of_a_parameter(name: str, expected: str) -> None:
    assert docker_flow.verdict(name)[0] == expected


def test_every_refused_parameter_is_refused_with_its_reason() -> None:
    assert {name: docker_flow.verdict(name) for name in REFUSED} == {
        name: ("refused", reason) for name, reason in REFUSED.items()
    }


def test_the_rooms_are_those_of_the_package() -> None:
    """A module that no contract places would stand in no table, and no arrow would hold it."""
    for container in ("jenkins_proxy", "jenkins_proxy.proxy", "jenkins_proxy.deployment"):
        folder = sources.REPOSITORY.joinpath(*container.split("."))
        there = {path.stem for path in folder.glob("*.py")} | {
            path.parent.name for path in folder.glob("*/__init__.py")
        }
        assert there - {"__init__"} == {module for layer in rooms.layers(container) for module in layer}

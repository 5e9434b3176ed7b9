"""What compose files say as they are written: tables of files and of the project's name in them."""

from __future__ import annotations

import pytest

from jenkins_proxy.orchestrator.compose import project_files
from jenkins_proxy.orchestrator.compose.project_files import ProjectName


@pytest.mark.parametrize(
    ("service", "project"),
    [("books-ms", "books-ms"), ("Books.MS", "booksms"), ("_books", "books"), ("a b/../c", "abc")],
)
def test_the_project_of_a_service_that_names_none(service, project):
    assert project_files.normal(service) == project


@pytest.mark.parametrize(
    ("text", "environ", "dotenv", "name"),
    [
        ("services: {}", {}, "", None),
        ("name: myshop\nservices: {}", {}, "", "myshop"),
        ('{"name": "myshop", "services": {}}', {}, "", "myshop"),
        ("name: ${SHOP:-myshop}", {}, "", "myshop"),
        ("name: ${SHOP:-myshop}", {"SHOP": ""}, "", "myshop"),
        ("name: ${SHOP-myshop}-1", {}, "SHOP=other\n", "other-1"),
        ("name: shop-$STAGE", {"STAGE": "test"}, "", "shop-test"),
        ("name: myshop\nservices: {app: {ports: !reset []}}", {}, "", "myshop"),
        ("name: myshop", {"COMPOSE_PROJECT_NAME": "said"}, "COMPOSE_PROJECT_NAME=dotted", "said"),
        ("name: myshop", {}, "# a\nexport COMPOSE_PROJECT_NAME='dotted' # b\n", "dotted"),
        ("name: [", {}, "", None),
        ("web: {image: x}", {}, "", None),
    ],
)
def test_what_environment_and_files_say(tmp_path, text, environ, dotenv, name):
    (tmp_path / "docker-compose.yml").write_text(text)
    if dotenv:
        (tmp_path / ".env").write_text(dotenv)
    found = project_files.said([str(tmp_path / "docker-compose.yml")], environ)
    assert (found.name if found else None) == name
    assert found is None or found.reason


def test_the_last_file_that_has_a_name_gives_it(tmp_path):
    for file, text in (("a.yml", "name: first"), ("b.yml", "name: second"), ("c.yml", "services: {}")):
        (tmp_path / file).write_text(text)
    found = project_files.said([str(tmp_path / file) for file in ("a.yml", "b.yml", "c.yml")], {})
    assert found == ProjectName("second", "the name: in b.yml")


@pytest.mark.parametrize(
    ("files", "environ", "there", "expected"),
    [
        (["x.yml"], {}, [], ["x.yml"]),
        ([], {}, [], []),
        (
            [],
            {},
            ["docker-compose.yml", "docker-compose.override.yml"],
            [
                "docker-compose.yml",
                "docker-compose.override.yml",
            ],
        ),
        ([], {}, ["compose.yaml", "docker-compose.yml"], ["compose.yaml"]),
        ([], {"COMPOSE_FILE": "a.yml:b.yml"}, ["compose.yaml"], ["a.yml", "b.yml"]),
        ([], {"COMPOSE_FILE": "a.yml,b.yml", "COMPOSE_PATH_SEPARATOR": ","}, [], ["a.yml", "b.yml"]),
    ],
)
def test_the_files_that_compose_takes(tmp_path, files, environ, there, expected):
    for name in there:
        (tmp_path / name).write_text("services: {}")
    assert project_files.located(files, environ, str(tmp_path)) == [str(tmp_path / name) for name in expected]


def test_compose_looks_for_its_file_upwards(tmp_path):
    (tmp_path / "compose.yml").write_text("services: {}")
    (tmp_path / "src" / "deep").mkdir(parents=True)
    assert project_files.located([], {}, str(tmp_path / "src" / "deep")) == [str(tmp_path / "compose.yml")]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("web: {image: x}", True),
        ("version: '2'\nservices: {}", False),
        ("services: {web: {image: x}}", False),
        ("name: x", False),
        ("[", False),
    ],
)
def test_the_form_of_the_first_version(tmp_path, text, first):
    (tmp_path / "a.yml").write_text(text)
    assert project_files.is_version_1(str(tmp_path / "a.yml")) is first

"""Into which project a deploy goes: tables of files, words and labels, and real containers of each compose."""

from __future__ import annotations

import os
import subprocess

import pytest

from jenkins_proxy import settings
from jenkins_proxy.errors import UsageError
from jenkins_proxy.orchestrator import compose_files, project_name
from jenkins_proxy.orchestrator.compose_files import ProjectName

OWN = ProjectName("books-ms", "the service's name")
FOLDER = "com.docker.compose.project.working_dir"
FILES = "com.docker.compose.project.config_files"


@pytest.mark.parametrize(
    ("service", "project"),
    [("books-ms", "books-ms"), ("Books.MS", "booksms"), ("_books", "books"), ("a b/../c", "abc")],
)
def test_the_project_of_a_service_that_names_none(service, project):
    assert compose_files.normal(service) == project


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
    found = compose_files.said([str(tmp_path / "docker-compose.yml")], environ)
    assert (found.name if found else None) == name
    assert found is None or found.reason


def test_the_last_file_that_has_a_name_gives_it(tmp_path):
    for file, text in (("a.yml", "name: first"), ("b.yml", "name: second"), ("c.yml", "services: {}")):
        (tmp_path / file).write_text(text)
    found = compose_files.said([str(tmp_path / file) for file in ("a.yml", "b.yml", "c.yml")], {})
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
    assert compose_files.located(files, environ, str(tmp_path)) == [str(tmp_path / name) for name in expected]


def test_compose_looks_for_its_file_upwards(tmp_path):
    (tmp_path / "compose.yml").write_text("services: {}")
    (tmp_path / "src" / "deep").mkdir(parents=True)
    assert compose_files.located([], {}, str(tmp_path / "src" / "deep")) == [str(tmp_path / "compose.yml")]


@pytest.mark.parametrize(
    ("folder", "written", "mine", "found"),
    [
        ("/srv/shop", "/srv/shop/a.yml", ["a.yml"], True),
        ("/srv/shop", "a.yml", ["a.yml"], True),
        ("/srv/shop", "shop/a.yml", ["a.yml"], True),
        ("/srv/shop", "/srv/shop/a.yml,/srv/shop/over.yml", ["a.yml"], True),
        ("/srv/shop", "/srv/shop/a.yml", ["a.yml", "over.yml"], True),
        ("/srv/shop", "/srv/shop/a.yml,/srv/shop/test.yml", ["a.yml", "prod.yml"], False),
        ("/srv/shop", "/srv/shop/b.yml", ["a.yml"], False),
        ("/srv/other", "/srv/other/a.yml", ["a.yml"], False),
        ("/srv/shop", "-", ["a.yml"], False),
        ("/srv/shop", "", ["a.yml"], False),
    ],
)
def test_whose_containers_were_made_from_these_files(folder, written, mine, found):
    labels = [{FOLDER: folder, FILES: written, "com.docker.compose.project": "shop"}]
    paths = [f"/srv/shop/{name}" for name in mine]
    assert project_name.projects_of(paths, labels) == (frozenset({"shop"}) if found else frozenset())


@pytest.mark.parametrize(
    ("running", "name", "word"),
    [
        ((), "books-ms", "the service's name"),
        (("shop",), "shop", "containers of these files run in it"),
        (("shop", "books-ms"), "books-ms", "the service's name, and its containers run"),
    ],
)
def test_the_project_in_which_the_files_run(running, name, word):
    assert project_name.of_running(running, OWN) == ProjectName(name, word)


def test_several_projects_that_run_the_files_need_a_word():
    with pytest.raises(UsageError, match="run in several projects: one, two") as caught:
        project_name.of_running({"two", "one"}, OWN)
    assert "-p" in caught.value.hint


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
    assert compose_files.is_version_1(str(tmp_path / "a.yml")) is first


BOOKS = 'version: "2"\nservices:\n  app:\n    image: "{1}"\n    ports: ["8080"]\n    stop_grace_period: 1s\n'


def test_what_runs_from_this_very_file_is_gone_on_with(compose, deadline, resolved, project_name_given, tmp_path):
    compose(BOOKS).up(deadline=deadline)

    found = project_name.resolve(resolved, given="", service="books-ms", files=[str(tmp_path / "docker-compose.yml")])

    assert found == ProjectName(project_name_given, "containers of these files run in it")
    named = project_name.resolve(resolved, given="mine", service="books-ms", files=[])
    assert named == ProjectName("mine", "given with -p")
    (tmp_path / "other.yml").write_text(BOOKS)
    assert project_name.resolve(resolved, given="", service="books-ms", files=[str(tmp_path / "other.yml")]) == OWN


def test_v1_writes_a_file_as_it_was_given(compose_v1, resolved, project_name_given, tmp_path, image, docker):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "a.yml").write_text(BOOKS.replace("{1}", image(1)))
    argv = ["docker-compose", "-p", project_name_given, "-f", "shop/a.yml", "up", "-d"]
    subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True, env={**os.environ})

    found = project_name.resolve(resolved, given="", service="s", files=[str(tmp_path / "shop" / "a.yml")])

    assert found.name == project_name_given


@pytest.fixture
def project_name_given(request):
    """The project's name of the fixture ``project_name``, which is a module's here."""
    return request.getfixturevalue("project_name")


def test_the_environments_word_comes_before_the_files(tmp_path):
    (tmp_path / "a.yml").write_text("name: myshop")
    with_settings = settings.resolve({})
    found = project_name.resolve(with_settings, given="", service="s", files=[str(tmp_path / "a.yml")])
    assert found == ProjectName("myshop", "the name: in a.yml")
    nowhere = project_name.resolve(
        with_settings, given="", service="s", files=[str(tmp_path / "a.yml")], wanted="stack"
    )
    assert nowhere == ProjectName("s", "the service's name")

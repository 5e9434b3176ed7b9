"""Into which project a deploy goes: tables of files, words and labels, and real containers of each compose."""

from __future__ import annotations

import os
import subprocess

import pytest

from jenkins_proxy import settings
from jenkins_proxy.errors import UsageError
from jenkins_proxy.orchestrator import project_name
from jenkins_proxy.orchestrator.compose.project_files import ProjectName

OWN = ProjectName("books-ms", "the service's name")
FOLDER = "com.docker.compose.project.working_dir"
FILES = "com.docker.compose.project.config_files"


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


def test_the_environments_word_comes_before_the_files(docker, tmp_path):
    (tmp_path / "a.yml").write_text("name: myshop")
    with_settings = settings.resolve({})
    found = project_name.resolve(with_settings, given="", service="s", files=[str(tmp_path / "a.yml")])
    assert found == ProjectName("myshop", "the name: in a.yml")
    nowhere = project_name.resolve(
        with_settings, given="", service="s", files=[str(tmp_path / "a.yml")], wanted="stack"
    )
    assert nowhere == ProjectName("s", "the service's name")

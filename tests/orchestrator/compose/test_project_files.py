"""What compose files say as they are written: tables of files and of the project's name in them."""

from __future__ import annotations

import os
import subprocess

import pytest
import yaml

from jenkins_proxy.orchestrator.compose import project_files
from jenkins_proxy.orchestrator.compose.project_files import ProjectName
from jenkins_proxy.orchestrator.parse import parse


@pytest.fixture
def docker_compose_config(docker):
    """``docker_compose_config(folder, files, environ)`` is what compose v2 reads there."""

    def run(folder, files, environ):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
        words = [word for file in files for word in ("-f", file)]
        argv = [docker, "compose", *words, "config"]
        done = subprocess.run(argv, cwd=folder, env={**clean, **environ}, capture_output=True, text=True, check=True)
        return yaml.safe_load(done.stdout)

    return run


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
        ("name: ${SHOP:+my}shop", {"SHOP": "x"}, "", "myshop"),
        ("name: ${SHOP:+my}shop", {}, "", "shop"),
        ("name: ${A:-${SHOP:-myshop}}", {}, "", "myshop"),
        ("name: myshop", {}, 'A=dot\nCOMPOSE_PROJECT_NAME="${A}ted-${B:-b}"\n', "dotted-b"),
        ("name: myshop", {}, "COMPOSE_PROJECT_NAME: dotted\n", "dotted"),
        ("name: myshop", {"COMPOSE_DISABLE_ENV_FILE": "true"}, "COMPOSE_PROJECT_NAME=dotted", "myshop"),
        ("name: [", {}, "", None),
        ("web: {image: x}", {}, "", None),
    ],
)
def test_what_environment_and_files_say(tmp_path, text, environ, dotenv, name):
    (tmp_path / "docker-compose.yml").write_text(text)
    if dotenv:
        (tmp_path / ".env").write_text(dotenv)
    files = [str(tmp_path / "docker-compose.yml")]
    found = project_files.said(files, project_files.variables(files, environ, str(tmp_path)))
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


# Each is a folder with these files, and what is in the environment; what compose makes of it, compose itself says.
FOLDERS = {
    "beside the file": ({"sub/c.yml": "SUB", "sub/.env": "TAG=sub", ".env": "TAG=here"}, {}, ["sub/c.yml"]),
    "COMPOSE_FILE": (
        {"sub/c.yml": "SUB", "sub/.env": "TAG=sub", ".env": "TAG=here"},
        {"COMPOSE_FILE": "sub/c.yml"},
        [],
    ),
    "COMPOSE_FILE in .env": (
        {
            "sub/c.yml": "SUB",
            "sub/.env": "TAG=sub\nCOMPOSE_PROJECT_NAME=under",
            ".env": "COMPOSE_FILE=sub/c.yml\nTAG=here",
        },
        {},
        [],
    ),
    "two of them, and a separator": (
        {"a.yml": "A", "b.yml": "B", ".env": "COMPOSE_FILE=a.yml;b.yml\nCOMPOSE_PATH_SEPARATOR=;"},
        {},
        [],
    ),
    "COMPOSE_ENV_FILES": (
        {"compose.yml": "A", ".env": "TAG=here", "1.env": "TAG=1\nCOMPOSE_PROJECT_NAME=one", "2.env": "TAG=2"},
        {"COMPOSE_ENV_FILES": "1.env,2.env"},
        [],
    ),
    "no .env": ({"compose.yml": "A", ".env": "TAG=here"}, {"COMPOSE_DISABLE_ENV_FILE": "1"}, []),
    "the environment wins": ({"compose.yml": "A", ".env": "TAG=here\nCOMPOSE_PROJECT_NAME=a"}, {"TAG": "said"}, []),
}
NAMED = "services: {app: {image: 'x:${TAG:-none}', labels: {file: 'NAME'}}}"


@pytest.mark.parametrize("case", FOLDERS)
def test_files_and_variables_are_those_of_compose(tmp_path, case, docker_compose_config):
    files, environ, given = FOLDERS[case]
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(NAMED.replace("NAME", text) if name.endswith(".yml") else text + "\n")

    known = project_files.variables(given, environ, str(tmp_path))
    paths = project_files.located(given, known, str(tmp_path))
    theirs = docker_compose_config(tmp_path, given, environ)

    app = theirs["services"]["app"]
    assert app["image"] == f"x:{known.get('TAG', 'none')}"
    assert app["labels"]["file"] == files[str(paths[-1]).removeprefix(f"{tmp_path}/")]
    assert theirs["name"] == project_files.plain(paths, known)


def test_profiles_extends_include_and_env_files_are_read_by_compose_itself(
    tmp_path, docker_compose_config, monkeypatch
):
    texts = {
        "base.yml": "services: {base: {image: 'base:${TAG}', env_file: base.env, ports: ['8080']}}",
        "base.env": "FROM=base",
        "inc/compose.yml": "services: {db: {image: 'db:${TAG:-none}'}}",
        "inc/.env": "TAG=inc",
        "compose.yml": "include: [inc/compose.yml]\nservices: {app: {extends: {file: base.yml, service: base}, "
        "depends_on: [db], profiles: [web]}, job: {image: 'job', profiles: [jobs]}}",
        ".env": "TAG=here\nCOMPOSE_PROFILES=web",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    monkeypatch.chdir(tmp_path)

    assert project_files.profiles([], {}) == ["web"]
    read = parse("books", docker_compose_config(tmp_path, [], {}), ["web"])

    assert set(read.services) == {"app", "db"}
    app = read.target("")
    assert (app.image, app.environment, app.needs) == ("base:here", {"FROM": "base"}, {"db"})
    assert read.services["db"].image == "db:here"

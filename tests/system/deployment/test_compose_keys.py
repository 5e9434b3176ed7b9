"""Every key of docs/compose.md with both versions of compose: a deploy brings up one file that has them all, and each
key's effect is seen, or not, in what the engine says of the containers."""

from __future__ import annotations

import subprocess
import uuid

import pytest

from tests.fixtures import render_v1
from tests.fixtures.compose_keys import file
from tests.fixtures.compose_keys.key import MEANINGS
from tests.fixtures.compose_keys.table import KEYS
from tests.system.deployment.conftest import Project

COLUMNS = {"compose-v2": "compose v2", "compose-v1": "compose v1"}
VERSIONS = pytest.mark.parametrize("flavour", COLUMNS, scope="module")


def taken(flavour: str) -> list:
    return [key for key in KEYS if key.cell(COLUMNS[flavour]) != "R"]


@pytest.fixture(scope="module")
def deployed(flavour, machine, docker, image, tmp_path_factory):
    """What the engine has, after a deploy of the file with all keys that this version of compose takes."""
    project = Project(f"keys-{uuid.uuid4().hex[:8]}", machine, docker, tmp_path_factory.mktemp("keys"), image, flavour)
    names = project.name, image(1)
    outer = f"{project.name}-outer"
    for kind in ("network", "volume"):
        subprocess.run([docker, kind, "create", outer], check=True, capture_output=True)
    file.write(project.folder, file.document(taken(flavour), *names), *names)
    try:
        argv = project.argv("deploy", *project.route, "--target", "app")
        if "name" in [key.name for key in taken(flavour)]:
            at = argv.index("-p")
            del argv[at : at + 2]  # the file names the project
        done = subprocess.run(argv, env=machine.environment, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stderr
        yield file.found([docker], *names)
    finally:
        machine.client.remove_route(project.name)
        listing = [docker, "volume", "ls", "-q", "--filter", f"label=com.docker.compose.project={project.name}"]
        volumes = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
        project.remove()
        subprocess.run([docker, "volume", "rm", outer, *volumes], check=True, capture_output=True)
        subprocess.run([docker, "network", "rm", outer], check=True, capture_output=True)
        built = [f"{project.name}-built", f"{project.name}_built"]
        subprocess.run([docker, "rmi", *built], check=False, capture_output=True)


@pytest.fixture(scope="module")
def refusals(flavour, docker, request, tmp_path_factory):
    """By key: what this version of compose says to a file that has it, where the table says that it refuses it."""
    refused = [key for key in KEYS if key.cell(COLUMNS[flavour]) == "R"]
    calls = []
    for key in refused:
        folder = tmp_path_factory.mktemp("refused")
        service = {"image": "shop", **file.filled(key.given, "shop", "shop")}
        made = {"services": {"app": service}, **file.filled(key.top, "shop", "shop")}
        calls.append(["-f", str(file.write(folder, made, "shop", "shop")), "config"])
    if flavour == "compose-v1":
        ended = render_v1.ended(request.getfixturevalue("compose_v1"), calls)
        return {key.name: one["err"] for key, one in zip(refused, ended) if one["code"]}
    done = [subprocess.run([docker, "compose", *call], check=False, capture_output=True, text=True) for call in calls]
    return {key.name: one.stderr for key, one in zip(refused, done) if one.returncode}


@VERSIONS
@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_what_is_made_of_a_key(key, flavour, deployed, refusals):
    cell = key.cell(COLUMNS[flavour])
    if cell == "R":
        # By its name: a file that is wrong in another way would be refused, too.
        assert key.name.partition(".")[0] in refusals.get(key.name, ""), f"{flavour} takes {key.name}"
    elif key.sign is None:
        assert cell == "I"
        assert deployed.services.get(key.service), "it runs in spite of the key"
    else:
        seen = key.sign(deployed, key.service)
        assert seen == (cell == "H"), f"{MEANINGS[cell]} in the table, and not in what runs"

"""The script that registers the library, in plain Groovy with classes like Jenkins': what it changes and what not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from jenkins_proxy.seeding import render

URL = "https://bot:s3cret@git/x.git"
OTHER = "https://git/y.git"
SET = {
    "name": "ours",
    "defaultVersion": "0.9.0",
    "implicit": True,
    "allowVersionOverride": False,
    "includeInChangesets": False,
    "cachingConfiguration": "60 minutes",
    "remote": URL,
    "id": "the-id",
    "credentialsId": "reg",
    "traits": ["branches", "tags"],
    "libraryPath": "sub/",
    "clone": True,
}
# What is asked for (name, version, repository, credentials), what is printed, and what differs afterwards. `fixed` says
# that allowVersionOverride is switched off.
CASES = {
    "the same": (("ours", "0.9.0", URL, ""), "=\nfixed\n", {}),
    "another version": (("ours", "1.0.0", URL, ""), "~\nversion 0.9.0 -> 1.0.0\nfixed\n", {"defaultVersion": "1.0.0"}),
    "another repository": (
        ("ours", "0.9.0", OTHER, ""),
        f"~\nrepository https://git/x.git -> {OTHER}\nfixed\n",
        {"remote": OTHER},
    ),
    "other credentials": (
        ("ours", "0.9.0", URL, "bot"),
        "~\ncredentials reg -> bot\nfixed\n",
        {"credentialsId": "bot"},
    ),
    "all of it": (
        ("ours", "1.0.0", OTHER, "bot"),
        f"~\nversion 0.9.0 -> 1.0.0\nrepository https://git/x.git -> {OTHER}\ncredentials reg -> bot\nfixed\n",
        {"defaultVersion": "1.0.0", "remote": OTHER, "credentialsId": "bot"},
    ),
    "read from GitHub, another version": (
        ("hub", "1.0.0", "https://github.com/o/r.git", ""),
        "~\nversion none -> 1.0.0\n",
        {},
    ),
    "read from GitHub, another repository": (
        ("hub", "1.0.0", OTHER, ""),
        "!\nGitHubSCMSource from https://github.com/o/r.git\n",
        {},
    ),
    "read in the old manner": (("legacy", "1.0.0", OTHER, ""), "!\nLegacySCM from https://git/old.git\n", {}),
    "without a retriever": (("first", "1.0.0", OTHER, ""), "!\nnothing\n", {}),
}

# What two seeds ask for at the same moment.
AT_ONCE = [
    (("new", "1.0.0", URL, ""), ("new", "1.0.0", URL, "")),
    (("new", "1.0.0", URL, ""), ("newer", "1.0.0", URL, "")),
]


@pytest.fixture(scope="module")
def console(groovy, tmp_path_factory):
    """What each case prints and leaves, dry and wet, and that of a new library: one JVM for all."""
    wanted = [case[0] for case in CASES.values()] + [("new", "1.0.0", URL, "bot"), ("new", "1.0.0", URL, "")]
    folder = tmp_path_factory.mktemp("scripts")
    for number, (name, version, remote, credentials) in enumerate(wanted):
        values = {"name": name, "version": version, "remote": remote, "credentials": credentials}
        for dry_run in (False, True):
            script = render.text("library.groovy.j2", **values, dry_run=dry_run)
            (folder / f"{number:02}-{dry_run:d}.groovy").write_text(script)
    classes = Path(__file__).with_name("library_console")
    for number, (one, other) in enumerate(AT_ONCE, len(wanted)):
        for suffix, (name, version, remote, credentials) in (("groovy", one), ("other", other)):
            values = {"name": name, "version": version, "remote": remote, "credentials": credentials, "dry_run": False}
            for half in range(2):
                (folder / f"{number:02}-{half}.{suffix}").write_text(render.text("library.groovy.j2", **values))
    argv = [groovy, "-cp", str(classes), str(classes / "console.groovy"), str(folder)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    return list(zip(results[0::2], results[1::2]))


@pytest.mark.parametrize("number", range(len(CASES)), ids=list(CASES))
def test_a_library_that_is_there_keeps_its_place_and_all_that_is_not_asked_for(console, number: int) -> None:
    (name, *_), printed, changed = list(CASES.values())[number]
    wet, dry = console[number]
    assert wet["printed"] == dry["printed"] == printed
    assert [library["name"] for library in wet["libraries"]] == ["first", "ours", "last", "hub", "legacy"]
    assert dry["libraries"][1] == SET
    assert wet["libraries"][1] == {**SET, **changed}
    written = "1.0.0" if name == "hub" and printed[0] == "~" else None
    assert wet["libraries"][3]["defaultVersion"] == written


@pytest.mark.parametrize(("number", "credentials"), [(len(CASES), "bot"), (len(CASES) + 1, None)])
def test_a_new_library_comes_last(console, number: int, credentials: str | None) -> None:
    wet, dry = console[number]
    assert wet["printed"] == dry["printed"] == "+\n"
    assert [library["name"] for library in dry["libraries"]][-1] == "legacy"
    made = wet["libraries"][-1]
    assert (made["name"], made["defaultVersion"], made["remote"]) == ("new", "1.0.0", URL)
    assert made["credentialsId"] == credentials


@pytest.mark.parametrize(("number", "made"), [(0, ["new"]), (1, ["new", "newer"])], ids=["the same one", "another one"])
def test_two_seeds_at_the_same_moment_leave_what_they_leave_in_turn(console, number: int, made) -> None:
    for left in console[len(CASES) + 2 + number]:
        assert [library["name"] for library in left["libraries"]] == ["first", "ours", "last", "hub", "legacy", *made]

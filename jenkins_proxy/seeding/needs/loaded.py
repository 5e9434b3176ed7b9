"""The libraries that scripts load: whether Jenkins has them, in the version that a script names."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence

from jenkins_proxy.errors import JenkinsServerError
from jenkins_proxy.seeding.items import FOLDER
from jenkins_proxy.seeding.jenkins_server import JenkinsServer, Refused, item_path
from jenkins_proxy.seeding.needs.library import suggested

_ANNOTATION = re.compile(r"@Library\(\s*value\s*=\s*|@Library\(\s*")
_IDENTIFIER = re.compile(r"\s*\[?\s*(['\"])([^'\"@$]+)(?:@([^'\"$]+))?\1")
_NOWHERE = "nowhere"
_NOT_FOUND = 404
_CONFIGURATION = "descriptorByName/org.jenkinsci.plugins.workflow.libs.LibraryConfiguration"


def libraries(script: str) -> list[tuple[str, str]]:
    """The names and versions that a script's ``@Library`` says; a version is empty where it leaves that to Jenkins."""
    ends = (match.end() for match in _ANNOTATION.finditer(script))
    found = (_IDENTIFIER.match(script, end) for end in ends)
    return [(match[2], match[3] or "") for match in found if match]


def check(server: JenkinsServer, scripts: Mapping[str, str], registered: str) -> list[str]:
    """Look for each library that is loaded. It is others who have registered it, and its version may come yet.

    :param scripts: by the jobs' paths.
    :param registered: the name of one that is registered along with the jobs, and looked at there.
    :return: what builds would not find now, each in a line.
    """
    users: dict[tuple[str, str], list[str]] = {}
    for path, script in scripts.items():
        for library in libraries(script):
            if library[0] != registered:
                users.setdefault(library, []).append(path)
    said = []
    place_of = functools.cache(lambda name, folder: _place(server, name, folder.split("/") if folder else []))
    for (name, version), paths in users.items():
        places = {path: place_of(name, path.rpartition("/")[0]) for path in paths}
        absent = [path for path, place in places.items() if place == _NOWHERE]
        there = sorted({place for place in places.values() if place not in (_NOWHERE, None)})
        if absent:
            said.append(
                f"Jenkins has no library {name}, which {_few(absent)} loads: register it with --library URL, or for "
                "its folder"
            )
        elif version and there and all(_lacks(server, place, name, version) for place in there):
            said.append(
                f"the library {name} in Jenkins has no version {version}, which {_few(paths)} loads: builds will end "
                f"with “No version {version} found”; push it to the library's repository, git tag {version} && git "
                "push --tags, or name one that is there: --set version=main"
            )
    return said


def _place(server: JenkinsServer, name: str, folders: Sequence[str]) -> str | None:
    """Where a job finds the library: at the top or at one of its folders, as their addresses begin.

    :return: ``_NOWHERE`` where there is none; None where that is not to be seen.
    """
    for depth in range(len(folders) + 1):
        place = f"{item_path(FOLDER, '/'.join(folders[:depth]))}/" if depth else ""
        try:
            found = suggested(server, name, place)
        except Refused as error:
            # A folder that is not there yet has none.
            return _NOWHERE if depth and error.status == _NOT_FOUND else None
        if name in found:
            return place
    return _NOWHERE


def _lacks(server: JenkinsServer, place: str, name: str, version: str) -> bool:
    """Whether Jenkins, which has the credentials, has looked for the version in vain."""
    try:
        answer = server.call(
            "POST",
            f"{place}{_CONFIGURATION}/checkDefaultVersion",
            data={"name": name, "defaultVersion": version, "implicit": "false", "allowVersionOverride": "true"},
            doing="look for a library's version in",
        )
    except JenkinsServerError:
        # It may not be asked, or reads a large repository for the first time.
        return False
    return f"Could not resolve {version}" in answer.text


def _few(paths: Sequence[str]) -> str:
    others = len(paths) - 1
    return f"{paths[0]} and {others} more" if others else paths[0]

"""``resources/release/run``: what it looks at first, and a dry run of all of it but the image."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from jenkins_proxy import __version__


@pytest.fixture(scope="module")
def release(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", repository / "resources/release/release.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RELEASED = "# Changelog\n\n## 1.2.3 - 2026-11-28\n"
CLEAN = {"tags": "1.0.0\n1.2.2", "changes": ""}


@pytest.mark.parametrize(
    ("changelog", "state", "open_points"),
    [
        (RELEASED, CLEAN, []),
        ("## Unreleased (1.2.3)\n", CLEAN, ["CHANGELOG.md has no heading `## 1.2.3 - YYYY-MM-DD`"]),
        ("## 1.2.3\n## 1.2.30 - 2026-11-28", CLEAN, ["CHANGELOG.md has no heading `## 1.2.3 - YYYY-MM-DD`"]),
        (RELEASED, {**CLEAN, "tags": "1.2.3"}, ["the tag 1.2.3 is there already: set the next version"]),
        (RELEASED, {**CLEAN, "changes": " M a\n?? b"}, ["2 files are not committed"]),
        ("", {"tags": "1.2.3", "changes": " M a"}, ["CHANGELOG.md", "the tag", "1 files"]),
    ],
)
def test_what_keeps_from_a_tag(release, changelog: str, state: dict[str, str], open_points: list[str]) -> None:
    found = release.before_tag(changelog, "1.2.3", state)
    assert [line[: len(start)] for line, start in zip(found, open_points, strict=True)] == open_points


@pytest.mark.parametrize(
    ("others", "version", "lines"),
    [
        ("1.2.3", "1.2.3", []),
        ("1.2.4", "1.2.3", ["a has version 1.2.4, and pyproject.toml 1.2.3"]),
        ("", "1.2.3", ["a has version (none), and pyproject.toml 1.2.3"]),
        ("1.2", "1.2", ["1.2 is not a version MAJOR.MINOR.PATCH"]),
    ],
)
def test_versions_that_disagree(release, others: str, version: str, lines: list[str]) -> None:
    assert release.disagreements({"pyproject.toml": version, "a": others}) == lines


def test_this_checkouts_versions_agree(release, repository: Path) -> None:
    assert set(release.read_versions(repository).values()) == {__version__}


def test_a_dry_run_builds_each_file_with_its_checksum(repository: Path, wheels: Path, tmp_path: Path) -> None:
    before = subprocess.run(["git", "tag"], cwd=repository, capture_output=True, check=True).stdout
    for name in ("jenkins_proxy-0.9.9-py3-none-any.whl", "jenkins_proxy-0.9.9.tar.gz", "jenkins-proxy-0.9.9.pyz"):
        (tmp_path / name).touch()
    done = subprocess.run(
        [sys.executable, str(repository / "resources/release/release.py"), "--no-image", "--out", str(tmp_path)],
        env={**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    files = [
        f"jenkins_proxy-{__version__}-py3-none-any.whl",
        f"jenkins_proxy-{__version__}.tar.gz",
        f"jenkins-proxy-{__version__}.pyz",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*files, "SHA256SUMS"])
    sums = (tmp_path / "SHA256SUMS").read_text().splitlines()
    assert sums == [f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}" for name in files]
    with tarfile.open(tmp_path / files[1]) as archive:
        names = archive.getnames()
    top = f"jenkins_proxy-{__version__}"
    assert {f"{top}/pyproject.toml", f"{top}/vars/deployWithProxy.groovy", f"{top}/CHANGELOG.md"} <= set(names)
    assert subprocess.run(["git", "tag"], cwd=repository, capture_output=True, check=True).stdout == before

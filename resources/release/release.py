"""A release of this checkout: what has to be right first, each file of it, their checksums, and the tag.

Run by ``resources/release/run``, in an environment with hatchling and pip. pip's own variables hold: with
``PIP_NO_INDEX=1`` and ``PIP_FIND_LINKS=DIR`` it needs no network.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
SUMS = "SHA256SUMS"


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="resources/release/run", description="Build a release of this checkout.")
    parser.add_argument("--out", default=str(TOP / "dist"), metavar="DIR", help="where to (default: dist)")
    parser.add_argument("--tag", action="store_true", help="also make the tag, once all is built; it is not pushed")
    parser.add_argument("--no-image", action="store_true", help="build no image (default: one, where Docker answers)")
    parser.add_argument("--base", default="", metavar="IMAGE", help="the image to build ours from")
    args = parser.parse_args(argv)

    versions = read_versions(TOP)
    version = versions["pyproject.toml"]
    wrong = disagreements(versions)
    open_points = before_tag((TOP / "CHANGELOG.md").read_text(encoding="utf-8"), version, state())
    if wrong or (args.tag and open_points):
        for line in [*wrong, *(open_points if args.tag else [])]:
            print(f"[release] ERROR: {line}", file=sys.stderr)
        return 1
    out = Path(args.out).absolute()
    built = [*build(out, version), *([] if args.no_image else image(out, version, args.base))]
    for line in built:
        print(f"[release] {line}")
    if args.tag:
        run("git", "tag", "--annotate", "--message", f"jenkins-proxy {version}", version)
        print(f"[release] tagged {version}: git push origin {version}")
    else:
        for line in open_points:
            print(f"[release] before --tag: {line}")
    return 0


def read_versions(top: Path) -> dict[str, str]:
    """The version that each file says; empty where it says none."""

    def found(name: str, pattern: str) -> str:
        said = re.search(pattern, (top / name).read_text(encoding="utf-8"), re.MULTILINE)
        return said[1] if said else ""

    project = tomllib.loads((top / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {
        "pyproject.toml": project["version"],
        "jenkins_proxy/__init__.py": found("jenkins_proxy/__init__.py", r'^__version__ = "(.*)"'),
        "vars/jenkinsProxy.groovy": found("vars/jenkinsProxy.groovy", r"VERSION = '(.*)'"),
    }


def disagreements(versions: dict[str, str]) -> list[str]:
    """What is wrong with the version itself, a line each."""
    version = versions["pyproject.toml"]
    lines = [f"{name} has version {said or '(none)'}, and pyproject.toml {version}" for name, said in versions.items()
             if said != version]  # fmt: skip
    return lines + ([] if VERSION.fullmatch(version) else [f"{version} is not a version MAJOR.MINOR.PATCH"])


def before_tag(changelog: str, version: str, state: dict[str, str]) -> list[str]:
    """What is still to be done before this can be tagged, a line each.

    :param state: what git says: ``tags`` and ``changes``, a line each.
    """
    lines = []
    if not re.search(rf"^## {re.escape(version)} - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        lines.append(f"CHANGELOG.md has no heading `## {version} - YYYY-MM-DD`")
    if version in state["tags"].splitlines():
        lines.append(f"the tag {version} is there already: set the next version")
    if state["changes"]:
        lines.append(f"{len(state['changes'].splitlines())} files are not committed")
    return lines


def state() -> dict[str, str]:
    """What git says of this checkout."""
    return {"tags": run("git", "tag", "--list"), "changes": run("git", "status", "--porcelain")}


def build(out: Path, version: str) -> list[str]:
    """Build the files into ``out``, which loses those of an earlier run.

    :return: a line each: name, size and checksum.
    """
    out.mkdir(parents=True, exist_ok=True)
    wheel = f"jenkins_proxy-{version}-py3-none-any.whl"
    names = (wheel, f"jenkins_proxy-{version}.tar.gz", f"jenkins-proxy-{version}.pyz")
    for pattern in (*(name.replace(version, "*") for name in names), SUMS):
        # Of other versions, too: the images are built from the one that is there.
        for file in out.glob(pattern):
            file.unlink()
    run(sys.executable, "-m", "hatchling", "build", "--directory", str(out))
    run(sys.executable, str(TOP / "resources/release/build_zipapp.py"), str(out / names[2]), str(out / wheel))
    sums = {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in names}
    text = "".join(f"{checksum}  {name}\n" for name, checksum in sums.items())
    (out / SUMS).write_text(text, encoding="ascii")
    return [f"{name}: {(out / name).stat().st_size} bytes, sha256 {checksum}" for name, checksum in sums.items()]


def image(out: Path, version: str, base: str) -> list[str]:
    """Build the image from what stands in ``out``, where Docker answers.

    :param base: the image to build it from; empty for the Dockerfile's own.
    :return: a line that names it, or says why there is none.
    """
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "version"], capture_output=True, check=False).returncode:
        return ["no image: no Docker Engine answers"]
    name = f"jenkins-proxy:{version}"
    words = ["--build-arg", f"BASE={base}"] if base else []
    run(
        "docker",
        "build",
        *words,
        "--tag",
        name,
        "--file",
        str(TOP / "resources/environments/image/Dockerfile"),
        str(out),
    )
    size = run(docker, "image", "inspect", "--format", "{{.Size}}", name)
    return [f"image {name}: {size} bytes"]


def run(*argv: str) -> str:
    """Run a program to its end and give what it printed; what went wrong is shown, and ends the release."""
    done = subprocess.run(argv, cwd=TOP, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        sys.exit(f"[release] ERROR: {' '.join(argv)} ended with {done.returncode}")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
"""Builds jenkins-proxy as one file: ``python3 resources/release/build_zipapp.py OUT [pip's arguments]``.

``python3 OUT deploy …`` then runs on any machine with Python 3.11 or newer, without pip, an index or an installed
package. It has what deploys; ``serve`` and ``registrator`` need aiohttp, which is no pure Python. Without further
arguments this checkout is what is built; ``--no-index --find-links DIR jenkins-proxy`` builds it from wheels, offline.

The same input gives the same bytes: names are sorted and times are fixed.
"""

from __future__ import annotations

import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
# What a zipapp cannot import, or never needs: pbr names setuptools, and nothing that is imported here does.
LEFT_OUT = ("setuptools", "_distutils_hack", "pkg_resources", "bin", "__pycache__")
# pip writes there when it was, and where from.
UNSTABLE = ("RECORD", "direct_url.json", "REQUESTED")
EPOCH = (1980, 1, 1, 0, 0, 0)
MAIN = """\
import sys

if sys.version_info < (3, 11):
    sys.exit("jenkins-proxy needs Python 3.11 or newer, and this is %d.%d" % sys.version_info[:2])
from jenkins_proxy.__main__ import main

sys.exit(main())
"""


def build(out: Path, what: list[str]) -> None:
    """Write the file, executable, in one step."""
    with tempfile.TemporaryDirectory(dir=out.absolute().parent) as folder:
        packages, fresh = Path(folder) / "packages", Path(folder) / "fresh"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
        subprocess.run([*pip, "--target", str(packages), *what], check=True)
        with fresh.open("wb") as file:
            file.write(b"#!/usr/bin/env python3\n")
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
                for name, content in [("__main__.py", MAIN.encode()), *contents(packages)]:
                    info = zipfile.ZipInfo(name, EPOCH)
                    info.compress_type = zipfile.ZIP_DEFLATED
                    info.external_attr = (stat.S_IFREG | 0o644) << 16
                    archive.writestr(info, content)
        fresh.chmod(0o755)
        fresh.replace(out)


def contents(packages: Path) -> Iterator[tuple[str, bytes]]:
    """Each file of the packages but compiled ones; their licences are in the ``.dist-info`` folders."""
    for path in sorted(packages.rglob("*")):
        name = path.relative_to(packages)
        top = name.parts[0].partition("-")[0]
        out = top in LEFT_OUT or name.name in UNSTABLE or "__pycache__" in name.parts or path.suffix == ".so"
        if path.is_file() and not out:
            yield name.as_posix(), path.read_bytes()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build(Path(sys.argv[1]), sys.argv[2:] or [str(TOP)])

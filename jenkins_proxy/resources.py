"""Where templates and the demo are: in the wheel beside the package, in a checkout under ``resources/``.

A zipapp has them in its one file. Programs that we start and libraries want real ones: they are unpacked to a temporary
folder that goes with the process, at the first that is asked for.
"""

from __future__ import annotations

import functools
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_INSIDE = "jenkins_proxy/_resources/", "jenkins_proxy/orchestrator/none.env"


def resource(name: str) -> Path:
    """The path of a resource.

    :param name: ``haproxy/haproxy.cfg.j2`` (of ``resources/jenkins_proxy``) or ``demo/docker-compose-demo.yml``.
    :raises FileNotFoundError: when this installation does not carry it.
    """
    # The wheel carries them as `_resources` (see pyproject.toml); an editable install has only the checkout's.
    package = _package()
    checkout = package.parent / "resources"
    for root in (package / "_resources", checkout / "jenkins_proxy", checkout):
        path = root / name
        if path.exists():
            return path
    raise FileNotFoundError(f"resource {name} is not in this installation of jenkins-proxy")


def file_of_package(name: str) -> Path:
    """The path of a file that stands among the package's modules: ``orchestrator/none.env``."""
    return _package() / name


def _package() -> Path:
    return _PACKAGE if _PACKAGE.is_dir() else _unpacked() / "jenkins_proxy"


@functools.cache
def _unpacked() -> Path:
    import atexit
    import shutil
    import tempfile
    import zipfile

    folder = tempfile.mkdtemp(prefix="jenkins-proxy-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with zipfile.ZipFile(_PACKAGE.parent) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith(_INSIDE)])  # noqa: S202
    return Path(folder)

"""Where templates and the demo are: in the wheel beside the package, in a checkout under ``resources/``."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource(name: str) -> Path:
    """The path of a resource.

    :param name: ``haproxy/haproxy.cfg.j2`` (of ``resources/jenkins_proxy``) or ``demo/docker-compose-demo.yml``.
    :raises FileNotFoundError: when this installation does not carry it.
    """
    # The wheel carries them as `_resources` (see pyproject.toml); an editable install has only the checkout's.
    checkout = _PACKAGE.parent / "resources"
    for root in (_PACKAGE / "_resources", checkout / "jenkins_proxy", checkout):
        path = root / name
        if path.exists():
            return path
    raise FileNotFoundError(f"resource {name} is not in this installation of jenkins-proxy")

"""Asks a Docker Flow: Proxy of its last version for its services."""

from __future__ import annotations

from typing import Any

from jenkins_proxy.errors import ProxyError, root_cause

_PATH = "/v1/docker-flow-proxy/config"
_SECONDS = 10.0


def services(url: str) -> dict[str, Any]:
    """Its services by name.

    :param url: of its API: ``http://old-proxy:8080``.
    :raises ProxyError: when it does not answer, or with something else.
    """
    import requests  # here, as few commands need it

    try:
        answer = requests.get(f"{url.rstrip('/')}{_PATH}", params={"type": "json"}, timeout=_SECONDS)
        found = answer.json() if answer.status_code == 200 else None
    except requests.JSONDecodeError:
        found = None
    except requests.RequestException as error:
        raise ProxyError(f"no Docker Flow: Proxy answers at {url}: {root_cause(error)}") from error
    if not isinstance(found, dict) or not all(isinstance(own, dict) for own in found.values()):
        raise ProxyError(
            f"{url}{_PATH} lists no services: HTTP {answer.status_code}",
            "a proxy of 2016 has them in Consul alone: leave out --from",
        )
    return found

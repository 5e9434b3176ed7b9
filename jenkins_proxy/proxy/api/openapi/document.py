"""The description of the API, as an OpenAPI 3.1 document: a table of the calls, and their schemas."""

from __future__ import annotations

import itertools
from typing import Any

from jenkins_proxy import __version__
from jenkins_proxy.proxy.api.openapi.docker_flow_operations import docker_flow_operations
from jenkins_proxy.proxy.api.openapi.operations import own_operations
from jenkins_proxy.proxy.api.openapi.schemas import schemas


def document() -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in itertools.chain(own_operations(), docker_flow_operations()):
        paths.setdefault(operation.path, {})[operation.method] = operation.as_dict()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "jenkins-proxy serve",
            "version": __version__,
            "description": "The daemon that owns HAProxy's configuration. Where it has tokens or asks for client "
            "certificates, a call needs one with the role that its security names, or with the role change.",
        },
        "paths": paths,
        "components": {
            "schemas": {**schemas(), "OpenAPI": {"type": "object"}},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}, "certificate": {"type": "mutualTLS"}},
        },
    }

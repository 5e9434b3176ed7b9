"""``doctor``: checks everything that a deploy needs, and reports every problem at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jenkins_proxy.clients.consul import node_names, rights
from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.clients.docker.engine import Engine
from jenkins_proxy.clients.proxy import ProxyClient
from jenkins_proxy.clients.proxy_transport import NO_PATIENCE
from jenkins_proxy.errors import JenkinsProxyError, RemoteError, UsageError, root_cause
from jenkins_proxy.orchestrator import base, detect
from jenkins_proxy.settings import Settings

_ENTRY_SECONDS = 5.0


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    :ivar where: the setting's value: an address, or empty.
    :ivar source: where that value came from.
    :ivar answer: what answers there; the problem where it is not ``ok``.
    :ivar hint: the next step for a problem, and what could be better where there is none.
    :ivar code: the exit code of the problem; 0 where there is none.
    """

    name: str
    where: str
    source: str
    answer: str
    ok: bool = True
    hint: str = ""
    code: int = 0


def examine(settings: Settings) -> Iterator[Finding]:
    """Check everything that a deploy needs, one after the other; a problem with one does not hide the next."""
    yield _finding("docker", *_engine_address(settings), lambda: _engine(settings))
    yield _finding("orchestrators", "", "", lambda: _orchestrators(settings))
    for name, check in (("consul", _registry), ("proxy", _proxy), ("entry", _entry)):
        yield _finding(name, getattr(settings, name), settings.source(name), functools.partial(check, settings))


def _finding(name: str, where: str, source: str, check: Callable[[], tuple[str, str]]) -> Finding:
    try:
        answer, hint = check()
    except JenkinsProxyError as error:
        return Finding(name, where, source, error.message, ok=False, hint=error.hint, code=error.exit_code)
    return Finding(name, where, source, answer, hint=hint)


def _engine_address(settings: Settings) -> tuple[str, str]:
    try:
        endpoint = Engine.from_settings(settings).endpoint
    except UsageError:
        return settings.docker_host, settings.source("docker_host")
    return endpoint.url, endpoint.source


def _engine(settings: Settings) -> tuple[str, str]:
    engine = Engine.from_settings(settings)
    info, version = engine.info(), engine.version()
    kind = "Docker Engine"
    if detect.is_classic(info):
        kind = "classic Swarm manager"
    elif detect.is_manager(info):
        kind = f"Swarm-mode manager of {info['Swarm'].get('Nodes', '?')} nodes, Docker Engine"
    return f"{kind} {version['Version']}, API {version['ApiVersion']}", ""


def _orchestrators(settings: Settings) -> tuple[str, str]:
    environment = settings.docker_environment()
    programs = [program for program in (detect.probe(name, environment) for name in base.NAMES) if program]
    if not any(program.name != base.STACK for program in programs):
        raise UsageError("neither compose v2 nor compose v1 is installed", detect.INSTALL)
    return ", ".join(f"{program.name} {program.version} ({' '.join(program.argv)})" for program in programs), ""


def _registry(settings: Settings) -> tuple[str, str]:
    with Consul.from_settings(settings) as registry:
        leader = registry.leader()
        if not leader:
            raise RemoteError(
                f"the registry at {registry.url} has no leader",
                "its servers have elected none yet, or have lost their majority",
            )
        lacking = registry.missing_rights(rights.DEPLOY)
        if lacking:
            raise RemoteError(*rights.lack(rights.DEPLOY, lacking))
        try:
            agent, own = registry.agent(), registry.agent_node()
        except RemoteError as error:
            return f"leader {leader}; its version and limits are not known: {error.message}", error.hint
        taken = node_names.reserved(own, registry.catalog_node(own.name))
    if taken:
        # No error: the entries may come by other agents.
        return taken
    kind, hint = describe_agent(agent, https=settings.consul.startswith("https:"))
    return f"{kind}, leader {leader}", hint


def describe_agent(agent: Mapping[str, Any], *, https: bool = False) -> tuple[str, str]:
    """Say what a registry is, and what its connection limit means for the watches. Pure.

    :param agent: the answer of ``/v1/agent/self``.
    :param https: whether it is reached by its HTTPS port, where thousands of watches are streams of a few connections.
    :return: the kind, and a hint where raising the limit gives something.
    """
    version = agent.get("Config", {}).get("Version", "?")
    if "DebugConfig" not in agent:
        return f"embedded registry (the API of Consul {version})", ""
    limit = agent["DebugConfig"].get("HTTPMaxConnsPerClient")
    if not limit:
        return f"Consul {version} without a limit of connections", ""
    hint = (
        f"it serves {limit} connections a client address, of which the proxy takes 100 (serve --connections): of more "
        "services than that, those that changed last have a watch each, and the others share some, a little later; "
        "by Consul's HTTPS port each has a watch of its own; so it has with --connections and "
        "limits.http_max_conns_per_client well above the number of services"
    )
    return f"Consul {version}, http_max_conns_per_client {limit}", "" if https else hint


def _proxy(settings: Settings) -> tuple[str, str]:
    proxy = ProxyClient.from_settings(settings, patience=NO_PATIENCE)
    try:
        health, access = proxy.health(), proxy.access()
    finally:
        proxy.close()
    registry = "" if health["registry"]["up"] else "; it has lost its registry and serves what it knows"
    return f"{health['status']} {health['routes']} routes{registry}; {describe_access(access)}", health["problem"] or ""


def describe_access(access: Mapping[str, Any]) -> str:
    """Say what the proxy lets its caller do. Pure.

    :param access: the answer of ``/v1/access``.
    :raises RemoteError: when a deploy may not do there what it has to.
    """
    who = f"the {access['credential']} {access['name']!r}" if access["credential"] else "whoever reaches it"
    if access["role"] != "change":
        raise RemoteError(
            f"{who} has the role {access['role']} there, and a deploy needs the role change",
            "set JENKINS_PROXY_TOKEN to a token with the role change, or show such a JENKINS_PROXY_CLIENT_CERT",
        )
    return f"{who} has the role change"


def _entry(settings: Settings) -> tuple[str, str]:
    import requests  # here, as it takes its time to load

    try:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = settings.proxy_cacert or True
            # Only whether a proxy is there: a self-signed certificate or a 404 are answers too.
            answer = session.get(settings.entry, timeout=_ENTRY_SECONDS, allow_redirects=False, stream=True)
            answer.close()
    except requests.exceptions.SSLError as error:
        raise RemoteError(
            f"no trust in {settings.entry}: {root_cause(error)}",
            "set JENKINS_PROXY_CACERT to the file with its authority",
        ) from error
    except requests.RequestException as error:
        raise RemoteError(
            f"nothing answers at {settings.entry}: {root_cause(error)}",
            "start jenkins-proxy serve, or set JENKINS_PROXY_ENTRY to where users enter",
        ) from error
    return f"answers {answer.status_code}", ""

"""What the pages are held to, read from the code: parsers, settings, exit codes, steps' keys, routes and metrics."""

from __future__ import annotations

import argparse
import functools
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import Mock

from aiohttp import web

from jenkins_proxy import cli, errors
from jenkins_proxy.consul_server.api.about import AboutApi
from jenkins_proxy.consul_server.api.agent_api import AgentApi
from jenkins_proxy.consul_server.api.catalog_api import CatalogApi
from jenkins_proxy.consul_server.api.kv_api import KvApi, SessionApi
from jenkins_proxy.proxy.access.audit import Audit
from jenkins_proxy.proxy.access.tokens import Tokens
from jenkins_proxy.proxy.api import app
from jenkins_proxy.proxy.api.auth import Authenticator, guard_of
from jenkins_proxy.proxy.api.certificates import Certificates
from jenkins_proxy.proxy.api.dashboard import Dashboard
from jenkins_proxy.proxy.api.docker_flow.handlers import DockerFlow
from jenkins_proxy.proxy.api.event_stream import EventStream
from jenkins_proxy.proxy.api.holds import HoldRoutes
from jenkins_proxy.proxy.api.releases import Releases
from jenkins_proxy.proxy.api.routes import Routes
from jenkins_proxy.proxy.models import ProxyState
from jenkins_proxy.proxy.telemetry import metrics

REPOSITORY = Path(__file__).resolve().parents[2]
VARS = REPOSITORY / "vars"
_INTERNAL = ("jenkinsProxy", "jenkinsProxyCandidates", "jenkinsProxyKeys")
STEPS = tuple(sorted(path.stem for path in VARS.glob("*.groovy") if path.stem not in _INTERNAL))


@dataclass(frozen=True)
class Key:
    """A key of a step, as the Groovy file has it: ``default`` is Groovy text, ``text`` its comment."""

    name: str
    default: str
    text: str


@dataclass(frozen=True)
class Endpoint:
    """A registered route of an HTTP API. :ivar path: with ``{name}`` for what varies."""

    method: str
    path: str
    role: str
    pattern: re.Pattern[str]


def parser(command: str) -> argparse.ArgumentParser:
    """The real parser of one command, with everything that ``COMMAND --help`` shows."""
    return _parsers(command)[1]


def top_parser(command: str) -> argparse.ArgumentParser:
    """The real parser of the whole command line, with the options of one command in it."""
    return _parsers(command)[0]


@functools.cache
def _parsers(command: str) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    top, commands = cli._parser(command)
    importlib.import_module(f"jenkins_proxy.cli.{command}").add_arguments(commands[command])
    return top, commands[command]


def exit_codes() -> dict[int, str]:
    """Each exit code with what it means, as ``--help`` says it."""
    return {int(code): text for code, text in re.findall(r"(\d+) (\S.*?)(?= {2,}|\n|$)", cli.EXIT_CODES)}


def error_codes() -> set[int]:
    """The exit codes that the errors have."""
    kinds: list[type] = [errors.JenkinsProxyError, errors.Stopped]
    for kind in kinds:
        kinds += [below for below in kind.__subclasses__() if below.__module__ == errors.__name__]
    return {kind.exit_code for kind in kinds}


def keys(step: str, name: str = "DEFAULTS") -> tuple[Key, ...]:
    """The keys of a map in a Groovy file of ``vars/``, in the file's order."""
    text = (VARS / f"{step}.groovy").read_text(encoding="utf-8")
    body = re.search(rf"@Field final Map {name} = \[\n(.*?)\n\]", text, re.S)
    assert body, f"{step}.groovy has no map {name}"
    return tuple(Key(*found) for found in re.findall(r"^    (\w+): (.+?), +// (.+)$", body[1], re.M))


def aliases() -> dict[str, str]:
    """Other words for a key, which every step takes; the deprecated ones last."""
    text = (VARS / "jenkinsProxyKeys.groovy").read_text(encoding="utf-8")
    bodies = re.findall(r"@Field final Map (?:ALIASES|DEPRECATED) = \[(.*?)\]", text, re.S)
    assert len(bodies) == 2, "jenkinsProxyKeys.groovy has no maps ALIASES and DEPRECATED"
    return dict(re.findall(r"(\w+): '(\w+)'", " ".join(bodies)))


def required(step: str) -> tuple[tuple[str, ...], ...]:
    """What a call of the step must have: one of each group."""
    call = re.search(rf"jenkinsProxy\('{step}', '\w+', DEFAULTS, \[(.*?)\]", (VARS / f"{step}.groovy").read_text())
    assert call, f"{step}.groovy calls the runner in a way unknown here"
    return tuple(tuple(names.split(" or ")) for names in re.findall(r"'([^']+)'", call[1]))


@functools.cache
def daemon_endpoints() -> tuple[Endpoint, ...]:
    """The daemon's HTTP API, as it is registered."""
    parts = (
        Routes(Mock(), Mock(), Mock()),
        HoldRoutes(Mock()),
        DockerFlow(Mock(), Mock(), Mock()),
        Certificates(Mock()),
        Dashboard(Mock(), Mock(), Mock(), Mock(), {}, certificates=Mock(), files=Mock()),
        EventStream(Mock(), Mock()),
        Releases(Mock()),
        app.Meta(Mock()),
    )
    return tuple(_endpoints(app.application(Authenticator(Tokens()), Audit(), *parts)))


@functools.cache
def registry_endpoints() -> tuple[Endpoint, ...]:
    """The embedded registry's HTTP API, as it is registered."""
    registry = web.Application()
    for api in (AboutApi, AgentApi, CatalogApi, KvApi, SessionApi):
        registry.add_routes(api(*[Mock()] * (api.__init__.__code__.co_argcount - 1)).routes())
    return tuple(_endpoints(registry))


def _endpoints(application: web.Application) -> Iterator[Endpoint]:
    for route in application.router.routes():
        resource = route.resource
        if resource is None or route.method == "HEAD":
            continue
        info = resource.get_info()
        pattern = info.get("pattern") or re.compile(re.escape(info["path"]))
        yield Endpoint(route.method, resource.canonical, _role(route.handler), pattern)


def _role(handler: object) -> str:
    guard = guard_of(handler)
    return guard.role if guard else ""


def exposition() -> str:
    """What ``/metrics`` answers for a proxy without routes: every family of ours, if without samples."""
    return metrics.render("1.2.3", ProxyState(1, True, ()), metrics.Meter(), {}, {}).decode()

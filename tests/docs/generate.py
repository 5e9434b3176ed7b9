"""Writes the generated blocks of the pages: ``python -m tests.docs.generate``, in the folder of the checkout.

A block stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``; :func:`texts` has them by name.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from jenkins_proxy import cli
from jenkins_proxy.proxy.haproxy.config.options import Timeouts
from jenkins_proxy.route_options.table import OPTIONS
from jenkins_proxy.settings import SETTINGS
from tests.docs import compose, docker_flow, markdown, rooms, sources
from tests.docs.pages import PAGES

COMMAND = "python -m tests.docs.generate"

_COMMON = "connections"
_ROUTE_PAGE = "deploying.md#route-options"
_ROUTE = [option for option in OPTIONS if option.cli]
_SCHEMA = sources.REPOSITORY / "resources" / "jenkins_proxy" / "seeding" / "schema.json"

# Why a command ends with a code; what each code means is the text of `--help`.
EXAMPLES = {
    0: "",
    1: "(`seed`: some items failed, or the build that it followed did)",
    2: "a path with a space, a broken compose file, two targets, a port that is taken",
    3: "a check that never passes, an image whose name is not the service's",
    4: "no Docker, no registry, a wrong token, another deploy holds the lock",
    5: "an image that is missing, a container that ends at once",
    6: "the new instance answers 500",
    143: "SIGTERM, Ctrl-C, an aborted build",
}

ENDPOINTS = {
    "GET /": "a live page",
    "GET /dashboard/style.css": "a part of the page",
    "GET /dashboard/access.js": "a part of the page",
    "GET /dashboard/page.js": "a part of the page",
    "GET /dashboard/releases.js": "a part of the page",
    "GET /healthz": "200 while HAProxy serves, else 503 with the reason",
    "GET /readyz": "200 while HAProxy serves and every part of the daemon runs, else 503 with the reason",
    "GET /metrics": "Prometheus' text format",
    "GET /v1/access": "which role the caller has, and by what",
    "GET /v1/audit": "who changed what: the last `?limit=N`, the newest first",
    "GET /v1/docker-flow-proxy/config": "the `haproxy.cfg` that runs",
    "GET /v1/docker-flow-proxy/ping": "200",
    "GET /v1/docker-flow-proxy/reconfigure": "sets a route, by query parameters",
    "GET /v1/docker-flow-proxy/reload": "checks and loads the configuration anew",
    "GET /v1/docker-flow-proxy/remove": "removes a route; 200 also when there is none",
    "GET /v1/certs": "certificates: names, subjects, ends; never a key",
    "PUT /v1/certs/{name}": "serves a certificate: PEM with chain and key; without a reload",
    "DELETE /v1/certs/{name}": "serves a certificate no longer that came by the API",
    "PUT /v1/docker-flow-proxy/cert": "the same as `PUT /v1/certs`: `?certName=NAME`",
    "GET /v1/docker-flow-proxy/certs": "names and ends of certificates; never a key",
    "GET /v1/events": "server-sent events; `Last-Event-ID` or `?after=ID` replays",
    "GET /v1/openapi.json": "this API as an OpenAPI document",
    "GET /releases/{service}": "the page of a service's releases",
    "GET /v1/releases/{service}": "the last releases of a service, the newest first",
    "GET /v1/routes": "all routes with their instances",
    "GET /v1/routes/{service}": "one route; 404 without it",
    "PUT /v1/routes/{service}": "sets a route from JSON; answers when HAProxy serves it",
    "DELETE /v1/routes/{service}": "removes a route; 404 without it",
    "DELETE /v1/routes/{service}/count": "ends a count of users: `?id=ID`; answers with it",
    "GET /v1/routes/{service}/count": "the users counted so far; 404 while none are",
    "POST /v1/routes/{service}/count": "begins to count the requests of users, in all proxies",
    "POST /v1/routes/{service}/drain": "lets no new request reach these instances; answers when none is in flight",
    "POST /v1/routes/{service}/resume": "takes a drain back",
    "PUT /v1/routes/{service}/hold": "keeps from users what joins the service from now on",
    "POST /v1/routes/{service}/promote": "lets users meet exactly these instances, in every proxy",
    "POST /v1/routes/{service}/demote": "lets users meet those of before again",
    "DELETE /v1/routes/{service}/hold": "ends a hold; 200 also when there is none",
    "GET /v1/state": "what the page shows: `?search=TEXT&trouble=true&limit=N`",
    "GET /v1/test": "200",
    "GET /v2/test": "200",
}


def texts() -> dict[str, str]:
    """Every generated block by name."""
    blocks = {
        "commands": _commands(),
        "common-options": _options("deploy", only=_COMMON),
        "exit-codes": _exit_codes(),
        "settings": _settings(),
        "timeouts": _timeouts(),
        "api": _api(),
        "registry-api": _registry_api(),
        "route-options": _route_options(),
        "metrics": _metrics(),
        "compose-keys": compose.table(_table),
        "aliases": _table(
            ("word", "stands for"), ((f"`{word}`", f"`{key}`") for word, key in sources.aliases().items())
        ),
        "keys-places": _keys(sources.keys("jenkinsProxyKeys", "OPTIONS")),
        "keys-test": _keys(sources.keys("jenkinsProxyKeys", "TEST")),
        "keys-jenkins": _keys(sources.keys("jenkinsProxyKeys", "JENKINS")),
        "seed-keys": _seed_keys(),
        **{f"docker-flow-{verdict}": text for verdict, text in docker_flow.tables(_table).items()},
    }
    blocks.update(rooms.blocks(_table))
    blocks.update({f"options-{name}": _options(name) for name in cli.COMMANDS})
    blocks.update({f"keys-{step}": _keys(sources.keys(step)) for step in sources.STEPS})
    return blocks


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _commands() -> str:
    return _table(("command", "does"), ((f"[`{name}`](#{name})", text) for name, text in cli.COMMANDS.items()))


def _options(command: str, only: str = "") -> str:
    rows = []
    for group in sources.parser(command)._action_groups:
        if (group.title or "").startswith(_COMMON) == bool(only):
            rows += [_option_row(action) for action in group._group_actions if action.help != argparse.SUPPRESS]
    # One place for the options of a route: the table that has all of their names.
    shown = [row for row in rows if not row[0].startswith(("`-h`", *(f"`{option.cli}`" for option in _ROUTE)))]
    if len(shown) < len(rows) - 1:
        shown.append(
            (f"[options of the route]({_ROUTE_PAGE})", ", ".join(f"`{option.cli}`" for option in _ROUTE[:2]) + " …")
        )
    return _table(("option", "meaning"), shown)


def _option_row(action: argparse.Action) -> tuple[str, str]:
    values = action.metavar or ("|".join(map(str, action.choices)) if action.choices else "")
    if not action.option_strings:
        return f"`{values or action.dest}`", _text(action.help)
    name = ", ".join(f"`{word}`" for word in action.option_strings)
    return (f"{name} `{values}`" if values and action.nargs != 0 else name), _text(action.help)


def _text(words: str | None) -> str:
    # What stands for something else is shown as it is, and not as markup.
    return (words or "").replace("*", "\\*").replace("<", "&lt;").replace("%%", "%")


def _exit_codes() -> str:
    meanings = sources.exit_codes()
    rows = [(str(code), meanings[code], EXAMPLES[code]) for code in meanings]
    return _table(("code", "meaning", "for example"), rows)


def _settings() -> str:
    rows = []
    for known in SETTINGS:
        variables = [known.environment] + ([f"{known.environment}_FILE"] if known.secret else [])
        rows.append(
            (
                "" if known.secret else f"`{known.name}`",
                ", ".join(f"`{name}`" for name in variables),
                f"`{known.argument}`" if known.argument else "",
                f"`{known.default}`" if known.default else "",
            )
        )
    return _table(("file", "environment", "argument", "default"), rows)


def _timeouts() -> str:
    rows = ((f"`TIMEOUT_{known.name.upper()}`", f"{known.default:g}") for known in dataclasses.fields(Timeouts))
    return _table(("environment", "seconds"), rows)


def _api() -> str:
    rows: dict[str, tuple[str, str, str]] = {}
    endpoints = sources.daemon_endpoints()
    posted = {one.path for one in endpoints if one.method == "POST"}
    for endpoint in endpoints:
        call = f"{endpoint.method} {endpoint.path}"
        # Docker Flow: Proxy's calls come by any method, and with a slash at their end.
        if endpoint.path.endswith("/") and endpoint.path != "/" or call.replace("POST", "GET") in rows:
            continue
        methods = "GET or POST" if endpoint.method == "GET" and endpoint.path in posted else endpoint.method
        rows[call] = (f"`{methods} {endpoint.path}`", endpoint.role, ENDPOINTS[call])
    return _table(("call", "role", "does"), (rows[call] for call in sorted(rows, key=_by_path)))


def _by_path(call: str) -> tuple[str, str]:
    method, path = call.split()
    return path, method


def _registry_api() -> str:
    methods: dict[str, list[str]] = {}
    for endpoint in sources.registry_endpoints():
        methods.setdefault(re.sub(r"\{(\w+):[^}]*\}", r"{\1}", endpoint.path), []).append(endpoint.method)
    return _table(("path", "methods"), ((f"`{path}`", ", ".join(methods[path])) for path in sorted(methods)))


def _route_options() -> str:
    head = ("command line", "key of the steps", "Docker Flow: Proxy", "JSON", "compose label", "default", "meaning")
    rows = []
    for option in OPTIONS:
        cli_name = option.cli or ("SERVICE" if option.name == "service" else "")
        names = (cli_name, option.groovy, option.docker_flow, option.name, option.label, option.default_text)
        meaning = option.meaning + (f": {', '.join(option.choices)}" if option.choices else "")
        rows.append((*(f"`{name}`" if name else "" for name in names), _text(meaning)))
    return _table(head, rows)


def _metrics() -> str:
    text = sources.exposition()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    helps = re.findall(r"^# HELP (jenkins_proxy_\S+) (.+)$", text, re.M)
    return _table(("metric", "type", "meaning"), ((f"`{name}`", kinds[name], words) for name, words in helps))


def _keys(known: Iterable[sources.Key]) -> str:
    return _table(
        ("key", "default", "meaning"), ((f"`{key.name}`", f"`{key.default}`", _text(key.text)) for key in known)
    )


def _seed_keys() -> str:
    schema = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    definitions = schema["definitions"]
    parts = {"the file": schema}
    for name in ("folders", "services", "jobs", "views"):
        items = schema["properties"][name]["items"]
        parts[f"`{name}`"] = definitions[items["$ref"].rpartition("/")[2]] if "$ref" in items else items
    parts["`jobs` of a service"] = definitions["serviceJob"]
    for name in ("git", "scm", "parameters", "triggers"):
        parts[f"`{name}`"] = definitions[name].get("items", definitions[name])
    return _table(("in", "keys (**required**)"), ((where, ", ".join(_names(part))) for where, part in parts.items()))


def _names(part: dict[str, dict[str, object]]) -> Iterator[str]:
    for name in part["properties"]:
        yield f"**`{name}`**" if name in part.get("required", ()) else f"`{name}`"


def main() -> int:
    """Rewrite the pages. :return: 0."""
    current = texts()
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        after = markdown.with_generated(before, current)
        if after != before:
            page.write_text(after, encoding="utf-8")
            print(f"rewritten: {page.relative_to(Path.cwd())}" if page.is_relative_to(Path.cwd()) else page)
    return 0


if __name__ == "__main__":
    sys.exit(main())

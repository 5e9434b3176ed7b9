"""``seed``: create and update Jenkins jobs from a YAML file, as often as you like.

Exit codes of its own: with ``--dry-run`` 0 nothing to do, 2 changes pending, 1 any error, so that a nightly check can
tell them apart; without it those of every command, and 1 when some items failed. ``--build --follow`` ends with 0 when
the build was a success, else 1.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jenkins_proxy import validation
from jenkins_proxy.cli.arguments import shared, values
from jenkins_proxy.console import Console, json_wanted, print_json
from jenkins_proxy.errors import JenkinsProxyError, Stopped, UsageError
from jenkins_proxy.resources import resource
from jenkins_proxy.seeding import build, load
from jenkins_proxy.seeding.jenkins_server import JenkinsServer, environment_warnings
from jenkins_proxy.seeding.reconcile import Options, reconcile
from jenkins_proxy.settings import Settings

_PENDING = 2
_FAILED = 1
_LABEL = "docker"
_ADDRESSES = ("docker_host", "consul", "proxy", "entry")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = f"{parser.description}. The user and the API token come from JENKINS_USER and JENKINS_TOKEN."
    parser.epilog = (
        "exit codes: with --dry-run 0 nothing to do, 2 changes pending, 1 any error; else those of every "
        "command, and 1 when some items or the followed build failed"
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="seed file (default: the article's three jobs)")
    parser.add_argument("--jenkins", default=os.environ.get("JENKINS_URL"), metavar="URL", help="or $JENKINS_URL")
    parser.add_argument(
        "--plain", action="store_true", help="write the article's jobs with the sh lines of the article"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="set a variable of the seed file"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan, and change nothing")
    parser.add_argument("--diff", action="store_true", help="show what changes in each job")
    parser.add_argument("--only", default="*", metavar="GLOB", help="only items whose path matches: teams/books/*")
    shared.add_report(parser)
    _add_ownership(parser)
    group = parser.add_argument_group("requests to Jenkins")
    group.add_argument(
        "--connections", type=_connections, default=8, metavar="N", help="number of reads at a time (default: 8)"
    )
    group.add_argument(
        "--timeout",
        type=values.time_limit,
        default=30.0,
        metavar="SECONDS",
        help="time limit of each request (default: 30)",
    )
    group = parser.add_argument_group("prerequisites of the jobs")
    group.add_argument("--agent", action="store_true", help=f"make sure that a node has the label {_LABEL}")
    group.add_argument("--library", metavar="URL", help="register the shared library from this git repository")
    group.add_argument(
        "--library-credentials", default="", metavar="ID", help="credentials in Jenkins that read the library"
    )
    group.add_argument(
        "--no-checks",
        action="store_true",
        help="do not look first whether Jenkins has the plugins and labels that the jobs need, and the library's "
        "repository its version",
    )
    group = parser.add_argument_group("building a job instead of seeding")
    group.add_argument("--build", metavar="JOB", help="build a job")
    group.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the build")
    group.add_argument("--follow", action="store_true", help="show the console of the build, and exit with its result")


def _add_ownership(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("ownership")
    group.add_argument(
        "--seed-id", default="", metavar="ID", help="the owner of what is seeded (default: the file's seed)"
    )
    group.add_argument(
        "--adopt",
        action="store_true",
        help="take over items that people made, and keep the config.xml of each beside the report",
    )
    group.add_argument(
        "--prune", action="store_true", help="delete items that this seed ID owns and the file does not have"
    )
    group.add_argument(
        "--max-prune",
        type=_percent,
        default=50.0,
        metavar="PERCENT",
        help="refuse to delete a larger part of what it owns (default: 50)",
    )


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    try:
        return _run(args, console)
    except JenkinsProxyError as error:
        # Where the report itself is what failed, the error at hand says so.
        with contextlib.suppress(UsageError):
            failure = {"code": error.exit_code, "message": error.message, "hint": error.hint}
            _write_report(args, {"error": failure})
        if not args.dry_run:
            raise
        # 2 means that changes are pending, so an error has to be something else.
        console.error(error.message, error.hint)
        return _FAILED


def _run(args: argparse.Namespace, console: Console) -> int:
    _check_combination(args)
    connect = functools.partial(JenkinsServer, _address(args.jenkins), *_login(os.environ), timeout=args.timeout)
    for warning in environment_warnings(os.environ):
        console.warning(warning)
    return _build(args, connect(), console) if args.build else _seed(args, connect, console)


def _seed(args: argparse.Namespace, connect: Callable[[], JenkinsServer], console: Console) -> int:
    default = resource("seeding") / ("article-plain.yaml" if args.plain else "article.yaml")
    # Where things are, given as for every command, is where they are for the jobs.
    addresses = {name: getattr(args, name) for name in _ADDRESSES if getattr(args, name)}
    spec = load.load(
        Path(args.file) if args.file else default,
        variables={**addresses, **_pairs("--set", args.set)},
        seed=args.seed_id,
    )
    options = Options(
        only=args.only,
        prune=args.prune,
        max_prune=args.max_prune,
        connections=args.connections,
        dry_run=args.dry_run,
        diff=args.diff,
        adopt=_kept_in(args.report) if args.adopt else None,
        agent=_LABEL if args.agent else "",
        library=args.library or "",
        library_credentials=args.library_credentials,
        check_needs=not args.no_checks,
        git_timeout=args.timeout,
    )
    report = reconcile(spec, connect, options, console, _progress)
    _write_report(args, report.as_dict())
    if report.failed:
        return _FAILED
    return _PENDING if args.dry_run and report.pending else 0


def _kept_in(report: str) -> Path:
    """The folder for the config.xml of what is adopted: beside the report, else in the working directory."""
    return Path(report).with_suffix(".adopted") if report else Path("jenkins-proxy-seed.adopted")


def _build(args: argparse.Namespace, server: JenkinsServer, console: Console) -> int:
    server.connect()
    queued = build.start(server, args.build, _pairs("--param", args.param))
    if not args.follow:
        console.step(f"{args.build} is queued at {server.url}/queue/item/{queued.number}/")
        _write_report(args, {"job": queued.job, "queued": queued.number})
        return 0
    try:
        done = build.follow(server, queued, console.output, console.step)
    except Stopped:
        console.warning(f"the build of {args.build} goes on in Jenkins")
        raise
    _write_report(args, vars(done))
    if done.result != build.SUCCESS:
        console.error(f"{done.job} #{done.number} ended with {done.result}", f"{done.url}console")
        return _FAILED
    console.step(f"{done.job} #{done.number} ended with {done.result}")
    return 0


def _check_combination(args: argparse.Namespace) -> None:
    if args.plain and args.file:
        raise UsageError("--plain writes the article's jobs, and takes no file")
    if args.build and (
        args.file or args.plain or args.prune or args.adopt or args.dry_run or args.agent or args.library
    ):
        raise UsageError(
            "--build seeds nothing: it goes with --param, --follow and --report only", "seed first, then build"
        )
    if args.library_credentials and not args.library:
        raise UsageError("--library-credentials goes with --library URL")
    if not args.build and (args.param or args.follow):
        raise UsageError("--param and --follow go with --build JOB")


def _address(url: str | None) -> str:
    if not url:
        raise UsageError("no Jenkins given", "--jenkins URL, or the environment variable JENKINS_URL")
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"--jenkins: {url!r} is not an http:// or https:// address")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            "--jenkins: an address with a user, a query or a fragment in it is not taken",
            "give the login through JENKINS_USER and JENKINS_TOKEN",
        )
    return url


def _login(environ: Mapping[str, str]) -> tuple[str, str]:
    """The user and the token, which no argument ever holds: ``ps`` shows those to everybody."""
    user, token, file = (environ.get(name, "") for name in ("JENKINS_USER", "JENKINS_TOKEN", "JENKINS_TOKEN_FILE"))
    if not token and file:
        try:
            token = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read JENKINS_TOKEN_FILE {file}: {error}") from error
    if not user or not token:
        missing = "JENKINS_TOKEN or JENKINS_TOKEN_FILE" if user else "JENKINS_USER"
        raise UsageError(
            f"no login for Jenkins: {missing} is not set",
            "make an API token on your user's page in Jenkins: <Jenkins>/me/configure",
        )
    return user, token


def _pairs(option: str, texts: list[str]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            # The text itself might be a secret parameter's value.
            raise UsageError(f"{option} takes NAME=VALUE")
    return dict(text.split("=", 1) for text in texts)


def _connections(text: str) -> int:
    number = validation.whole(text, 100)
    if not number:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number from 1 to 100")
    return number


def _percent(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?", text) or float(text) > 100:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number from 0 to 100")
    return float(text)


def _progress(verb: str, done: int, total: int) -> None:
    """One line that redraws itself; a log, which keeps every line, gets none."""
    if sys.stderr.isatty():
        end = "\r\x1b[K" if done == total else ""
        sys.stderr.write(f"\r{verb} {done} of {total}\x1b[K{end}")
        sys.stderr.flush()


def _write_report(args: argparse.Namespace, report: Mapping[str, Any]) -> None:
    file = args.report
    if json_wanted(args.json, file):
        print_json(report)
    if not file:
        return
    try:
        Path(file).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write the report {file}: {error}") from error

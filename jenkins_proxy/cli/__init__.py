"""The command line: argv, printing, exit codes. One module a sub-command, imported only when it is asked for.

Each module has ``add_arguments(parser)`` and ``run(args, settings, console) -> int``. What a command does lives in
the rooms below this one.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

import jenkins_proxy
from jenkins_proxy import settings
from jenkins_proxy.cli.jenkins_step import params as step_params
from jenkins_proxy.console import Console
from jenkins_proxy.errors import JenkinsProxyError, Problems, Stopped, UsageError
from jenkins_proxy.signals import raise_stopped

COMMANDS = {
    "deploy": "deploy a compose service, verify its new instances, and let users in",
    "promote": "let users in to the instances that deploy --hold has left",
    "abort": "take away the instances that deploy --hold, or a deploy that was killed, has left",
    "scale": "change the number of instances of a service",
    "reconfigure": "route a running service",
    "remove": "remove a service's route",
    "undeploy": "take a service away: its route, containers, networks and entries",
    "rollback": "switch a blue-green service back to its other color",
    "wait": "wait until the registry shows passing instances of a service",
    "status": "show services, instances and routes",
    "releases": "show the last releases of a service",
    "serve": "run the proxy daemon, with an embedded registry unless --consul is given",
    "registrator": "run the agent that enters this engine's containers into the registry",
    "seed": "create and update Jenkins jobs from a YAML file",
    "setup": "let systemd run the proxy daemon on this machine, or take that away again",
    "demo": "run the article's example on this machine",
    "import": "show what moves from a Docker Flow: Proxy, and move it with --apply",
    "doctor": "show each setting, where it comes from, and whether its address answers",
}

EXIT_CODES = """exit codes:
  0 done   2 usage or configuration   3 timed out   4 a remote refused or is unreachable
  5 the deploy command failed   6 verification failed   143 stopped by a signal   1 a bug"""


class _Parser(argparse.ArgumentParser):
    """argparse, but a wrong argument is one line in our own grammar and exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"{self.prog} --help shows the usage")


def main(argv: Sequence[str]) -> int:
    """Run one command.

    :param argv: the arguments after the program's name.
    :return: the exit code, as documented in ``errors.py``.
    """
    console = Console()
    return guarded(lambda: dispatch(list(argv), console), console)


def guarded(work: Callable[[], int], console: Console) -> int:
    """Do the work, and turn every known error and signal into its line and exit code."""
    raise_stopped()
    try:
        return work()
    except JenkinsProxyError as error:
        console.error(error.message, error.hint)
        return error.exit_code
    except Stopped as stopped:
        console.error(stopped.message)
        return stopped.exit_code


def dispatch(argv: list[str], console: Console) -> int:
    """Find the command, read its arguments and settings, and run it."""
    name = next((word for word in argv if not word.startswith("-")), "")
    parser, commands = _parser(name)
    if name in COMMANDS:
        module = importlib.import_module(f"jenkins_proxy.cli.{name}")
        sub = commands[name]
        module.add_arguments(sub)
        argv = step_params.extend(argv, name, sub, os.environ)
    # No abbreviation, no intermixing: what is not understood is an error, never a guess.
    args = parser.parse_args(argv)
    if not args.command:
        parser.print_help(sys.stderr)
        return UsageError.exit_code
    resolved = settings.resolve(vars(args), file=args.config or "")
    for warning in settings.misspelt(os.environ):
        console.warning(warning)
    code: int = module.run(args, resolved, console)
    return code


def value_problems(name: str, environ: Mapping[str, str]) -> list[str]:
    """What a command has against the values that a Jenkins step gives it, each in a line; nothing is run.

    :param name: of the command.
    :raises UsageError: for values that are no JSON object.
    """
    _, commands = _parser(name)
    importlib.import_module(f"jenkins_proxy.cli.{name}").add_arguments(commands[name])
    problems = Problems()
    step_params.words([name], name, commands[name], environ, problems)
    return problems.messages


def _parser(chosen: str) -> tuple[_Parser, dict[str, _Parser]]:
    parser = _Parser(
        prog="jenkins-proxy",
        description=(jenkins_proxy.__doc__ or "").partition("\n")[0],
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=jenkins_proxy.__version__)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    made = {}
    for name, text in COMMANDS.items():
        made[name] = subparsers.add_parser(name, help=text, description=text, allow_abbrev=False)
        if name == chosen:
            _add_common(made[name])
    return parser, made


def _add_common(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "connections (an argument wins over the environment, and that over the settings file)"
    )
    group.add_argument("--config", metavar="FILE", help=f"settings file (default: {settings.DEFAULT_FILE}, if present)")
    for spec in settings.SETTINGS:
        if spec.argument:
            group.add_argument(
                spec.argument,
                dest=spec.name,
                metavar="URL" if spec.url else "HOST",
                help=f"or ${spec.environment} (default: {spec.default})",
            )

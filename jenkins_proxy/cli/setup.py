"""``setup``: let systemd run the daemon on this machine: a user, folders, settings and a unit; or take them away."""

from __future__ import annotations

import argparse
import sysconfig
from pathlib import Path

from jenkins_proxy.cli.arguments import daemon as daemon_arguments
from jenkins_proxy.console import Console
from jenkins_proxy.errors import UsageError
from jenkins_proxy.installation import plan
from jenkins_proxy.installation.machine import Machine, check, check_root
from jenkins_proxy.resources import resource
from jenkins_proxy.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--undo", action="store_true", help="take away what setup has written, and the daemon's state")
    parser.add_argument(
        "--purge", action="store_true", help="with --undo: also settings that people have changed, and their files"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and the files' text")
    parser.add_argument(
        "--root",
        default="/",
        metavar="DIR",
        help="write the files below this folder, as for an image: no user is made and nothing is started (default: /)",
    )


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    if args.purge and not args.undo:
        raise UsageError("--purge is given without --undo")
    root = Path(args.root).absolute()
    if not root.is_dir():
        raise UsageError(f"--root {args.root} is not a folder")
    machine = Machine(root, live=root == Path("/"))
    found = machine.find()
    if args.undo and machine.live and not args.dry_run:
        check_root()
    actions = _undo(found, purge=args.purge) if args.undo else _install(found, settings, dry_run=args.dry_run)
    for action in actions:
        console.step(f"would {action}" if args.dry_run else str(action))
        if not args.dry_run:
            machine.do(action)
        elif isinstance(action, plan.Write) and action.entry.text is not None:
            for line in action.entry.text.splitlines():
                console.output(line)
    _say_what_is_left(found, actions, args, console)
    return 0


def _install(found: plan.Found, settings: Settings, *, dry_run: bool) -> tuple[plan.Action, ...]:
    # Before anything is written, because the service would not start.
    daemon_arguments.require_aiohttp("setup")
    there = found.entries.get(plan.ENVIRONMENT)
    asked = settings.consul if settings.given("consul") else ""
    consul = plan.consul_of(there.text or "") if there else asked
    if there and asked and consul != asked:
        raise UsageError(
            f"{settings.source('consul')} {asked} is not what {plan.ENVIRONMENT} says ({consul or 'no Consul'})",
            f"settings that are there are yours: write CONSUL_HTTP_ADDR={asked} into it",
        )
    program = str(Path(sysconfig.get_path("scripts")) / "jenkins-proxy")
    check(program, docker=not consul, live=found.live and not dry_run)
    template = resource("environments/systemd/jenkins-proxy.service").read_text(encoding="utf-8")
    return plan.install(found, template, program, asked)


def _undo(found: plan.Found, *, purge: bool) -> tuple[plan.Action, ...]:
    foreign = () if purge else plan.foreign(found)
    if foreign:
        raise UsageError(
            f"not written by setup, or changed since: {', '.join(foreign)}",
            "move them away, or say --undo --purge to lose them",
        )
    return plan.undo(found)


def _say_what_is_left(
    found: plan.Found, actions: tuple[plan.Action, ...], args: argparse.Namespace, console: Console
) -> None:
    if not actions:
        console.step("nothing to do: " + ("nothing of it is there" if args.undo else "all is as it should be"))
    elif not args.undo and not found.live:
        console.step(f"left for the machine that {args.root} becomes: `jenkins-proxy setup` there makes the user")
    elif not args.undo and not found.systemd:
        console.warning("systemd does not run here: start the daemon by the unit's ExecStart, as its User")

"""The whole of seeding: what the jobs need, the plan, and its execution, reported as it happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jenkins_proxy.console import Console
from jenkins_proxy.errors import JenkinsServerError, Problems
from jenkins_proxy.seeding import apply, plan, render
from jenkins_proxy.seeding.items import Item
from jenkins_proxy.seeding.jenkins_server import JenkinsServer
from jenkins_proxy.seeding.needs import library, node
from jenkins_proxy.seeding.needs.check import check as check_needs
from jenkins_proxy.seeding.plan import CHANGE, CREATE, DELETE, KEEP, REFUSE, Action
from jenkins_proxy.seeding.spec import Spec

_WORDS = {CREATE: "to create", CHANGE: "to change", KEEP: "unchanged", DELETE: "to delete", REFUSE: "refused"}
_NAMES = {CREATE: "create", CHANGE: "change", KEEP: "keep", DELETE: "delete", REFUSE: "refuse"}


@dataclass(frozen=True)
class Options:
    """How to seed.

    :ivar only: a glob that paths must match.
    :ivar max_prune: per cent of what the seed id owns that may be deleted.
    :ivar connections: reads at a time.
    :ivar adopt: the folder that keeps what people made and this seed takes over; None takes over nothing.
    :ivar agent: the label that a node must have; empty to leave nodes alone.
    :ivar library: the address of the library's repository; empty to leave libraries alone.
    :ivar library_credentials: the id of the credentials that read it.
    :ivar check_needs: look before anything is written whether Jenkins has what the jobs need.
    :ivar git_timeout: seconds within which the library's repository has to answer.
    """

    only: str = "*"
    prune: bool = False
    max_prune: float = 50.0
    connections: int = 8
    dry_run: bool = False
    diff: bool = False
    adopt: Path | None = None
    agent: str = ""
    library: str = ""
    library_credentials: str = ""
    check_needs: bool = True
    git_timeout: float = 30.0


@dataclass
class Report:
    """The outcome.

    :ivar actions: the whole plan.
    :ivar failed: what could not be done, with the reason as its note.
    :ivar pending: whether a dry run found anything to do.
    :ivar needs: the state of what jobs need, by ``agent`` and ``library``.
    """

    jenkins: str
    seed: str
    dry_run: bool
    actions: list[Action] = field(default_factory=list)
    failed: list[Action] = field(default_factory=list)
    pending: bool = False
    needs: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For the machine; what stays as it is, is only counted."""
        failed = {(action.kind, action.path): action.note for action in self.failed}
        counts = Counter(_NAMES[action.symbol] for action in self.actions)
        return {
            "jenkins": self.jenkins,
            "seed": self.seed,
            "dry_run": self.dry_run,
            "counts": {name: counts[name] for name in _NAMES.values()},
            "changes": [
                {
                    "action": _NAMES[action.symbol],
                    "kind": action.kind,
                    "path": action.path,
                    "lines": action.changed_lines,
                    "note": action.note,
                    "kept": action.kept or None,
                    "error": failed.get((action.kind, action.path)),
                }
                for action in self.actions
                if action.symbol != KEEP
            ],
            "needs": self.needs,
            "failed": len(self.failed),
        }


def reconcile(
    spec: Spec, connect: Callable[[], JenkinsServer], options: Options, console: Console, progress: apply.Progress
) -> Report:
    """Bring Jenkins to what the spec says, or in a dry run say what that takes.

    :param connect: a server for each thread that asks.
    :raises UsageError: for a template that fails, for a prune that goes too far, and for a library without the version.
    :raises JenkinsServerError: when Jenkins cannot be reached, does not know the user, or lacks what the jobs need.
    """
    items = render.items(spec)
    chosen = plan.only(items, options.only)
    server = connect()
    version = server.connect()
    console.step(f"Jenkins {version} at {server.url}, seed {spec.seed}" + (", dry run" if options.dry_run else ""))
    report = Report(server.url, spec.seed, options.dry_run)
    wanted = _library(spec, options)
    if options.check_needs:
        there = {item.path for item in chosen}
        jobs = [job for job in spec.jobs if job.path in there]
        scripts = apply.scripts(chosen)
        for unknown in check_needs(server, jobs, wanted, options.agent, options.git_timeout, scripts=scripts):
            console.warning(unknown)
    present = server.listing()
    configs = apply.read(connect, chosen, present, options.connections, progress)
    actions = plan.plan(chosen, present, configs, spec.seed, adopt=options.adopt is not None)
    report.actions = apply.checked(server, actions, chosen)
    if options.prune:
        report.actions += plan.prune(items, present, spec.seed, options.only, options.max_prune)
    if options.adopt and not options.dry_run:
        report.actions = apply.keep_adopted(report.actions, options.adopt)
    # By now nothing but Jenkins itself can refuse what follows.
    _see_to_needs(report, wanted, server, options, console)
    _show(report.actions, options, console)
    for warning in apply.missing_credentials(server, spec.jobs):
        console.warning(warning)
    report.failed = [action for action in report.actions if action.symbol == REFUSE]
    report.pending |= any(action.symbol in (CREATE, CHANGE, DELETE) for action in report.actions)
    if not options.dry_run:
        failed = apply.carry_out(server, report.actions, progress)
        if failed:
            failed = _see_to_overtaken(report, failed, chosen, connect=connect, options=options, console=console)
        for action in failed:
            console.error(f"{action.kind} {action.path}: {action.note}")
        report.failed += failed
    return report


def _see_to_overtaken(
    report: Report,
    failed: list[Action],
    chosen: Sequence[Item],
    *,
    connect: Callable[[], JenkinsServer],
    options: Options,
    console: Console,
) -> list[Action]:
    """Where another seed, or a person, wrote at the same moment, do what is left to do after that.

    :return: the actions that failed for another reason, or fail again.
    """
    places = {(action.kind, action.path) for action in failed}
    tried = [action for action in report.actions if (action.kind, action.path) in places]
    try:
        server = connect()
        server.connect()
        present = server.listing()
        items = [item for item in chosen if (item.kind, item.path) in places]
        configs = apply.read(connect, items, present, options.connections, lambda *_: None)
        now = plan.plan(items, present, configs, report.seed, adopt=options.adopt is not None)
        due = plan.overtaken(tried, now, present)
        if options.adopt:
            due = apply.keep_adopted(due, options.adopt)
        for action in due:
            console.step(f"{action}, as somebody else was there at the same moment")
        again = apply.carry_out(server, due, lambda *_: None)
    except JenkinsServerError:
        # What failed is told.
        return failed
    done = {(action.kind, action.path): action for action in due}
    report.actions = [done.get((action.kind, action.path), action) for action in report.actions]
    rest = [action for action in failed if (action.kind, action.path) not in done]
    return [*rest, *(action for action in due if action.symbol == REFUSE), *again]


def _show(actions: list[Action], options: Options, console: Console) -> None:
    for action in actions:
        console.step(str(action))
        for line in action.diff if options.diff else ():
            console.output(line)
    for action in actions:
        if action.kept:
            console.step(f"the config.xml that {action.path} had is kept in {action.kept}")
    counts = Counter(action.symbol for action in actions)
    shown = [symbol for symbol in _WORDS if counts[symbol] or symbol != REFUSE]
    console.step(", ".join(f"{counts[symbol]} {_WORDS[symbol]}" for symbol in shown))


def _library(spec: Spec, options: Options) -> library.Library | None:
    name, _, version = spec.library.partition("@")
    if not options.library:
        return None
    return library.Library(
        name,
        version or spec.variables["version"],
        options.library,
        credentials=options.library_credentials,
        named=version != "",
    )


def _see_to_needs(
    report: Report, wanted: library.Library | None, server: JenkinsServer, options: Options, console: Console
) -> None:
    """The node and the library. Where one of them cannot be as it should, neither is touched, and both are told."""
    problems = Problems()
    agent = registered = None
    if options.agent:
        agent = problems.gather(lambda: node.look(server, options.agent))
    if wanted:
        only_look = options.dry_run or (options.agent != "" and agent is None)
        registered = problems.gather(lambda: library.register(server, wanted, dry_run=only_look))
    problems.raise_any()
    if agent:
        _see_to_node(report, agent, server, options, console)
    if wanted and registered:
        _show_library(report, wanted, registered, console)


def _see_to_node(report: Report, agent: node.Agent, server: JenkinsServer, options: Options, console: Console) -> None:
    report.needs["agent"] = agent.advice
    report.pending |= agent.created
    if agent.created:
        if not options.dry_run:
            node.make(server, options.agent)
        console.step(f"+ node {options.agent}")
    (console.step if agent.ready else console.warning)(agent.advice)


def _show_library(report: Report, wanted: library.Library, outcome: library.Registered, console: Console) -> None:
    report.needs["library"] = outcome.symbol or "needs administration"
    report.pending |= outcome.symbol in (CREATE, CHANGE)
    if outcome.symbol:
        console.step(outcome.line(wanted))
        if not outcome.compared:
            console.step("whether its version and repository are these, only an administrator sees")
        if outcome.fixed and wanted.named:
            console.warning(
                f"the library {wanted.name} has “Allow default version to be overridden” switched off: a job that "
                f"names a version, as these do, ends with “Version override not permitted”; switch it on, or write "
                f"library: {wanted.name} into the seed file"
            )
        return
    console.warning("registering a library needs Overall/Administer; an administrator can apply this instead:")
    for line in library.as_code(wanted).splitlines():
        console.output(line)

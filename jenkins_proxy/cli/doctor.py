"""``doctor``: shows what each setting resolves to, from where, and whether it answers."""

from __future__ import annotations

import argparse
import dataclasses

from jenkins_proxy.clients.consul import rights
from jenkins_proxy.console import Console, print_json
from jenkins_proxy.doctor import Finding, examine
from jenkins_proxy.errors import UsageError
from jenkins_proxy.settings import SETTINGS, Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument(
        "--consul-policy",
        choices=tuple(rights.RIGHTS),
        help="only print the ACL policy that this part needs of Consul: `consul acl policy create -rules -` reads it",
    )


def run(args: argparse.Namespace, settings: Settings, console: Console) -> int:
    if args.consul_policy:
        print(rights.policy(args.consul_policy))
        return 0
    findings = list(examine(settings))
    if args.json:
        print_json(
            {"settings": _setting_rows(settings), "findings": [dataclasses.asdict(finding) for finding in findings]}
        )
    else:
        _show(settings, findings, console)
    codes = {finding.code for finding in findings if not finding.ok}
    # Without a usable configuration, what does not answer may only be looked for in the wrong place.
    return UsageError.exit_code if UsageError.exit_code in codes else max(codes, default=0)


def _setting_rows(settings: Settings) -> list[dict[str, str]]:
    """Every setting; of a secret only whether it is given."""
    return [
        {
            "name": spec.name,
            "source": settings.source(spec.name),
            "value": ("given" if getattr(settings, spec.name) else "") if spec.secret else getattr(settings, spec.name),
        }
        for spec in SETTINGS
    ]


def _show(settings: Settings, findings: list[Finding], console: Console) -> None:
    for setting in _setting_rows(settings):
        console.step(f"{setting['name']} = {setting['value'] or '(none)'} ({setting['source']})")
    for finding in findings:
        text = " ".join(filter(None, (finding.name, finding.where))) + f": {finding.answer}"
        if not finding.ok:
            console.error(text, finding.hint)
        elif finding.hint:
            console.warning(f"{text} - {finding.hint}")
        else:
            console.step(text)

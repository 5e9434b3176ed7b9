"""What is to be done on a machine, decided from what is there."""

from __future__ import annotations

import dataclasses

import pytest

from jenkins_proxy.installation import plan
from jenkins_proxy.installation.plan import Command, Entry, Found, Write

TEMPLATE = "ExecStart=/usr/bin/env jenkins-proxy serve\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n"
PROGRAM = "/opt/jenkins-proxy/bin/jenkins-proxy"


def installed(consul: str = "", **changes: object) -> Found:
    """A machine on which all of it was done."""
    actions = plan.install(Found(), TEMPLATE, PROGRAM, consul)
    entries = {action.path: action.entry for action in actions if isinstance(action, Write)}
    return dataclasses.replace(Found(entries, user=True, enabled=True, active=True), **changes)


def texts(actions: tuple[plan.Action, ...]) -> list[str]:
    return [str(action) for action in actions]


def test_a_fresh_machine_gets_a_user_before_what_is_his_and_the_service_last() -> None:
    assert texts(plan.install(Found(), TEMPLATE, PROGRAM, "")) == [
        "run useradd --system --user-group --no-create-home --home-dir /var/lib/jenkins-proxy "
        "--shell /usr/sbin/nologin jenkins-proxy",
        "make folder /etc/jenkins-proxy (mode 0750, root:jenkins-proxy)",
        "write file /etc/jenkins-proxy/environment (mode 0600, root:root)",
        "make folder /var/lib/jenkins-proxy (mode 0750, jenkins-proxy:jenkins-proxy)",
        "write file /etc/systemd/system/jenkins-proxy.service (mode 0644, root:root)",
        "run systemctl daemon-reload",
        "run systemctl enable --now jenkins-proxy",
    ]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (installed(), []),
        (installed("http://consul:8500"), []),
        (installed(user=False), ["run useradd --system --user-group "]),
        (installed(user=False, group=True), ["run useradd --system --gid jenkins-proxy "]),
        (installed(enabled=False), ["run systemctl enable --now jenkins-proxy"]),
        (installed(active=False), ["run systemctl enable --now jenkins-proxy"]),
        (installed(active=False, systemd=False), []),
    ],
)
def test_what_is_there_is_passed_over(found: Found, expected: list[str]) -> None:
    done = texts(plan.install(found, TEMPLATE, PROGRAM, ""))
    assert [text[: len(start)] for text, start in zip(done, expected, strict=True)] == expected


def test_a_new_program_is_a_new_unit_and_a_restart_that_loses_nothing() -> None:
    assert texts(plan.install(installed(), TEMPLATE, "/opt/new/bin/jenkins-proxy", "")) == [
        f"write file {plan.UNIT} (mode 0644, root:root)",
        "run systemctl daemon-reload",
        "run systemctl restart jenkins-proxy",
    ]


@pytest.mark.parametrize(
    ("states", "commands"),
    [
        ({"enabled": False}, ["enable --now", "restart"]),
        ({"active": False}, ["enable --now"]),
        ({"systemd": False}, None),
    ],
)
def test_a_new_unit_reaches_what_runs_also_where_people_have_disabled_it(
    states: dict[str, bool], commands: list[str] | None
) -> None:
    done = texts(plan.install(installed(**states), TEMPLATE, "/opt/new/bin/jenkins-proxy", ""))[1:]
    expected = [] if commands is None else ["daemon-reload", *(f"{command} jenkins-proxy" for command in commands)]
    assert done == [f"run systemctl {command}" for command in expected]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o666])
def test_settings_of_people_keep_their_text_and_lose_their_readers(mode: int) -> None:
    found = installed()
    own = Entry("JENKINS_PROXY_TOKEN=abc\n", mode, "root:root")
    found = dataclasses.replace(found, entries={**found.entries, plan.ENVIRONMENT: own})
    (action,) = plan.install(found, TEMPLATE, PROGRAM, "")
    assert action == Write(plan.ENVIRONMENT, dataclasses.replace(own, mode=0o600))


def test_a_folder_that_becomes_a_machine_gets_files_and_nothing_else() -> None:
    actions = plan.install(Found(live=False), TEMPLATE, PROGRAM, "")
    assert all(isinstance(action, Write) and not action.entry.owner for action in actions)
    assert not any(isinstance(action, Command) for action in plan.undo(installed(live=False)))


@pytest.mark.parametrize(
    ("text", "consul"),
    [
        (plan.environment(""), ""),
        (plan.environment("http://consul:8500"), "http://consul:8500"),
        ("CONSUL_HTTP_ADDR='consul:8500'\n", "consul:8500"),
        ("CONSUL_HTTP_ADDR=a\nCONSUL_HTTP_ADDR=b", "b"),
        ("#CONSUL_HTTP_ADDR=a\n CONSUL=b", ""),
    ],
)
def test_only_without_a_consul_the_daemon_may_use_dockers_engine(text: str, consul: str) -> None:
    assert plan.consul_of(text) == consul
    found = Found({plan.ENVIRONMENT: Entry(text, 0o600, "root:root")})
    (unit,) = [a.entry.text for a in plan.install(found, TEMPLATE, PROGRAM, "") if str(a).find(plan.UNIT) > 0]
    assert unit is not None
    assert ("SupplementaryGroups=docker" in unit) is (not consul)
    assert f"ExecStart={PROGRAM} serve" in unit


def test_undoing_takes_away_what_was_made_and_the_user_last() -> None:
    assert texts(plan.undo(installed())) == [
        "run systemctl disable --now jenkins-proxy",
        f"remove {plan.UNIT}",
        "run systemctl daemon-reload",
        "end the HAProxy of /var/lib/jenkins-proxy",
        "remove /var/lib/jenkins-proxy",
        "remove /etc/jenkins-proxy",
        "run userdel jenkins-proxy",
    ]
    assert plan.undo(Found()) == ()


def test_a_service_that_runs_on_after_its_unit_is_gone_is_ended() -> None:
    """Somebody has removed the unit: the daemon would go on, and keep its user from going."""
    there = installed()
    entries = {path: entry for path, entry in there.entries.items() if path != plan.UNIT}
    assert texts(plan.undo(dataclasses.replace(there, entries=entries)))[:3] == [
        "run systemctl disable --now jenkins-proxy",
        "run systemctl daemon-reload",
        "end the HAProxy of /var/lib/jenkins-proxy",
    ]


def test_what_systemctl_edit_has_made_is_peoples_and_goes_with_a_purge() -> None:
    there = installed()
    edited = dataclasses.replace(there, entries={**there.entries, plan.DROP_IN: Entry(None, 0o755, "root:root")})
    assert plan.foreign(edited) == (plan.DROP_IN,)
    assert f"remove {plan.DROP_IN}" in texts(plan.undo(edited))
    assert plan.install(edited, TEMPLATE, PROGRAM, "") == ()


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (installed(), ()),
        (installed("http://consul:8500"), ()),
        (installed(others=("/etc/jenkins-proxy/tokens",)), ("/etc/jenkins-proxy/tokens",)),
        (Found({plan.ENVIRONMENT: Entry("A=1\n", 0o600, "")}), (plan.ENVIRONMENT,)),
        (Found(), ()),
    ],
)
def test_what_people_have_written_is_named(found: Found, kept: tuple[str, ...]) -> None:
    assert plan.foreign(found) == kept

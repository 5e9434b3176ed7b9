"""``setup`` on folders of the test's own, as root and as anybody."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from jenkins_proxy.cli import main
from jenkins_proxy.errors import UsageError
from jenkins_proxy.installation import machine, plan
from jenkins_proxy.installation.machine import Machine
from jenkins_proxy.installation.plan import Command, EndHaproxy, Entry, Write


@pytest.fixture
def setup(tmp_path: Path, monkeypatch, capsys):
    """Runs ``setup --root`` with more options; gives its exit code and what it said."""
    program = tmp_path / "bin" / "jenkins-proxy"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(program.parent))
    root = tmp_path / "root"
    root.mkdir()

    def run(*options: str) -> tuple[int, list[str]]:
        code = main(["setup", "--root", str(root), *options])
        lines = [line.removeprefix("[jenkins-proxy] ") for line in capsys.readouterr().err.splitlines()]
        return code, [line for line in lines if not line.startswith("<")]

    run.root = root
    return run


def files(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): oct(stat.S_IMODE(path.lstat().st_mode))
        for path in root.rglob("*")
        if "jenkins-proxy" in str(path.relative_to(root))
    }


WRITTEN = {
    "etc/jenkins-proxy": "0o750",
    "etc/jenkins-proxy/environment": "0o600",
    "etc/systemd/system/jenkins-proxy.service": "0o644",
    "var/lib/jenkins-proxy": "0o750",
}


def test_writes_once_and_takes_away_all_of_it(setup) -> None:
    assert setup("--dry-run")[0] == 0
    assert files(setup.root) == {}
    assert setup()[0] == 0
    assert files(setup.root) == WRITTEN
    assert setup()[1][0] == "* nothing to do: all is as it should be"
    assert setup("--undo")[0] == 0
    assert files(setup.root) == {}
    assert setup("--undo") == (0, ["* nothing to do: nothing of it is there"])


def test_shows_all_first_and_the_text_of_the_files(setup, capsys) -> None:
    main(["setup", "--root", str(setup.root), "--dry-run"])
    shown = capsys.readouterr().err
    assert "* would write file /etc/systemd/system/jenkins-proxy.service (mode 0644)" in shown
    assert "< ExecStart=" in shown and "< #JENKINS_PROXY_TOKEN=" in shown


def test_settings_are_peoples_once_they_are_there(setup) -> None:
    setup("--consul", "http://consul:8500")
    settings = setup.root / "etc/jenkins-proxy/environment"
    assert "\nCONSUL_HTTP_ADDR=http://consul:8500\n" in settings.read_text()
    code, said = setup("--consul", "http://other:8500")
    assert code == 2
    assert "--consul http://other:8500 is not what /etc/jenkins-proxy/environment says (http://consul:8500)" in said[0]

    settings.write_text(settings.read_text() + "JENKINS_PROXY_TOKEN=secret\n")
    (setup.root / "etc/jenkins-proxy/tokens").write_text("read abc me\n")
    assert setup()[1][0] == "* nothing to do: all is as it should be"
    code, said = setup("--undo")
    assert code == 2
    assert said[0] == (
        "ERROR: not written by setup, or changed since: /etc/jenkins-proxy/environment, /etc/jenkins-proxy/tokens"
    )
    assert files(setup.root).items() >= WRITTEN.items(), "a refusal leaves all of it"
    assert setup("--undo", "--purge")[0] == 0
    assert files(setup.root) == {}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--purge"], "--purge is given without --undo"),
        (["--root", "/nowhere"], "--root /nowhere is not a folder"),
        (["--consul", "ftp://x"], "--consul: 'ftp://x' is not an http:// or https:// address"),
    ],
)
def test_wrong_options_are_one_line(setup, options: list[str], reason: str) -> None:
    code, said = setup(*options)
    assert (code, said[0]) == (2, f"ERROR: {reason}")
    assert files(setup.root) == {}


def test_what_is_not_a_file_is_left(setup) -> None:
    (setup.root / "etc").mkdir()
    (setup.root / "etc/jenkins-proxy").write_text("")
    code, said = setup()
    assert code == 2 and "is not what setup writes there" in said[0]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("/root/.local/bin/jenkins-proxy", "is no program"),
        ("/opt/a b/jenkins-proxy", "cannot stand in a unit of systemd"),
        ("/opt/%n/jenkins-proxy", "cannot stand in a unit of systemd"),
    ],
)
def test_a_program_that_the_unit_cannot_start_is_refused(program: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        machine.check(program, docker=False, live=False)
    assert reason in caught.value.message


def test_a_program_in_a_home_is_refused_as_the_unit_cannot_read_there() -> None:
    with pytest.raises(UsageError) as caught:
        machine.check("/home/me/.local/bin/jenkins-proxy", docker=False, live=False)
    assert "2 problems" in caught.value.message and "is in somebody's home" in caught.value.message


@pytest.mark.parametrize("what", ["the program", "Python"])
def test_what_only_leads_into_a_home_is_refused_too(tmp_path: Path, monkeypatch, what: str) -> None:
    """An environment in /opt that a Python of somebody's made, as pyenv's; or a link from /opt."""
    link = tmp_path / "jenkins-proxy"
    link.symlink_to("/home/me/python3" if what == "the program" else sys.executable)
    monkeypatch.setattr(sys, "executable", "/home/me/python3" if what == "Python" else "/usr/bin/python3")
    with pytest.raises(UsageError) as caught:
        machine.check(str(link), docker=False, live=True)
    assert f"{what} that the service starts is /home/me/python3, in somebody's home" in f"{caught.value}"


def test_who_is_not_root_is_told_all_at_once(homeless, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("jenkins_proxy.processes.find", lambda *_: None)
    with pytest.raises(UsageError) as caught:
        machine.check(sys.executable, docker=False, live=True)
    assert "problems: (1) " in caught.value.message
    assert "which only root can" in caught.value.message and "no program haproxy" in caught.value.message
    assert "--dry-run shows what it does" in caught.value.hint


def test_a_command_that_fails_is_one_line_with_its_own_words(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "useradd").write_text("#!/bin/sh\necho no room >&2\nexit 12\n")
    (tmp_path / "useradd").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    here = Machine(tmp_path, live=True)
    with pytest.raises(UsageError, match=r"^useradd x ended with 12: no room$"):
        here.do(Command(("useradd", "x")))
    with pytest.raises(UsageError, match=r"^there is no program no-such$"):
        here.do(Command(("no-such",)))


@pytest.mark.parametrize(("enabled", "active"), [(True, True), (False, True), (True, False)])
def test_asks_systemd_whether_the_service_runs(tmp_path: Path, monkeypatch, enabled: bool, active: bool) -> None:
    (tmp_path / "systemctl").write_text(
        f"#!/bin/sh\ncase $1 in is-enabled) {str(enabled).lower()} ;; is-active) {str(active).lower()} ;; esac\n"
    )
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = Machine(tmp_path, live=True, systemd=tmp_path).find()
    assert (found.systemd, found.enabled, found.active) == (True, enabled, active)


def test_an_owner_whom_nobody_knows_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nobody-of-ours:root, whom this machine does not know"):
        Machine(tmp_path, live=True).do(Write("/x", Entry("", 0o600, "nobody-of-ours:root")))


def test_haproxy_is_ended_before_its_user_goes_and_no_other_process(tmp_path: Path) -> None:
    folder = tmp_path / plan.STATE.lstrip("/") / "haproxy"
    folder.mkdir(parents=True)
    here = Machine(tmp_path, live=True)
    here.do(EndHaproxy())  # without one

    ours = subprocess.Popen(["haproxy", "60"], executable="/bin/sleep")
    (folder / "haproxy.pid").write_text(str(ours.pid))
    # Between a program's start and its name in /proc there is a moment.
    while not Path(f"/proc/{ours.pid}/cmdline").read_bytes():
        pass
    here.do(EndHaproxy())
    assert ours.wait(timeout=5) == -signal.SIGTERM

    other = subprocess.Popen(["sleep", "60"])
    (folder / "haproxy.pid").write_text(str(other.pid))
    here.do(EndHaproxy())
    assert other.poll() is None
    other.kill()
    other.wait()

"""The machine itself: what it has of an installation, and each action done."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import shutil
import signal
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jenkins_proxy import processes
from jenkins_proxy.errors import Problems, UsageError
from jenkins_proxy.files import atomic_write
from jenkins_proxy.installation import plan
from jenkins_proxy.installation.plan import Action, Command, EndHaproxy, Entry, Found, Remove, Write

# The unit's ProtectHome= hides them from the daemon.
_HIDDEN = ("/home/", "/root/", "/run/user/")
_HAPROXY_PID = plan.STATE + "/haproxy/haproxy.pid"
_AGAIN = "mend it and run the same command again: what is done already is passed over"
_ROOT = "run it as root; --dry-run shows what it does, and --root DIR writes to another folder"
_FOLDERS = (plan.SETTINGS, plan.STATE, plan.DROP_IN)
_PATHS = (*_FOLDERS, plan.ENVIRONMENT, plan.UNIT)


@dataclass(frozen=True)
class Machine:
    """Where an installation is written.

    :ivar root: the folder that stands for ``/``.
    :ivar live: whether users are made and services started, too; no for a folder that becomes a machine later.
    :ivar systemd: the folder that is there where systemd runs.
    :ivar patience: seconds for HAProxy to end in.
    """

    root: Path
    live: bool
    systemd: Path = Path("/run/systemd/system")
    patience: float = 10.0

    def find(self) -> Found:
        """Look at what is there.

        :raises UsageError: for what cannot be read.
        """
        problems = Problems()
        there = {path: problems.gather(partial(self._entry, path)) for path in _PATHS}
        problems.raise_any()
        folder = self._at(plan.SETTINGS)
        names = sorted(os.listdir(folder)) if there[plan.SETTINGS] else []
        systemd = self.systemd.is_dir()
        return Found(
            {path: entry for path, entry in there.items() if entry},
            tuple(f"{plan.SETTINGS}/{name}" for name in names if f"{plan.SETTINGS}/{name}" != plan.ENVIRONMENT),
            _known(plan.USER, pwd.getpwnam),
            _known(plan.USER, grp.getgrnam),
            self.live,
            systemd,
            enabled=self.live and systemd and self._asked("is-enabled"),
            active=self.live and systemd and self._asked("is-active"),
        )

    def do(self, action: Action) -> None:
        """Do one action.

        :raises UsageError: when it fails; what was done before stays.
        """
        try:
            match action:
                case Command():
                    self._command(action.argv)
                case Write():
                    self._write(self._at(action.path), action.entry)
                case EndHaproxy():
                    self._end_haproxy()
                case Remove():
                    self._remove(self._at(action.path))
        except OSError as error:
            raise UsageError(f"could not {action}: {error.strerror}", _AGAIN) from error

    def _at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _entry(self, path: str) -> Entry | None:
        file = self._at(path)
        try:
            status = file.lstat()
            if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
                raise UsageError(f"{file} is neither a file nor a folder", "move it away")
            if stat.S_ISREG(status.st_mode) == (path in _FOLDERS):
                raise UsageError(f"{file} is not what setup writes there", "move it away")
            text = file.read_text(encoding="utf-8") if stat.S_ISREG(status.st_mode) else None
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise UsageError(f"cannot read {file}: permission denied", _ROOT) from error
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {file}: {error}") from error
        owner = f"{_user(status.st_uid)}:{_group(status.st_gid)}" if self.live else ""
        return Entry(text, stat.S_IMODE(status.st_mode), owner)

    def _asked(self, question: str) -> bool:
        # It prints a word, and ends with 0 only for a yes.
        return processes.run(["systemctl", question, "--quiet", plan.SERVICE]).returncode == 0

    def _command(self, argv: tuple[str, ...]) -> None:
        try:
            done = processes.run(argv)
        except FileNotFoundError as error:
            raise UsageError(f"there is no program {argv[0]}", _AGAIN) from error
        if done.returncode:
            raise UsageError(f"{' '.join(argv)} ended with {done.returncode}: {done.last_line}", _AGAIN)

    def _write(self, path: Path, entry: Entry) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.text is None:
            path.mkdir(exist_ok=True)
            path.chmod(entry.mode)
        else:
            # Never readable for others, not even for a moment: its permissions are there before its name is.
            atomic_write(path, entry.text, mode=entry.mode, fsync=True)
        if entry.owner:
            self._own(path, *entry.owner.split(":"))

    def _own(self, path: Path, user: str, group: str) -> None:
        try:
            numbers = (pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid)
        except KeyError as error:
            raise UsageError(
                f"{path} cannot be given to {user}:{group}, whom this machine does not know", _AGAIN
            ) from error
        os.chown(path, *numbers, follow_symlinks=False)
        if user == plan.USER:
            # The state of a daemon that ran as root.
            for inner in path.rglob("*"):
                os.chown(inner, *numbers, follow_symlinks=False)

    def _remove(self, path: Path) -> None:
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _end_haproxy(self) -> None:
        """HAProxy runs as the user, who could not be removed before it has ended."""
        with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
            pid = int(self._at(_HAPROXY_PID).read_text(encoding="ascii"))
            # The number of a HAProxy that is gone may be another process's by now.
            if not _is_haproxy(pid):
                return
            os.kill(pid, signal.SIGTERM)
            end = time.monotonic() + self.patience
            while time.monotonic() < end:
                if not _is_haproxy(pid):
                    return
                time.sleep(0.05)
            raise UsageError(f"HAProxy (process {pid}) does not end within {self.patience:g} s", _AGAIN)


def check_root() -> None:
    """:raises UsageError: for whoever is not root."""
    if os.geteuid() != 0:
        raise UsageError("setup changes /etc and the machine's users, which only root can", _ROOT)


def check(program: str, *, docker: bool, live: bool) -> None:
    """Find out what keeps the unit from running here.

    :param program: the full path of ``jenkins-proxy``.
    :param docker: whether it needs Docker's engine.
    :param live: whether it is to run on this machine.
    :raises UsageError: with every problem at once.
    """
    problems = Problems()
    if not re.fullmatch(r"[A-Za-z0-9/._+-]+", program):
        problems.keep(UsageError(f"{program!r} cannot stand in a unit of systemd", "install it under a plain path"))
    elif not os.access(program, os.X_OK):
        problems.keep(UsageError(f"{program} is no program", "install jenkins-proxy by pip or pipx"))
    if program.startswith(_HIDDEN):
        problems.keep(
            UsageError(
                f"{program} is in somebody's home, where the service cannot read",
                "install it in /opt: python3 -m venv /opt/jenkins-proxy && "
                "/opt/jenkins-proxy/bin/pip install 'jenkins-proxy[serve]'",
            )
        )
    if live:
        _check_live(problems, program, docker=docker)
    problems.raise_any()


def _check_live(problems: Problems, program: str, *, docker: bool) -> None:
    problems.gather(check_root)
    for what, path in (("the program", program), ("Python", sys.executable)):
        real = os.path.realpath(path)
        # By its own path it is refused anyway.
        if real.startswith(_HIDDEN) and not program.startswith(_HIDDEN):
            problems.keep(
                UsageError(
                    f"{what} that the service starts is {real}, in somebody's home, where it cannot read",
                    "make the environment with a Python outside of homes: /usr/bin/python3 -m venv /opt/jenkins-proxy",
                )
            )
    if not processes.find("haproxy", {"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}):
        problems.keep(
            UsageError("there is no program haproxy", "install HAProxy 2.6 or newer: apt-get install haproxy")
        )
    if docker and not _known("docker", grp.getgrnam):
        problems.keep(
            UsageError(
                "no Consul is named, and there is no group docker by which the daemon could use the engine",
                "name a Consul with --consul URL, or install Docker",
            )
        )


def _is_haproxy(pid: int) -> bool:
    return b"haproxy" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]


def _known(name: str, look_up: Callable[[str], object]) -> bool:
    try:
        look_up(name)
    except KeyError:
        return False
    return True


def _user(number: int) -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(number).pw_name
    return str(number)


def _group(number: int) -> str:
    with contextlib.suppress(KeyError):
        return grp.getgrgid(number).gr_name
    return str(number)

"""Which actions bring a machine to what ``setup`` promises, or take it away: decided from what was found there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

USER = "jenkins-proxy"
SERVICE = "jenkins-proxy"
UNIT = "/etc/systemd/system/jenkins-proxy.service"
DROP_IN = UNIT + ".d"
SETTINGS = "/etc/jenkins-proxy"
ENVIRONMENT = SETTINGS + "/environment"
STATE = "/var/lib/jenkins-proxy"
ROOT = "root"

_PROGRAM = "/usr/bin/env jenkins-proxy "
_DOCKER = "SupplementaryGroups=docker"
_CONSUL = "CONSUL_HTTP_ADDR"
_TEXT = """\
# Settings and secrets of `jenkins-proxy serve`, as NAME=value: read by systemd, readable by root alone.
# After a change: systemctl restart jenkins-proxy, which loses no request.

# Consul; without it the daemon is the registry itself, and Docker's engine its source.
{consul}

# Where users connect and where the API listens, as options of `jenkins-proxy serve`.
#JENKINS_PROXY_SERVE_OPTIONS=--bind *:80 --listen 127.0.0.1:8081

# Asked for by the API beyond loopback. `openssl rand -hex 32` makes one.
#JENKINS_PROXY_TOKEN=
"""


@dataclass(frozen=True)
class Entry:
    """A file or a folder that is there.

    :ivar text: what is in a file, and None for a folder.
    :ivar mode: its permissions.
    :ivar owner: ``user:group``; empty where owners do not count.
    """

    text: str | None
    mode: int
    owner: str


@dataclass(frozen=True)
class Found:
    """What a machine has of an installation.

    :ivar entries: files and folders by path, of those that ``setup`` writes.
    :ivar others: paths in the settings' folder that ``setup`` has not written.
    :ivar user: whether the user is there.
    :ivar group: whether the user's group is there, which may outlive the user.
    :ivar live: whether this is the machine that runs, and not a folder that becomes one.
    :ivar systemd: whether systemd runs it.
    :ivar enabled: whether systemd starts the service with the machine.
    :ivar active: whether the service runs, which it does on after its unit is gone.
    """

    entries: Mapping[str, Entry] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    user: bool = False
    group: bool = False
    live: bool = True
    systemd: bool = True
    enabled: bool = False
    active: bool = False


@dataclass(frozen=True)
class Command:
    """A program to run."""

    argv: tuple[str, ...]

    def __str__(self) -> str:
        return "run " + " ".join(self.argv)


@dataclass(frozen=True)
class Write:
    """A file to write, or a folder to make where ``text`` is None; with its permissions and its owner."""

    path: str
    entry: Entry

    def __str__(self) -> str:
        what = "make folder" if self.entry.text is None else "write file"
        owner = f", {self.entry.owner}" if self.entry.owner else ""
        return f"{what} {self.path} (mode {self.entry.mode:04o}{owner})"


@dataclass(frozen=True)
class EndHaproxy:
    """HAProxy, which goes on serving after its daemon, is ended."""

    def __str__(self) -> str:
        return f"end the HAProxy of {STATE}"


@dataclass(frozen=True)
class Remove:
    """A file, or a folder with all in it, to remove."""

    path: str

    def __str__(self) -> str:
        return f"remove {self.path}"


Action = Command | Write | EndHaproxy | Remove


def environment(consul: str) -> str:
    """The text of the settings.

    :param consul: Consul's URL; empty for the embedded registry.
    """
    return _TEXT.format(consul=f"{_CONSUL}={consul}" if consul else f"#{_CONSUL}=http://consul:8500")


def consul_of(text: str) -> str:
    """Consul's URL in settings; empty where they name none."""
    found = re.findall(rf"^{_CONSUL}=(.*)$", text, re.MULTILINE)
    return str(found[-1]).strip().strip("'\"") if found else ""


def unit(template: str, program: str, *, docker: bool) -> str:
    """The unit for this machine.

    :param template: the unit of ``resources/environments/systemd``.
    :param program: the full path of ``jenkins-proxy``.
    :param docker: whether the daemon may use Docker's engine, as the embedded registry has to.
    """
    text = template.replace(_PROGRAM, f"{program} ")
    return text.replace("AmbientCapabilities=", f"{_DOCKER}\nAmbientCapabilities=") if docker else text


def install(found: Found, template: str, program: str, consul: str) -> tuple[Action, ...]:
    """What is to do until the machine runs the daemon; nothing where it does already.

    :param consul: Consul's URL for settings that are written now; what stands in settings that are there stays.
    """
    there = found.entries.get(ENVIRONMENT)
    settings = environment(consul) if there is None or there.text is None else there.text
    wanted = {
        SETTINGS: Entry(None, 0o750, f"{ROOT}:{USER}"),
        ENVIRONMENT: Entry(settings, 0o600, f"{ROOT}:{ROOT}"),
        STATE: Entry(None, 0o750, f"{USER}:{USER}"),
        UNIT: Entry(unit(template, program, docker=not consul_of(settings)), 0o644, f"{ROOT}:{ROOT}"),
    }
    writes = tuple(_writes(found, wanted))
    if not found.live:
        return writes
    commands = () if found.user else (_user(found),)
    return (*commands, *writes, *_start(found, changed=UNIT in [write.path for write in writes]))


def undo(found: Found) -> tuple[Action, ...]:
    """What is to do until nothing of an installation is left."""
    return tuple(_undo(found))


def foreign(found: Found) -> tuple[str, ...]:
    """What people have put into the settings' folder and beside the unit, which only ``--purge`` may take."""
    there = found.entries.get(ENVIRONMENT)
    text = (there.text if there else None) or ""
    changed = text and text != environment(consul_of(text))
    return (*([ENVIRONMENT] if changed else []), *found.others, *([DROP_IN] if DROP_IN in found.entries else []))


def _writes(found: Found, wanted: Mapping[str, Entry]) -> Iterator[Write]:
    for path, entry in wanted.items():
        right = entry if found.live else Entry(entry.text, entry.mode, "")
        if found.entries.get(path) != right:
            yield Write(path, right)


def _user(found: Found) -> Command:
    group = ("--gid", USER) if found.group else ("--user-group",)
    words = ("--system", *group, "--no-create-home", "--home-dir", STATE, "--shell", "/usr/sbin/nologin")
    return Command(("useradd", *words, USER))


def _start(found: Found, *, changed: bool) -> Iterator[Command]:
    if not found.systemd:
        return
    if changed:
        yield Command(("systemctl", "daemon-reload"))
    if not (found.enabled and found.active):
        yield Command(("systemctl", "enable", "--now", SERVICE))
    if found.active and changed:
        yield Command(("systemctl", "restart", SERVICE))


def _undo(found: Found) -> Iterator[Action]:
    units = [path for path in (UNIT, DROP_IN) if path in found.entries]
    told = found.live and found.systemd and (UNIT in units or found.active)
    if told:
        yield Command(("systemctl", "disable", "--now", SERVICE))
    yield from map(Remove, units)
    if told:
        yield Command(("systemctl", "daemon-reload"))
    if found.live and STATE in found.entries:
        yield EndHaproxy()
    for path in (STATE, SETTINGS):
        if path in found.entries:
            yield Remove(path)
    if found.live and found.user:
        yield Command(("userdel", USER))

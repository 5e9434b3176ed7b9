"""The shared library in Jenkins: registered by the script console, or as configuration as code to hand over."""

from __future__ import annotations

from dataclasses import dataclass

from jenkins_proxy.errors import JenkinsServerError
from jenkins_proxy.seeding import render
from jenkins_proxy.seeding.jenkins_server import JenkinsServer, Refused
from jenkins_proxy.seeding.plan import CHANGE, CREATE, KEEP, REFUSE

_FIXED = "fixed"
_STEP = "descriptorByName/org.jenkinsci.plugins.workflow.libs.LibraryStep"
_CONFIGURATION = "descriptorByName/org.jenkinsci.plugins.workflow.libs.LibraryConfiguration"


@dataclass(frozen=True)
class Library:
    """A shared library.

    :ivar name: as ``@Library`` names it.
    :ivar version: the default one: a tag, a branch or a commit.
    :ivar remote: the address of its git repository.
    :ivar credentials: the id of the credentials that read it; empty leaves those of a library that is there.
    :ivar named: whether jobs name the version, and do not take the default one.
    """

    name: str
    version: str
    remote: str
    credentials: str = ""
    named: bool = True


@dataclass(frozen=True)
class Registered:
    """What became of a library.

    :ivar symbol: ``+`` it is new, ``~`` it differs, ``=`` it is there; empty when the user may not, who then needs
        somebody to apply :func:`as_code`.
    :ivar changes: for ``~``, what differs: ``version 0.9.0 -> 1.0.0``.
    :ivar compared: False where this user sees no more of it than that it is there.
    :ivar fixed: whether its settings let no job name another version than theirs, nor the same.
    """

    symbol: str
    changes: tuple[str, ...] = ()
    compared: bool = True
    fixed: bool = False

    def line(self, library: Library) -> str:
        """The line of the plan."""
        if self.changes:
            return f"{self.symbol} library {library.name}: {', '.join(self.changes)}"
        if not self.compared:
            return f"{self.symbol} library {library.name}"
        return f"{self.symbol} library {library.name}@{library.version} from {library.remote}"


def register(server: JenkinsServer, library: Library, *, dry_run: bool) -> Registered:
    """Make the library a global, trusted one; of one that is there only what differs is changed.

    :raises JenkinsServerError: when Jenkins fails or has no shared libraries, and when a library of that name is read
        in a manner that an address cannot change.
    """
    script = render.text("library.groovy.j2", **vars(library), dry_run=dry_run)
    try:
        answer = server.run_script(script)
    except Refused as error:
        if error.status != 403:
            raise
        return Registered(KEEP, compared=False) if library.name in visible(server, library.name) else Registered("")
    symbol, *lines = answer.splitlines() or [""]
    if symbol == REFUSE:
        raise JenkinsServerError(
            f"the library {library.name} in Jenkins at {server.url} is read by {' '.join(lines)}, which "
            "--library does not replace",
            "change it under Manage Jenkins > System, or give it another name with the seed file's library",
        )
    if symbol not in (CREATE, CHANGE, KEEP):
        raise JenkinsServerError(
            f"cannot register the library {library.name} in Jenkins at {server.url}: {symbol[:300]}",
            "it needs the plugins Pipeline: Groovy Libraries and Git",
        )
    return Registered(symbol, tuple(line for line in lines if line != _FIXED), fixed=_FIXED in lines)


def suggested(server: JenkinsServer, name: str, place: str = "") -> list[str]:
    """The libraries whose names begin so, which Jenkins suggests to everybody who may read jobs' configurations.

    :param place: of a folder, as its address begins; empty for the top.
    :raises Refused: it does not suggest any there.
    """
    answer = server.call(
        "GET", f"{place}{_STEP}/autoCompleteIdentifier", params={"value": name}, doing="look for libraries in"
    )
    return [one["name"] for one in server.json(answer)["suggestions"]]


def visible(server: JenkinsServer, name: str) -> list[str]:
    """:func:`suggested` at the top; none where Jenkins does not suggest any."""
    try:
        return suggested(server, name)
    except Refused:
        return []


def as_code(library: Library) -> str:
    """The library as YAML for Jenkins' Configuration as Code plugin."""
    return render.text("library.yaml.j2", **vars(library))

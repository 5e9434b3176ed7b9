"""The shared library in Jenkins: registered by the script console, or as configuration as code to hand over."""

from __future__ import annotations

from dataclasses import dataclass

from jenkins_proxy.errors import JenkinsServerError
from jenkins_proxy.seeding import render
from jenkins_proxy.seeding.jenkins_server import JenkinsServer, Refused
from jenkins_proxy.seeding.plan import CHANGE, CREATE, KEEP


@dataclass(frozen=True)
class Library:
    """A shared library.

    :ivar name: as ``@Library`` names it.
    :ivar version: the default one: a tag, a branch or a commit.
    :ivar remote: the address of its git repository.
    """

    name: str
    version: str
    remote: str


def register(server: JenkinsServer, library: Library, *, dry_run: bool) -> str:
    """Make the library a global, trusted one.

    :return: ``+`` it is new, ``~`` it was another one, ``=`` it was there; empty when the user may not, who then
        needs somebody to apply :func:`as_code`.
    :raises JenkinsServerError: when Jenkins fails, or has no shared libraries.
    """
    script = render.text("library.groovy.j2", **vars(library), dry_run=dry_run)
    try:
        answer = server.run_script(script)
    except Refused as error:
        if error.status != 403:
            raise
        return ""
    if answer not in (CREATE, CHANGE, KEEP):
        reason = answer.partition("\n")[0][:300]
        raise JenkinsServerError(
            f"cannot register the library {library.name} in Jenkins at {server.url}: {reason}",
            "it needs the plugins Pipeline: Groovy Libraries and Git",
        )
    return answer


def as_code(library: Library) -> str:
    """The library as YAML for Jenkins' Configuration as Code plugin."""
    return render.text("library.yaml.j2", **vars(library))

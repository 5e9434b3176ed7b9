"""The node that the jobs run on: anything with the label, or an inbound agent that is made for it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from jenkins_proxy.errors import JenkinsServerError
from jenkins_proxy.seeding.jenkins_server import JenkinsServer, Refused

HOME = "/home/jenkins/agent"
"""Where the node that is made works, which its agent's user has to have."""


@dataclass(frozen=True)
class Agent:
    """How things stand with a label.

    :ivar created: whether the node was made just now, or would be in a dry run.
    :ivar ready: whether a job for the label can run.
    :ivar advice: what is left to do.
    """

    created: bool
    ready: bool
    advice: str


def ensure(server: JenkinsServer, label: str, *, dry_run: bool) -> Agent:
    """See whether anything has the label; if nothing does, make a node of that name for an agent to connect as.

    :raises JenkinsServerError: when Jenkins refuses, and for a node of that name that people made for something else.
    """
    agent = look(server, label)
    if agent.created and not dry_run:
        make(server, label)
    return agent


def look(server: JenkinsServer, label: str) -> Agent:
    """What has the label, or what has to be done for it. Jenkins counts a node's own name among its labels.

    :raises JenkinsServerError: when Jenkins refuses, and for a node of that name that people made for something else.
    """
    answer = server.call(
        "GET",
        f"label/{quote(label, safe='')}/api/json",
        doing=f"look for the label {label} in",
        params={"tree": "offline,nodes[nodeName],clouds[name]"},
    )
    about = server.json(answer)
    if about["nodes"] or about["clouds"]:
        names = ", ".join(node["nodeName"] or "the built-in node" for node in about["nodes"]) or "a cloud"
        offline = about["offline"] and not about["clouds"]
        return Agent(False, not offline, f"the label {label} is on {names}" + (", which is offline" if offline else ""))
    page = f"{server.url}/computer/{quote(label, safe='')}/"
    if _exists(server, label):
        raise JenkinsServerError(
            f"Jenkins at {server.url} has a node {label}, without the label {label}",
            f"give it the label under {page}configure, or give the label to another node",
        )
    return Agent(True, False, f"connect an agent to the node {label}, with the command that {page} shows")


def make(server: JenkinsServer, label: str) -> None:
    """Make the node that :func:`look` would create.

    :raises JenkinsServerError: when Jenkins refuses.
    """
    try:
        server.create_agent(label, HOME)
    except JenkinsServerError:
        # Another seed may have made it in this moment.
        if not _exists(server, label):
            raise


def _exists(server: JenkinsServer, name: str) -> bool:
    try:
        server.call("GET", f"computer/{quote(name, safe='')}/api/json", doing=f"look for the node {name} in")
    except Refused as error:
        if error.status != 404:
            raise
        return False
    return True

"""The node that the jobs run on: anything with the label, or an inbound agent that is made for it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from urllib.parse import quote

from jenkins_proxy.errors import JenkinsServerError
from jenkins_proxy.seeding import config_xml
from jenkins_proxy.seeding.jenkins_server import JenkinsServer, Refused

HOME = "/home/jenkins/agent"
"""Where the node that is made works, which its agent's user has to have."""


@dataclass(frozen=True)
class Agent:
    """How things stand with a label.

    :ivar created: whether the node was made just now, or would be in a dry run.
    :ivar ready: whether a job for the label can run.
    :ivar advice: what is left to do.
    :ivar before: the config.xml of a node of that name that people made without the label, which it gets.
    """

    created: bool
    ready: bool
    advice: str
    before: bytes = field(default=b"", repr=False)


def ensure(server: JenkinsServer, label: str, *, dry_run: bool) -> Agent:
    """See whether anything has the label; if nothing does, make a node of that name for an agent to connect as.

    :raises JenkinsServerError: when Jenkins refuses, and for a node of that name that people made for something else.
    """
    agent = look(server, label)
    if not dry_run:
        make(server, label, agent)
    return agent


def look(server: JenkinsServer, label: str, *, adopt: bool = False) -> Agent:
    """What has the label, or what has to be done for it.

    :param adopt: give the label to a node of that name that people made.
    :raises JenkinsServerError: when Jenkins refuses; without ``adopt``, also for such a node.
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
    if not _exists(server, label):
        return Agent(True, False, f"connect an agent to the node {label}, with the command that {page} shows")
    if not adopt:
        raise JenkinsServerError(
            f"Jenkins at {server.url} has a node {label}, without the label {label}",
            f"give it the label under {page}configure, or give the label to another node; --adopt gives it the label "
            "and keeps its config.xml",
        )
    config = server.call("GET", f"{_path(label)}/config.xml", doing=f"read the node {label} from").content
    return Agent(False, True, f"the label {label} is on {label}, if its agent is connected", config)


def make(server: JenkinsServer, label: str, agent: Agent) -> None:
    """Do what :func:`look` has found: make the node, or give the label to one that is there.

    :raises JenkinsServerError: when Jenkins refuses.
    """
    if agent.created:
        try:
            server.create_agent(label, HOME)
        except JenkinsServerError:
            # Another seed may have made it in this moment.
            if not _exists(server, label):
                raise
    elif agent.before:
        server.call(
            "POST",
            f"{_path(label)}/config.xml",
            data=labelled(agent.before, label).encode("utf-8"),
            headers={"Content-Type": "text/xml; charset=utf-8"},
            doing=f"change the node {label} in",
        )


def labelled(config: bytes, label: str) -> str:
    """A node's config.xml with one label more."""
    tree = config_xml.parse(config)
    element = tree.find("label")
    if element is None:
        element = ET.SubElement(tree, "label")
    element.text = " ".join([*(element.text or "").split(), label])
    return config_xml.serialise(tree)


def _path(name: str) -> str:
    return f"computer/{quote(name, safe='')}"


def _exists(server: JenkinsServer, name: str) -> bool:
    try:
        server.call("GET", f"{_path(name)}/api/json", doing=f"look for the node {name} in")
    except Refused as error:
        if error.status != 404:
            raise
        return False
    return True

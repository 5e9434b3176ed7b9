"""A node's name that the catalog keeps for another node: what is registered at its agent is then at no other place.

An agent makes an ID of its node at its first start and keeps it with its data. One that has lost them comes back with
another ID, and Consul's servers refuse the name while the node of before counts as alive. The agent goes on taking
entries, and says why nobody sees them in its own log alone ("Node name … is reserved by node …").
"""

from __future__ import annotations

from jenkins_proxy.clients.consul.models import Node


def reserved(agent: Node, catalog: Node | None) -> tuple[str, str] | None:
    """What to say, and the next step, where an agent's node is not the one of its name in the catalog; else None.

    :param agent: what the agent says of its node.
    :param catalog: the catalog's node of that name. None, where there is none or the token may not see it, is no proof.
    """
    if catalog is None or not (agent.id and catalog.id) or agent.id.lower() == catalog.id.lower():
        return None
    return (
        f"the Consul agent of {agent.name} has the node ID {agent.id}, and the catalog keeps that name for "
        f"{catalog.id}: nobody sees what is registered at this agent",
        "its data are new or another agent has its name: if the old node is gone, take it out of the catalog by "
        f"""`curl -X PUT …:8500/v1/catalog/deregister -d '{{"Node": "{agent.name}"}}'`, or start the agent with """
        f"-node-id {catalog.id}",
    )

"""The embedded registry beside a real Consul: requests that both are sent, and their answers made alike.

What differs by nature (indexes, UUIDs, the node's name, clocks) is made the same before the answers are compared.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

import requests

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Step(NamedTuple):
    """A request. ``{session}`` in the path is the session that was made last."""

    method: str
    path: str
    body: object = None


def get(path):
    return Step("GET", path)


def put(path, body=None):
    return Step("PUT", path, body)


def delete(path):
    return Step("DELETE", path)


REGISTER = "agent/service/register"
PLAIN = put(REGISTER, {"ID": "d1", "Name": "diff-a", "Port": 80})
FULL = put(
    REGISTER,
    {
        "ID": "d2",
        "Name": "diff-a",
        "Port": 81,
        "Address": "1.1.1.1",
        "Tags": ["t", "u"],
        "Meta": {"k": "<v>&"},
        "Check": {"TTL": "10m", "Status": "passing", "Notes": "n", "Name": "nm"},
    },
)
TWO_CHECKS = put(
    REGISTER,
    {
        "ID": "d3",
        "Name": "diff-a",
        "Port": 82,
        "Address": "fd00::1",
        "Checks": [{"TTL": "10m"}, {"CheckID": "diff-own", "TTL": "10m", "Status": "warning"}],
    },
)
GONE = [put(f"agent/service/deregister/{name}") for name in ("d1", "d2", "d3", "d4")]


def play(url: str, steps: list[Step]) -> list[dict]:
    node = requests.get(f"{url}/v1/agent/self").json()["Config"]
    session, answers = "", []
    for step in steps:
        body = step.body if isinstance(step.body, str | bytes | None) else json.dumps(step.body)
        path = step.path.replace("NODE^", node["NodeName"].upper()).replace("NODE", node["NodeName"])
        path = path.replace("{session}", session)
        answer = requests.request(
            step.method, f"{url}/v1/{path}", data=body.encode() if isinstance(body, str) else body
        )
        if step.path == "session/create" and answer.status_code == 200:
            session = answer.json()["ID"]
        answers.append(alike(answer, step, node["NodeName"]))
    return answers


def alike(answer: requests.Response, step: Step, node: str) -> dict:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    kept = {
        name: headers.get(name)
        for name in (
            "allow",
            "content-type",
            "x-content-type-options",
            "content-security-policy",
            "x-consul-knownleader",
        )
    }
    if answer.status_code == 500:
        kept["x-consul-knownleader"] = None  # Consul does not know it in an answer that failed half-way
    else:
        kept["indexed"] = "x-consul-index" in headers
    text = UUID.sub("UUID", answer.text).replace(f'"{node}"', '"NODE"')
    text = re.sub(r'("(?:Create|Modify)Index":) ?\d+', r"\1 0", text)
    text = re.sub(r'("ContentHash":) ?"[0-9a-f]{16}"', r'\1 "HASH"', text)
    if kept["content-type"] == "application/json":
        data = without_own(json.loads(text), step.path)
        # A development agent always writes for people; `?pretty` must do the same.
        text = json.dumps(data, indent=4) if "pretty" not in step.path or "services" in step.path else text
    return {"status": answer.status_code, "body": text, **kept}


def without_own(data, path: str):
    """The answer without what a Consul server registers of itself, and what other tests left there."""

    def foreign(item) -> bool:
        name = item.get("ServiceName") or item.get("Service") or item.get("Name", "")
        return isinstance(name, str) and (name == "consul" or name.startswith("r-"))

    if path.startswith("catalog/services"):
        # Consul gives the tags in any order.
        return {name: sorted(tags) for name, tags in data.items() if name.startswith("diff-") or name == "d4"}
    if path.startswith(("session/list", "session/node")):
        return [item for item in data if item["Name"].startswith("diff-")]
    if path.startswith("catalog/node/") and data:
        return {"Node": data["Node"], "Services": {k: v for k, v in data["Services"].items() if not foreign(v)}}
    if path.startswith("catalog/node-services/"):
        return {"Node": data["Node"], "Services": [item for item in data["Services"] if not foreign(item)]}
    if path.startswith("agent/health/"):
        return in_order(data)
    if path.startswith(("agent/services", "agent/checks")):
        return {key: value for key, value in data.items() if not foreign(value)}
    if isinstance(data, list) and data and isinstance(data[0], dict) and path.startswith("health/"):
        return [item for item in data if not foreign(item)]
    return data


def in_order(health):
    """An agent's health with its checks by their IDs: Consul gives them in any order."""
    for item in health if isinstance(health, list) else [health]:
        if isinstance(item, dict) and item["Checks"]:
            item["Checks"].sort(key=lambda check: check["CheckID"])
    return health

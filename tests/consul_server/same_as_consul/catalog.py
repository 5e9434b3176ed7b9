"""Requests about the catalog, and requests that are wrong for any call."""

from __future__ import annotations

from tests.consul_server.same_as_consul.side_by_side import GONE, REGISTER, Step, get, put

SCENARIOS = {
    "catalog": [
        put(
            "catalog/register",
            {
                "Node": "diff-n",
                "Address": "9.9.9.9",
                "Service": {"ID": "e1", "Service": "diff-e", "Port": 5, "Tags": ["q"]},
                "Check": {"CheckID": "k1", "Name": "kn", "Status": "passing", "ServiceID": "e1"},
            },
        ),
        put(
            "catalog/register",
            {
                "Node": "diff-n",
                "Address": "9.9.9.9",
                "SkipNodeUpdate": True,
                "Checks": [{"Name": "z", "Status": "critical", "Output": "o"}],
            },
        ),
        put("catalog/register", {"Node": "diff-n", "Address": "9.9.9.9", "Check": {"Name": "y", "ServiceID": "nope"}}),
        put("catalog/register", {"Address": "9.9.9.9"}),
        put("catalog/register", {"Node": "diff-m"}),
        get("catalog/node/diff-n"),
        get("health/service/diff-e"),
        get("catalog/service/diff-e"),
        get("health/node/diff-n"),
        get("catalog/nodes"),
        get("catalog/datacenters"),
        put("catalog/deregister", {"Node": "diff-n", "CheckID": "z"}),
        get("health/service/diff-e?passing"),
        put("catalog/deregister", {"Node": "diff-n", "ServiceID": "e1"}),
        get("health/service/diff-e"),
        put("catalog/deregister", {"Node": "diff-n"}),
        put("catalog/deregister", {"Node": "diff-n"}),
        put("catalog/deregister", {}),
        get("catalog/nodes"),
    ],
    "registered whole or not at all": [
        *(
            put("catalog/register", {"Node": "diff-n", "Address": "9.9.9.9", **more})
            for more in (
                {"Service": {"ID": "e1", "Service": "diff-e"}, "Check": {"Name": "k", "ServiceID": "nope"}},
                {"Service": {"ID": "e1", "Service": "diff-e"}, "Check": {"Name": "k", "Node": "other"}},
                {"Service": {"ID": "e1", "Service": "diff-e"}, "Check": {}},
                {"Service": {"ID": "e1"}},
                {"Service": {}},
                {"ID": "short"},
            )
        ),
        get("catalog/node/diff-n"),
        get("health/service/diff-e"),
        *(
            put(REGISTER, {"ID": "d1", "Name": "diff-a", **more})
            for more in (
                {"Weights": {"Passing": 0}},
                {"Weights": {"Passing": 1, "Warning": -1}},
                {"Weights": {"Passing": 65536}},
                {"Checks": [{"TTL": "10m"}, {"TTL": "10m", "OutputMaxSize": -1}]},
                {"Checks": [{"TTL": "10m"}, {"HTTP": "http://127.0.0.1:1"}]},
            )
        ),
        put("agent/check/register", {"Name": "diff-c", "TTL": "10m", "Status": "bogus"}),
        get("agent/services"),
        get("agent/checks"),
    ],
    "letters of any case": [
        put(REGISTER, {"ID": "D1", "Name": "diff-A", "Port": 80, "Tags": ["T", "u"], "Check": {"TTL": "10m"}}),
        put(REGISTER, {"ID": "d2", "Name": "Diff-a", "Port": 81, "Tags": ["t"]}),
        *(
            get(path)
            for path in (
                "catalog/services",
                "catalog/service/DIFF-A",
                "catalog/service/diff-a?tag=U&tag=t",
                "health/service/diff-a",
                "health/service/diff-A?passing&tag=T",
                "health/checks/DIFF-a",
                "catalog/node/NODE^",
                "health/node/NODE^",
                "health/state/CRITICAL",
                "agent/service/d1",
                "agent/service/D1",
                "agent/health/service/id/d1",
                "agent/health/service/name/diff-a",
                "agent/health/service/name/diff-A",
            )
        ),
        put("agent/service/deregister/d1"),
        put("agent/service/maintenance/d1?enable=true"),
        get("health/service/diff-a"),
        put("catalog/register", {"Node": "diff-N", "Address": "9.9.9.9", "Service": {"ID": "E1", "Service": "diff-E"}}),
        put(
            "catalog/register",
            {
                "Node": "diff-N",
                "Address": "9.9.9.9",
                "Check": {"CheckID": "K1", "Name": "kn", "Status": "passing", "ServiceID": "e1", "Node": "DIFF-n"},
            },
        ),
        get("health/service/diff-e"),
        get("catalog/node/DIFF-N"),
        get("catalog/node-services/DIFF-N"),
        put("session/create", {"Node": "diff-N", "Checks": ["k1"], "Name": "diff-s"}),
        get("session/node/DIFF-n"),
        put("catalog/deregister", {"Node": "DIFF-n", "CheckID": "k1"}),
        get("session/node/DIFF-n"),
        put("catalog/deregister", {"Node": "DIFF-n", "ServiceID": "e1"}),
        get("health/service/diff-e"),
        put("catalog/deregister", {"Node": "DIFF-n"}),
        get("catalog/nodes"),
        put("agent/service/deregister/D1"),
        *GONE,
    ],
    "data centers": [
        get("kv/diff/none?dc="),
        get("catalog/services?dc=nope"),
        get("status/leader?dc=nope"),
        put("kv/diff/x?dc=nope", "v"),
        put("catalog/register", {"Node": "diff-n", "Address": "9.9.9.9", "Datacenter": "nope"}),
        put("catalog/deregister", {"Node": "diff-n", "Datacenter": "nope"}),
        get("agent/services?dc=nope"),
        get("agent/service/nope?dc=nope"),
        # Consul does not filter these either.
        get("catalog/services?filter=Bogus"),
        get("kv/diff/none?filter=Bogus"),
    ],
    "missing names": [
        get(path)
        for path in (
            "health/service/",
            "health/node/",
            "health/checks/",
            "health/state/",
            "catalog/service/",
            "catalog/node/",
        )
    ],
    "wrong method": [
        get(REGISTER),
        put("status/leader"),
        Step("POST", "kv/x"),
        Step("OPTIONS", "kv/x"),
        Step("HEAD", "kv/x"),
        get("bogus"),
        get(""),
    ],
}

"""The embedded registry answers as a real Consul does: status, headers, keys in their order, and error texts.

Each scenario is sent to both, request by request. What differs by nature (indexes, UUIDs, the node's name, clocks) is
made the same before the answers are compared.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

import pytest
import requests

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NOBODY = "11111111-1111-1111-1111-111111111111"


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
READS = [
    get(f"{path}")
    for path in (
        "agent/services",
        "agent/checks",
        "catalog/services",
        "catalog/service/diff-a",
        "catalog/service/diff-a?tag=t",
        "catalog/service/diff-a?tag=t&tag=u",
        "catalog/service/diff-a?tag=none",
        "catalog/service/diff-nope",
        "catalog/nodes",
        "catalog/node/NODE",
        "catalog/node/nope",
        "health/service/diff-a",
        "health/service/diff-a?passing",
        "health/service/diff-a?passing=1",
        "health/service/diff-a?passing=false",
        "health/service/diff-a?passing&tag=u",
        "health/service/diff-nope",
        "health/node/NODE",
        "health/node/nope",
        "health/checks/diff-a",
        "health/checks/diff-nope",
        "health/state/any",
        "health/state/warning",
        "health/state/critical",
        "health/state/bogus",
    )
]

SCENARIOS = {
    "services": [PLAIN, FULL, TWO_CHECKS, *READS, *GONE, *READS],
    "pretty": [
        FULL,
        get("health/service/diff-a?pretty"),
        get("catalog/services?pretty"),
        get("catalog/service/diff-nope?pretty"),
        *GONE,
    ],
    "registered again": [
        FULL,
        put("agent/check/fail/service:d2"),
        FULL,
        get("health/checks/diff-a"),
        put(REGISTER, {"ID": "d2", "Name": "diff-a", "Port": 9, "Tags": ["t", "u"]}),
        get("health/service/diff-a"),
        put(REGISTER + "?replace-existing-checks=true", {"ID": "d2", "Name": "diff-a", "Port": 9}),
        get("health/service/diff-a"),
        # With a check, Consul would go on to give the entry's former name in it.
        put(REGISTER, {"ID": "d2", "Name": "diff-b", "Port": 9, "Tags": ["w"], "Weights": {"Passing": 3}}),
        get("health/service/diff-b"),
        get("health/service/diff-a"),
        get("catalog/services"),
        *GONE,
        get("health/service/diff-b"),
    ],
    "registration in other words": [
        put(REGISTER, {"id": "d1", "name": "diff-a", "port": 1, "tagged_addresses": None, "enable_tag_override": True}),
        put(REGISTER, {"Name": "d4", "Check": {"ttl": "10m", "deregister_critical_service_after": "90m"}}),
        put(REGISTER, {"Name": "d4", "Check": {}}),
        get("agent/services"),
        get("agent/checks"),
        put("agent/service/deregister/nope"),
        *GONE,
    ],
    "half a character": [
        put(
            REGISTER,
            {
                "ID": "d1",
                "Name": "diff-\ud800",
                "Tags": ["\udc00x", "\ud83d\ude00"],
                "Meta": {"k": "\ud83d."},
                "Check": {"Name": "\ud800\ud800", "TTL": "10m"},
            },
        ),
        get("agent/services"),
        get("agent/checks"),
        get("catalog/services"),
        get("health/service/diff-\ufffd"),
        put(REGISTER, {"Name": "x", "\ud800": 1}),
        *GONE,
    ],
    "registration refused": [
        put(REGISTER, body)
        for body in (
            "{",
            "",
            {"Name": ""},
            {"Name": "x", "Bogus": 1},
            {"Name": "x", "Port": "80"},
            {"Name": "x", "Tags": "a"},
            {"Name": "x", "Address": "0.0.0.0"},
            {"Name": "x", "Check": {"HTTP": "http://x"}},
            {"Name": "x", "Check": {"TCP": "x:1", "Interval": "0s"}},
            {"Name": "x", "Check": {"TTL": "abc"}},
            {"Name": "x", "Check": {"Status": "bogus", "TTL": "3s"}},
            {"Name": "x", "Check": {"Name": "no kind"}},
            {"Name": "x", "Check": {"TTL": "3s", "HTTP": "http://x", "Interval": "3s"}},
            {"Name": "x", "Check": {"Args": ["true"], "Interval": "10s"}},
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
    "checks": [
        PLAIN,
        put("agent/check/register", {"Name": "diff-node", "TTL": "10m"}),
        put("agent/check/register", {"Name": "diff-c", "ServiceID": "d1", "TTL": "10m"}),
        put("agent/check/register", {"Name": "x", "ServiceID": "nope", "TTL": "10m"}),
        put("agent/check/register", {"TTL": "10m"}),
        put("agent/check/register", {"Name": "x"}),
        put("agent/check/pass/diff-c?note=hello"),
        get("health/checks/diff-a"),
        put("agent/check/warn/diff-c?note=hm"),
        get("health/checks/diff-a"),
        put("agent/check/fail/diff-c"),
        get("health/checks/diff-a"),
        put("agent/check/update/diff-c", {"Status": "passing", "Output": "yo"}),
        get("health/checks/diff-a"),
        put("agent/check/update/diff-c", {"Status": "bogus"}),
        put("agent/check/update/nope", {"Status": "passing"}),
        put("agent/check/pass/nope"),
        get("health/service/diff-a"),
        put("agent/check/deregister/diff-c"),
        put("agent/check/deregister/diff-node"),
        put("agent/check/deregister/nope"),
        get("health/service/diff-a"),
        *GONE,
    ],
    "maintenance": [
        PLAIN,
        put("agent/service/maintenance/d1"),
        put("agent/service/maintenance/d1?enable=foo"),
        put("agent/service/maintenance/nope?enable=true"),
        put("agent/service/maintenance/d1?enable=true&reason=why"),
        get("health/service/diff-a"),
        get("health/service/diff-a?passing"),
        put("agent/service/maintenance/d1?enable=true&reason=again"),
        get("health/checks/diff-a"),
        put("agent/service/maintenance/d1?enable=false"),
        get("health/service/diff-a?passing"),
        put("agent/service/maintenance/d1?enable=false"),
        put("agent/maintenance?enable=true"),
        get("health/service/diff-a"),
        put("agent/maintenance?enable=0"),
        get("health/service/diff-a?passing"),
        *GONE,
    ],
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
    "keys": [
        put("kv/", "v"),
        put("kv/diff/e", ""),
        get("kv/diff/e"),
        get("kv/diff/e?raw"),
        put("kv/diff/f/g?flags=42", "vv"),
        get("kv/diff/f/g"),
        get("kv/diff/f/g?raw"),
        get("kv/diff/f/g?pretty"),
        put("kv/diff/ü b", "ü"),
        get("kv/diff/ü b"),
        get("kv/diff?recurse"),
        get("kv/diff?keys"),
        get("kv/diff/?keys&separator=/"),
        get("kv/diff?keys&separator=/"),
        get("kv/diff/none?keys"),
        get("kv/diff/none?recurse"),
        get("kv/diff/none"),
        put("kv/diff/f/g?cas=1", "x"),
        put("kv/diff/f/g?cas=0", "x"),
        put("kv/diff/new?cas=0", "x"),
        put("kv/diff/new?cas=7", "y"),
        get("kv/diff/new?raw"),
        put("kv/diff/f/g?cas=abc", "x"),
        put("kv/diff/f/g?flags=abc", "x"),
        put("kv/diff/f/g?cas=0&acquire=foo", "x"),
        delete("kv/diff/f/g?cas=1"),
        delete("kv/diff/f/g?cas=0"),
        delete("kv/diff/nope?cas=7"),
        delete("kv/diff/f?recurse&cas=1"),
        delete("kv/diff/nope"),
        delete("kv/diff/new"),
        get("kv/diff/new"),
        delete("kv/"),
        delete("kv/diff?recurse"),
        get("kv/diff?recurse"),
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
    "an agent's own view": [
        PLAIN,
        FULL,
        TWO_CHECKS,
        *(
            get(path)
            for path in (
                "agent/service/d1",
                "agent/service/d3?pretty",
                "agent/service/nope",
                "agent/service/",
                "agent/health/service/id/d1",
                "agent/health/service/id/d1?format=text",
                "agent/health/service/id/d2",
                "agent/health/service/id/nope",
                "agent/health/service/id/nope?format=text",
                "agent/health/service/id/",
                "agent/health/service/name/nope",
                "agent/health/service/name/nope?format=text",
                "agent/health/service/name/",
                "agent/health/service/name/diff-a?format=text",
                "agent/health/service/bogus",
                "agent/members?segment=x",
            )
        ),
        put("agent/check/warn/service:d2"),
        get("agent/health/service/id/d2"),
        get("agent/health/service/id/d2?format=text"),
        put("agent/service/maintenance/d2?enable=true&reason=why"),
        get("agent/health/service/id/d2?format=text"),
        put("agent/service/maintenance/d2?enable=false"),
        put("agent/maintenance?enable=true"),
        get("agent/health/service/id/d1?format=text"),
        get("agent/health/service/id/d1"),
        put("agent/maintenance?enable=false"),
        *GONE,
        get("agent/health/service/id/d1"),
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
    "numbers": [
        *(
            put(REGISTER, f'{{"ID": "d1", "Name": "diff-a", "Check": {{"HTTP": "http://x", "Interval": {number}}}}}')
            for number in ("NaN", "Infinity", "1e308", "9223372036854775808", "-1", '"-1s"', '"2562048h"', '"１s"')
        ),
        *(
            put(REGISTER, f'{{"ID": "d1", "Name": "diff-a", "Check": {{"TTL": {number}}}}}')
            for number in ("NaN", "1e308", "-5", '"9999999h"', '"NaN"')
        ),
        put(REGISTER, '{"ID": "d1", "Name": "diff-a", "Port": NaN}'),
        get("agent/services"),
        put(REGISTER, '{"ID": "d1", "Name": "diff-a", "Port": -1, "Check": {"TTL": "2562047h"}}'),
        put(REGISTER, '{"ID": "d2", "Name": "diff-a", "Port": 4294967296, "Check": {"TCP": "x:1", "Interval": "1h"}}'),
        get("agent/services"),
        *GONE,
        *(
            step
            for delay in ("1e300", "-1", '"-1s"', "61", "1.5", "1e19", "1000", '"2h"')
            for step in (
                put("session/create", f'{{"LockDelay": {delay}}}'),
                get("session/info/{session}"),
                put("session/destroy/{session}"),
            )
        ),
        put("session/create", '{"LockDelay": NaN}'),
        put("session/create", {"TTL": "NaN"}),
        put("session/create", {"TTL": "2562048h"}),
        *(
            get(f"kv/diff/none?{options}")
            for options in (
                "index=99999999999999999999999",
                f"index={'9' * 5000}",
                "index=-1",
                "index=²",
                "index=1&wait=NaN",
                "index=1&wait=9999999h",
            )
        ),
        *(
            put(f"kv/diff/n?{options}", "v")
            for options in (
                "flags=18446744073709551616",
                "flags=18446744073709551615",
                "flags=-1",
                "flags=1e3",
                "flags=",
                "flags=²",
                "cas=",
                "cas=99999999999999999999999",
            )
        ),
        get("kv/diff/n"),
        delete("kv/diff/n"),
    ],
    "signs that are no UTF-8": [
        put(REGISTER, b'{"ID": "d1", "Name": "diff-\xff\xfe"}'),
        put(REGISTER, b"\xff"),
        put(REGISTER, b'\xef\xbb\xbf{"Name": "diff-a"}'),
        get("agent/services"),
        *GONE,
    ],
    "query options": [
        put("kv/diff/o", "v"),
        get("kv/diff/o?index=abc"),
        get("kv/diff/o?index=1&wait=abc"),
        get("kv/diff/o?index=0"),
        get("kv/diff/o?index=1&wait=5"),
        get("kv/diff/o?stale&consistent"),
        get("kv/diff/o?stale"),
        get("kv/diff/o?consistent"),
        get("kv/diff/o?dc=dc1"),
        get("kv/diff/o?dc=nope"),
        delete("kv/diff/o"),
    ],
    "sessions": [
        put("session/create", {"TTL": "15s", "Name": "diff-n", "LockDelay": "3s", "Behavior": "delete"}),
        get("session/info/{session}"),
        get("session/list"),
        get("session/node/NODE"),
        get("session/node/nope"),
        put("session/renew/{session}"),
        put("session/destroy/{session}"),
        put("session/destroy/{session}"),
        get("session/info/{session}"),
        put("session/renew/{session}"),
        get("session/list"),
        put("session/create"),
        get("session/info/{session}"),
        put("session/destroy/{session}"),
        put("session/create", {"LockDelay": 7, "Checks": []}),
        get("session/info/{session}"),
        put("session/destroy/{session}"),
        put("session/create", {"LockDelay": 0}),
        get("session/info/{session}"),
        put("session/destroy/{session}"),
        *(
            put("session/create", body)
            for body in (
                {"Behavior": "x"},
                {"TTL": "abc"},
                {"TTL": "1s"},
                {"TTL": "86401s"},
                {"LockDelay": "abc"},
                {"Node": "nope"},
                {"Checks": ["nope"]},
                "{",
                {"Bogus": 1},
            )
        ),
        put("session/destroy/{session}"),
        put("session/destroy/"),
        put("session/destroy/foo"),
        put("session/renew/"),
        put("session/renew/foo"),
        get("session/info/foo"),
        get(f"session/info/{NOBODY}"),
        put(f"session/renew/{NOBODY}"),
    ],
    "locks": [
        put("kv/diff/l", "0"),
        put("session/create", {"Name": "one", "LockDelay": "0s"}),
        put("kv/diff/l?acquire={session}", "1"),
        get("kv/diff/l"),
        put("kv/diff/l?acquire={session}", "2"),
        get("kv/diff/l"),
        put("kv/diff/l", "3"),
        get("kv/diff/l"),
        put("kv/diff/l?release=foo", "4"),
        put("kv/diff/l?release=", "4"),
        put("kv/diff/l?acquire=foo", "4"),
        put(f"kv/diff/l?acquire={NOBODY}", "4"),
        put("kv/diff/l?release={session}", "5"),
        get("kv/diff/l"),
        put("kv/diff/l?release={session}", "6"),
        put("kv/diff/m?acquire={session}", "1"),
        get("kv/diff/m"),
        put("session/destroy/{session}"),
        get("kv/diff/m"),
        put("session/create", {"Name": "two", "Behavior": "delete", "LockDelay": "0s"}),
        put("kv/diff/l?acquire={session}", "7"),
        get("kv/diff/l"),
        put("session/destroy/{session}"),
        get("kv/diff/l"),
        put("session/create", {"LockDelay": "60s"}),
        put("kv/diff/d?acquire={session}", "8"),
        put("session/destroy/{session}"),
        put("session/create"),
        put("kv/diff/d?acquire={session}", "9"),
        get("kv/diff/d"),
        put("session/destroy/{session}"),
        delete("kv/diff?recurse"),
    ],
}


@pytest.mark.parametrize("steps", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_answers_like_consul(steps, consul_url, embed):
    expected = play(consul_url, steps)
    # One of its own: lists of everything are compared too.
    seen = play(embed().url, steps)
    for step, theirs, ours in zip(steps, expected, seen):
        assert ours == theirs, step


# What Consul refuses with 400. Its texts name Go's own types, and are not compared.
WRONG_TYPES = {
    REGISTER: (
        *(
            f'{{"Name": "diff-a", "{field}": {value}}}'
            for field in ("Tags", "Meta", "Weights", "TaggedAddresses", "Check", "Checks", "Connect", "Proxy")
            for value in ('"x"', "5", "true", "[[]]", "[1]" if field != "Check" else "[]")
        ),
        *(
            f'{{"Name": "diff-a", "{field}": {value}}}'
            for field in ("ID", "Name", "Address", "Kind", "Port", "EnableTagOverride")
            for value in ("[]", "{}", "1.5")
        ),
        *(f'{{"Name": "diff-a", "Port": {value}}}' for value in ("1.0", "1e3", "99999999999999999999", "true", '"1"')),
        *(f'{{"Name": "diff-a", "Meta": {{"k": {value}}}}}' for value in ("1", "[]", "{}", "false")),
        *(
            f'{{"Name": "diff-a", "TaggedAddresses": {{"lan": {value}}}}}'
            for value in ("1", '"x"', "[]", '{"Address": 1}', '{"Port": "x"}', '{"Bogus": 1}')
        ),
        *(
            f'{{"Name": "diff-a", "Weights": {value}}}'
            for value in ('{"Passing": "1"}', '{"Passing": 1.0}', '{"x": 1}')
        ),
        *(
            f'{{"Name": "diff-a", "Check": {{"HTTP": "http://x", "Interval": "10s", "{field}": {value}}}}}'
            for field, value in (
                ("Header", "5"),
                ("Header", "[]"),
                ("Header", '{"a": 1}'),
                ("Header", '{"a": [1]}'),
                ("Header", '{"a": "b"}'),
                ("SuccessBeforePassing", "1.0"),
                ("FailuresBeforeCritical", '"1"'),
                ("OutputMaxSize", "99999999999999999999"),
                ("Method", "5"),
                ("TLSSkipVerify", '"yes"'),
                ("Args", '"x"'),
                ("Name", "[]"),
                ("Timeout", '"x"'),
            )
        ),
        "[]",
        "5",
        '"x"',
        "[" * 100_000,
        '{"a":' * 100_000,
    ),
    "agent/check/register": (
        *(
            f'{{"Name": "diff-c", "TTL": "10m", "{field}": {value}}}'
            for field in ("Notes", "ServiceID", "HTTP", "Args", "Header", "Status")
            for value in ("5", "true")
        ),
        "[]",
        "5",
    ),
    "agent/check/update/nope": ('{"Status": 5}', '{"Status": "passing", "Output": 5}', "[]", '{"Status": []}'),
    "session/create": (
        *(
            f'{{"{field}": {value}}}'
            for field in ("Name", "TTL", "Node", "Behavior", "Checks", "NodeChecks", "ServiceChecks")
            for value in ("5", "true", '{"a": 1}', "[1]" if "Checks" in field else "[]")
        ),
        "[]",
        "5",
    ),
    "catalog/register": (
        *(
            f'{{"Node": "diff-n", "Address": "9.9.9.9", "{field}": {value}}}'
            for field in ("ID", "TaggedAddresses", "NodeMeta", "Service", "Check", "Checks", "SkipNodeUpdate")
            for value in ("5", '"x"' if field != "ID" else "[]", "[5]")
        ),
        *(
            f'{{"Node": "diff-n", "Address": "9.9.9.9", "Service": {{"Service": "diff-e", "{field}": {value}}}}}'
            for field, value in (("Port", '"x"'), ("Tags", "5"), ("Meta", "5"), ("Weights", "5"), ("ID", "5"))
        ),
        *(
            f'{{"Node": "diff-n", "Address": "9.9.9.9", "Check": {{"Name": "k", "{field}": {value}}}}}'
            for field, value in (("ServiceTags", "5"), ("Definition", "5"), ("Status", "5"), ("Output", "[]"))
        ),
        '{"Node": 5}',
        "[]",
    ),
    "catalog/deregister": ('{"Node": 5}', '{"Node": "diff-n", "ServiceID": 5}', "[]", '{"Node": "diff-n", "Bogus": 1}'),
}


@pytest.mark.parametrize("path", WRONG_TYPES)
def test_refuses_the_types_that_consul_refuses(path, consul_url, embed):
    steps = [put(path, body) for body in WRONG_TYPES[path]]
    theirs, ours = play(consul_url, steps), play(embed().url, steps)
    different = [
        (step.body[:80], their["status"], our["status"])
        for step, their, our in zip(steps, theirs, ours)
        if their["status"] != our["status"]
    ]
    assert different == []
    assert {their["status"] for their in theirs} == {400}


@pytest.mark.parametrize(
    "meta", [{"a.b": "x"}, {"": "x"}, {"k": "x" * 513}, {f"k{number}": "x" for number in range(65)}], ids=len
)
def test_takes_metadata_that_consul_refuses(meta, consul_url, embed):
    steps = [put("agent/service/register", {"Name": "diff-meta", "Meta": meta})]
    assert [play(url, steps)[0]["status"] for url in (consul_url, embed().url)] == [400, 200]


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

"""Values of a wrong type, by call. Consul refuses each with 400; its texts name Go's own types and are not compared."""

from __future__ import annotations

from tests.consul_server.same_as_consul.side_by_side import REGISTER

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

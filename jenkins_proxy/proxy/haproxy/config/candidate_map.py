"""The map file that leads requests with a deploy's key to its candidates, and users with a cookie to their instance.

HAProxy's copy changes at run time. Pure.

<hash>                    the backend of the held service
<hash>.id                 the hold's ID
<hash>.count              how many candidates there are
<hash>/<number>           the name of each candidate's server, from 0
<hash>@<host:port>        the same, by the address that the registry has
<backend>/<hash>          the name of the server whose cookie it is: of those that serve, and so of no candidate
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from jenkins_proxy.model import Address
from jenkins_proxy.proxy.haproxy.backend import Backend, KeyedAccess, ServerState
from jenkins_proxy.proxy.haproxy.names import backend_name, server_name

FILE = "candidates.map"
SLOTS = 60
"""How many numbers there are: divisible by most counts of candidates, so that each gets its share."""


def entries(keyed: KeyedAccess | None) -> dict[str, str]:
    """The entries of one hold; none without one."""
    if keyed is None:
        return {}
    key, servers = keyed.key_sha256, keyed.servers
    named = {f"{key}@{address}": server_name(server) for address, server in keyed.candidates.items()}
    return {
        key: backend_name(keyed.route.service),
        f"{key}.id": keyed.hold_id,
        **{f"{key}@{slot}": server_name(servers[slot % len(servers)]) for slot in range(SLOTS if servers else 0)},
        # By the numeric address, too, where the registry has a name.
        **{f"{key}@{server}": server_name(server) for server in servers},
        **named,
    }


def text(backends: Iterable[Backend]) -> str:
    """The file."""
    return "".join(
        f"{key} {value}\n"
        for backend in backends
        if backend.keyed or backend.route.session_type
        for key, value in sorted((entries(backend.keyed) | _cookies(backend)).items())
    )


def cookie_key(service: str, address: Address) -> str:
    """The key of a server, of a route that keeps users at their instance."""
    return f"{backend_name(service)}/{hashlib.sha256(server_name(address).encode()).hexdigest()}"


def _cookies(backend: Backend) -> dict[str, str]:
    if not backend.route.session_type:
        return {}
    serving = backend.addresses(ServerState.SERVING)
    return {cookie_key(backend.route.service, address): server_name(address) for address in serving}


def commands(before: KeyedAccess | None, after: KeyedAccess | None) -> Iterator[str]:
    """For the Runtime API, in order: a request in between meets a candidate that is there, or is refused."""
    old, new = entries(before), entries(after)
    changed = [key for key in new if key in old and old[key] != new[key]]
    # The key is known last and forgotten first.
    for key in _key_last(new.keys() - old.keys()):
        yield f"add map {FILE} {key} {new[key]}"
    for key in _key_last(changed):
        yield f"set map {FILE} {key} {new[key]}"
    for key in reversed(_key_last(old.keys() - new.keys())):
        yield f"del map {FILE} {key}"


def _key_last(keys: Iterable[str]) -> list[str]:
    return sorted(keys, key=lambda key: (len(key), key), reverse=True)

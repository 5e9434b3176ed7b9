"""The backend of a service that a deploy holds: who meets users, who only requests with the key, and who drains. Pure.

An instance that the hold names as serving is proven. Every other one is kept from users: a candidate, or, once the new
ones are promoted, one of before that drains. Only when no proven one can serve do the others: those of before first,
then candidates, for a user is better served by a release that nobody has verified than not at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from jenkins_proxy.model import Address, Instance, Route
from jenkins_proxy.proxy.haproxy.backend import Backend, KeyedAccess, ServerState
from jenkins_proxy.proxy.holds import Hold
from jenkins_proxy.proxy.reconcile.instances import Resolve


def users_route(route: Route | None, hold: Hold | None) -> Route | None:
    """The route that users have; None before a first deploy is promoted."""
    return hold.route if hold and hold.promoted else route


def held_backend(
    route: Route | None,
    hold: Hold,
    instances: Iterable[Instance],
    resolve: Resolve,
    *,
    down: Collection[Address] = (),
    not_ready: Collection[Address] = (),
) -> Backend:
    """The backend of a held service.

    :param route: the one that is stored; None where there is none.
    :param instances: those that may serve: neither critical nor drained.
    :param down: the servers that HAProxy reports down.
    :param not_ready: the instances that have not answered yet.
    """
    proven, candidates, before = [], [], []
    for instance in instances:
        if instance.address in hold.serving:
            proven.append(instance.address)
        elif hold.promoted and not hold.is_candidate(instance.address):
            before.append(instance.address)
        else:
            candidates.append(instance.address)
    numeric = {address: tuple(resolve(address)) for address in (*proven, *candidates, *before)}

    def servers(addresses: Iterable[Address]) -> set[Address]:
        return {server for address in addresses for server in numeric[address]}

    serving = servers(proven)
    # Before a first deploy is promoted there are no users to be served.
    if users_route(route, hold) and not serving - frozenset(down):
        ready = [address for address in candidates if address not in not_ready]
        serving |= servers(before) or servers(ready) or servers(candidates)
    states = dict.fromkeys(servers(candidates), ServerState.CANDIDATE) | dict.fromkeys(serving, ServerState.SERVING)
    keyed = {own: numeric[own][0] for own in (*proven, *candidates) if hold.is_candidate(own) and numeric[own]}
    return _backend(route, hold, states, keyed)


def restored_backend(route: Route | None, hold: Hold, states: Mapping[Address, ServerState]) -> Backend:
    """The backend while the registry has not reported: the servers of before in the states of before."""
    keyed = {address: address for address in states if hold.is_candidate(address)}
    return _backend(route, hold, states, keyed)


def _backend(
    route: Route | None, hold: Hold, states: Mapping[Address, ServerState], keyed: Mapping[Address, Address]
) -> Backend:
    users = users_route(route, hold)
    access = KeyedAccess(hold.id, hold.key_sha256, hold.route, keyed)
    return Backend(users or hold.route, states, access, public=users is not None)

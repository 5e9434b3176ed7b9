"""How long the parts of a deployment may take: one value, passed in, so that a test can have less patience."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

ALL, ANY = "all", "any"
PROXIES = (ALL, ANY)
GLANCE = 0.5
"""Seconds that the other proxies get where nobody waits for them: who is as fast as the asked one is not named."""


@dataclass(frozen=True)
class Timing:
    """Limits and pauses, all in seconds. The command's own ``--timeout`` stands above most of them.

    :ivar revert: for a revert. It has time of its own, as the command's may be what ran out.
    :ivar lead_back: for the revert's first call of the proxy, before the containers are looked after.
    :ivar registry_back: for a registry that does not answer, within a revert and about a lock that was lost.
    :ivar put_route: for one call of the proxy that changes a route.
    :ivar proxies: for every live proxy to serve a change; ``proxies_promoted`` where users are let in. Who has not by
        then is named, and the command goes on.
    :ivar drain: for the requests in flight of an instance that is drained; it gets ``drain_min`` of that whatever time
        is left. Of that ``drain_streams`` for connections that never end by themselves: websockets and streams.
    :ivar lock_ttl: after which the registry gives up a session that is not renewed. Consul allows no less than 10 s,
        and may take twice as long to notice.
    :ivar lock_renew: between two renewals.
    :ivar probe: for the proof through the users' door; from the first error with which a new instance answers, this
        and a candidate's own check get ``probe_error``. One answer gets ``probe_answer``.
    :ivar poll: between two looks at the engine while the registry is waited for: only the registry reports changes.
    :ivar progress: between two lines that say how far a wait is.
    :ivar stale_grace: within which the entry of a removed container leaves the registry, unless the registrator has
        missed its end.
    :ivar restart_loop: of restarts until a container is given up: it may restart while its database comes up.
    :ivar steady: for which a container must have run since its last restart; without a proxy, which would ask it, also
        since it was found complete.
    :ivar hopeless: after which a container that has no entry is looked for under other names.
    :ivar diagnosis: for reading the registry's other services, once a wait has failed.
    :ivar inventory: for a last look at the instances, once a scaling has failed.
    """

    revert: float = 120.0
    lead_back: float = 5.0
    registry_back: float = 10.0
    put_route: float = 30.0
    proxies: float = 10.0
    proxies_promoted: float = 30.0
    drain: float = 30.0
    drain_min: float = 5.0
    drain_streams: float = 5.0
    lock_ttl: float = 10.0
    lock_renew: float = 3.0
    probe: float = 30.0
    probe_answer: float = 10.0
    probe_error: float = 6.0
    poll: float = 1.0
    progress: float = 5.0
    stale_grace: float = 3.0
    restart_loop: float = 10.0
    steady: float = 2.0
    hopeless: float = 3.0
    diagnosis: float = 5.0
    inventory: float = 5.0

    def for_proxies(self, whose: str) -> Timing:
        """The same for who waits for all proxies, or for any: the one that is asked.

        :param whose: one of :data:`PROXIES`.
        """
        if whose == ALL:
            return self
        return dataclasses.replace(self, proxies=GLANCE, proxies_promoted=GLANCE)

"""How long the daemon waits, and how often it tries, in one place. Whoever composes the daemon passes it on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """All values are seconds.

    :ivar blocking_query: how long a query of the registry waits for a change.
    :ivar sweep: between two regular looks for what the watches of the registry missed.
    :ivar first_instance_query: the same for a caller who waits for a first instance.
    :ivar registry_retry_min: the first pause after the registry did not answer; each next one is twice as long, up to
        ``registry_retry_max``.
    :ivar catch_up: for the queries that failed meanwhile to be answered once the registry is back, before what it tells
        is served.
    :ivar restart_min: the first pause before a part of the daemon that died is started again; each next one is twice as
        long, up to ``restart_max``, which is also for how long it has to run to count as running.
    :ivar empty_grace: after a start, or after the registry came back, how long "no instances" is not believed.
    :ivar doubt_poll: meanwhile, between two looks at whether a report that was not believed can be.
    :ivar dns_refresh: between two look-ups of the host names in use.
    :ivar dns_timeout: of one look-up.
    :ivar ready_answer: for a new instance to answer one request of its route's check.
    :ivar ready_retry_min: the first pause between two such requests, growing up to ``ready_retry_max``.
    :ivar ready_report: after which an instance that has not answered is reported, and ``ready_report_again`` until it
        is again.
    :ivar ready_wait: how long a route that is put waits for new instances while others serve.
    :ivar ready_others: how long it waits for the others once one has answered, while none serves.
    :ivar hold_poll: between two looks at which servers of held services HAProxy reports down.
    :ivar drift_poll: between two looks at whether somebody else has changed HAProxy or its files.
    :ivar proxies_wait: for every live proxy to serve a change, where the caller names no time.
    :ivar reconcile_retry: before a round that failed is tried again.
    :ivar session_ttl: of the session that holds this proxy's key in the registry.
    :ivar haproxy_start: for a worker of HAProxy to run its configuration.
    :ivar haproxy_stop: for HAProxy to end after each signal.
    :ivar haproxy_answer: for HAProxy to answer on a socket.
    :ivar haproxy_restart_max: the longest pause before a HAProxy that died at once is started again.
    :ivar idle_poll_min: the first pause between two looks at what is in flight, growing up to ``idle_poll_max``.
    :ivar count_under_way: for requests under way to end before a count of users ends without them.
    :ivar count_late: for the lines of requests that have ended; then the count is not exact.
    :ivar count_publish: between two publications of a count of users.
    :ivar count_proxies: for the other proxies to begin or to end a count.
    :ivar certificates_poll: between two looks at the files of certificates.
    :ivar access_log_retry: before the access log's file is opened again when it could not be written.
    :ivar traffic_max_age: how old HAProxy's counters may be when they are shown.
    :ivar stream_heartbeat: between two comments in a quiet stream of events.
    :ivar stream_write: for the reader of a stream to take what it is sent.
    :ivar api_idle: for a connection of the API between two calls; one that asks no more leaves its place to others.
    :ivar api_stop: for calls under way when the daemon stops; one that waits is not worth a stop that hangs.
    """

    blocking_query: float = 30.0
    sweep: float = 60.0
    first_instance_query: float = 60.0
    registry_retry_min: float = 0.1
    registry_retry_max: float = 2.0
    catch_up: float = 2.0
    restart_min: float = 0.1
    restart_max: float = 10.0
    empty_grace: float = 60.0
    doubt_poll: float = 0.1
    dns_refresh: float = 30.0
    dns_timeout: float = 5.0
    ready_answer: float = 5.0
    ready_retry_min: float = 0.01
    ready_retry_max: float = 1.0
    ready_report: float = 2.0
    ready_report_again: float = 60.0
    ready_wait: float = 10.0
    ready_others: float = 1.0
    hold_poll: float = 1.0
    drift_poll: float = 10.0
    proxies_wait: float = 10.0
    reconcile_retry: float = 1.0
    session_ttl: float = 30.0
    haproxy_start: float = 30.0
    haproxy_stop: float = 5.0
    haproxy_answer: float = 10.0
    haproxy_restart_max: float = 5.0
    idle_poll_min: float = 0.02
    idle_poll_max: float = 1.0
    count_under_way: float = 0.3
    count_late: float = 2.0
    count_publish: float = 1.0
    count_proxies: float = 2.0
    certificates_poll: float = 1.0
    access_log_retry: float = 1.0
    traffic_max_age: float = 1.0
    stream_heartbeat: float = 15.0
    stream_write: float = 30.0
    api_idle: float = 75.0
    api_stop: float = 5.0


DEFAULT = Timing()

"""The client of the proxy daemon's HTTP API, for the command line: a method for each call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from jenkins_proxy.clients.proxy_transport import USUAL_PATIENCE, Access, Patience, ProxyTransport, no_news
from jenkins_proxy.model import Address, Route
from jenkins_proxy.settings import Settings

if TYPE_CHECKING:
    import requests

_READ_SECONDS = 10.0
# What the daemon may need beyond the time that it waits: to read the registry and to reload HAProxy.
_ANSWER_SECONDS = 5.0
# Of that, and of the wait for other proxies.
_HOLD_SECONDS = 30.0
# The daemon gives up before we do, so that its reason arrives.
_WAIT_SHARE = 0.8


class ProxyClient:
    """The daemon's API as methods.

    Every call may be made twice: where it changes something, the second time changes nothing more. So a call that meets
    the daemon's restart is made again.

    Every method raises :class:`ProxyError` when the daemon refuses or cannot be reached.

    :param url: of the API: ``http://127.0.0.1:8081``.
    :param token: sent as a bearer token; may be empty.
    :param cacert: a file with the authority to trust for https; the system's when empty.
    :param client_cert: a file with a certificate to show; empty for none.
    :param client_key: the file with its key; empty when the certificate's file holds it, too.
    :param patience: how long a daemon that restarts is waited for.
    :param announce: is told in a line that it is waited for.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        cacert: str = "",
        *,
        client_cert: str = "",
        client_key: str = "",
        patience: Patience = USUAL_PATIENCE,
        announce: Callable[[str], None] = no_news,
    ) -> None:
        self._transport = ProxyTransport(url, Access(token, cacert, client_cert, client_key), patience, announce)
        self._call, self._object = self._transport.call, self._transport.json_object

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        announce: Callable[[str], None] = no_news,
        *,
        patience: Patience = USUAL_PATIENCE,
    ) -> Self:
        """The client that the settings describe. The other parameters are those of the class."""
        return cls(
            settings.proxy,
            settings.token,
            settings.proxy_cacert,
            client_cert=settings.proxy_client_cert,
            client_key=settings.proxy_client_key,
            patience=patience,
            announce=announce,
        )

    @property
    def url(self) -> str:
        """Of the API, without a slash at its end."""
        return self._transport.url

    def close(self) -> None:
        """Close the kept-alive connections."""
        self._transport.close()

    def put_route(
        self,
        route: Route,
        *,
        allow_empty: bool = False,
        dry_run: bool = False,
        timeout: float = 30.0,
        proxies: float = 0.0,
    ) -> dict[str, Any]:
        """Make the route so, and come back when HAProxy serves it.

        :param allow_empty: also without an instance that takes traffic.
        :param dry_run: change nothing; the answer has ``diff`` and ``conflicts``.
        :param timeout: seconds for the call; most of it the daemon may wait for a first instance.
        :param proxies: seconds beyond that, for the other live proxies to serve it as well.
        :return: ``service, route, version, instances, probe, applied, timings, proxies`` as the API documents them.
        """
        query = {"allowEmpty": allow_empty, "dryRun": dry_run, "diff": dry_run, "wait": f"{timeout * _WAIT_SHARE:g}"}
        query |= _waiting(proxies)
        answer = self._call("PUT", _path(route.service), timeout + proxies, query=query, body=route.as_dict())
        return self._object(answer)

    def get_route(self, service: str) -> dict[str, Any] | None:
        """The route as the daemon serves it, or None when it has none of that name."""
        answer = self._call("GET", _path(service), _READ_SECONDS, absent=True)
        return None if answer.status_code == 404 else self._object(answer)

    def routes(self) -> list[dict[str, Any]]:
        """All routes, ordered by service."""
        routes = self._object(self._call("GET", "/v1/routes", _READ_SECONDS)).get("routes")
        if not isinstance(routes, list):
            raise self._transport.foreign("it sent no list of routes")
        return routes

    def remove_route(
        self, service: str, *, dry_run: bool = False, timeout: float = 30.0, proxies: float = 0.0
    ) -> dict[str, Any] | None:
        """Take a route away, and a hold with it.

        :param dry_run: change nothing; whether the daemon would do it is known then.
        :param timeout: seconds for the call.
        :param proxies: seconds beyond that, for the other live proxies to serve it no more.
        :return: ``proxies``: how far each is; None when there was no route.
        """
        query = {"dryRun": dry_run, **_waiting(proxies)}
        answer = self._call("DELETE", _path(service), timeout + proxies, query=query, absent=True)
        return None if answer.status_code == 404 else self._object(answer)

    def drain(
        self,
        service: str,
        addresses: Iterable[Address],
        timeout: float,
        stream_timeout: float = 5.0,
        *,
        proxies: float = 0.0,
    ) -> dict[str, Any]:
        """Send no new request to these instances, and come back when none is in flight on them.

        :param timeout: seconds that the daemon may wait for requests in flight; then it answers 503, and the
            instances stay drained.
        :param stream_timeout: seconds that it may wait for streams (upgraded connections, and answers without a
            length); then it cuts them.
        :param proxies: seconds beyond that, for the other live proxies to send them none either.
        :return: as :meth:`put_route`; ``cut`` says how many streams were cut.
        """
        body = {"timeout": timeout, "stream_timeout": stream_timeout, "addresses": [str(own) for own in addresses]}
        return self._draining("drain", service, body, timeout + proxies, proxies)

    def resume(self, service: str, addresses: Iterable[Address], *, proxies: float = 0.0) -> dict[str, Any]:
        """Send requests to drained instances again. Parameters and answer are those of :meth:`drain`."""
        body = {"addresses": [str(address) for address in addresses]}
        return self._draining("resume", service, body, _READ_SECONDS + proxies, proxies)

    def hold(
        self,
        route: Route,
        *,
        key_sha256: str,
        holder: Mapping[str, Any],
        timeout: float = 1800.0,
        replace: str = "",
        before: Iterable[Address] | None = None,
        proxies: float = 0.0,
    ) -> dict[str, Any]:
        """Keep from users what joins the service from now on: only requests with the key reach it.

        :param route: as it shall be once promoted.
        :param key_sha256: of the key, in hexadecimal; the daemon never gets the key.
        :param holder: ``name``, ``build`` and ``kept``, for whoever comes meanwhile.
        :param timeout: seconds after which anybody may replace the hold.
        :param replace: the ID of a hold that this one may take the place of.
        :param before: the addresses that are proven; those that serve now when it is None.
        :param proxies: seconds to wait for the other live proxies.
        :return: ``id, serving, before, phase, since, until, holder, proxies`` as the API documents them.
        :raises ProxyError: somebody else holds the service; the text says who, since when, and how to end it.
        """
        body = {"route": route.as_dict(), "key_sha256": key_sha256, "holder": dict(holder), "timeout": timeout}
        if replace:
            body["replace"] = replace
        if before is not None:
            body["before"] = [str(address) for address in before]
        path, query = f"{_path(route.service)}/hold", _waiting(proxies)
        return self._object(self._call("PUT", path, _HOLD_SECONDS, query=query, body=body))

    def promote(
        self,
        service: str,
        hold_id: str,
        addresses: Iterable[Address],
        *,
        keep: Iterable[Address] = (),
        timeout: float = 30.0,
    ) -> dict[str, Any]:
        """Let users meet these instances at once, and no longer those of before.

        :param keep: instances of before that go on serving.
        :param timeout: seconds to wait for the other proxies.
        :return: the hold; ``proxies`` says of each live one whether it ``serves`` or ``lags``.
        """
        body = {
            "id": hold_id,
            "addresses": [str(address) for address in addresses],
            "keep": [str(address) for address in keep],
            "timeout": timeout,
        }
        return self._object(self._call("POST", f"{_path(service)}/promote", timeout + _HOLD_SECONDS, body=body))

    def demote(self, service: str, hold_id: str, *, proxies: float = 0.0) -> dict[str, Any]:
        """Let users meet those of before again, while they still run.

        :param proxies: seconds to wait for the other live proxies.
        """
        path, body = f"{_path(service)}/demote", {"id": hold_id}
        return self._object(self._call("POST", path, _HOLD_SECONDS, query=_waiting(proxies), body=body))

    def end_hold(self, service: str, hold_id: str = "", *, proxies: float = 0.0) -> dict[str, Any]:
        """End a hold; the route of a promoted one becomes the service's. That there is none is no error.

        :param hold_id: only the hold with this ID; empty: any.
        :param proxies: seconds to wait for the other live proxies.
        """
        query = {"id": hold_id, **_waiting(proxies)}
        return self._object(self._call("DELETE", f"{_path(service)}/hold", _HOLD_SECONDS, query=query))

    def count_users(self, service: str, identity: str) -> None:
        """Count the requests of users from now on, in all proxies; an earlier count of the service ends.

        :param identity: of the count: 1 to 64 letters, digits, dots, hyphens and underscores.
        """
        self._call("POST", f"{_path(service)}/count", _READ_SECONDS, body={"id": identity})

    def users(self, service: str) -> dict[str, Any] | None:
        """What was counted so far, as :meth:`stop_counting`; None when the service is not counted."""
        answer = self._call("GET", f"{_path(service)}/count", _READ_SECONDS, absent=True)
        return None if answer.status_code == 404 else self._users(answer)

    def stop_counting(self, service: str, identity: str) -> dict[str, Any] | None:
        """End a count.

        :return: ``requests``, ``failed``, ``p99_ms`` (None without a request) and ``exact`` (False: it may have been
            more); None when there is no such count, also when it ended long ago.
        """
        path, query = f"{_path(service)}/count", {"id": identity}
        answer = self._call("DELETE", path, _READ_SECONDS, query=query, absent=True)
        return None if answer.status_code == 404 else self._users(answer)

    def health(self) -> dict[str, Any]:
        """What ``/healthz`` says; a daemon that answers but does not serve is an error with its reason."""
        health = self._object(self._call("GET", "/healthz", _READ_SECONDS / 2))
        if not {"status", "routes", "registry", "problem"} <= health.keys():
            raise self._transport.foreign("its health is not that of the daemon")
        return health

    def access(self) -> dict[str, Any]:
        """Which role this client has there.

        :return: ``role``: ``read`` or ``change``; ``credential``: ``token``, ``certificate``, or empty where everybody
            who reaches the daemon has it; ``name`` of the credential.
        """
        access = self._object(self._call("GET", "/v1/access", _READ_SECONDS / 2))
        if not {"role", "credential", "name"} <= access.keys():
            raise self._transport.foreign("it does not say which role its callers have")
        return access

    def _draining(
        self, verb: str, service: str, body: Mapping[str, Any], seconds: float, proxies: float
    ) -> dict[str, Any]:
        path, query = f"{_path(service)}/{verb}", _waiting(proxies)
        return self._object(self._call("POST", path, seconds + _ANSWER_SECONDS, query=query, body=body))

    def _users(self, answer: requests.Response) -> dict[str, Any]:
        users = self._object(answer).get("users")
        if not isinstance(users, dict):
            raise self._transport.foreign("it sent no count of users")
        return users


def _waiting(proxies: float) -> dict[str, str]:
    return {"proxies": f"{proxies:g}"}


def _path(service: str) -> str:
    return "/v1/routes/" + quote(service, safe="")

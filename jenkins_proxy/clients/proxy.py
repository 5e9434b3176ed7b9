"""The client of the proxy daemon's HTTP API, for the command line. Each call has a deadline."""

from __future__ import annotations

import functools
import itertools
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from jenkins_proxy.errors import ProxyError, root_cause
from jenkins_proxy.model import Address, Route
from jenkins_proxy.retry import Deadline, retry
from jenkins_proxy.settings import Settings

if TYPE_CHECKING:
    import requests

_READ_SECONDS = 10.0
_CONNECT_SECONDS = 3.0
# What the daemon may need beyond the time that it waits: to read the registry and to reload HAProxy.
_ANSWER_SECONDS = 5.0
# Of that, and of the wait for other proxies.
_HOLD_SECONDS = 30.0
# A daemon that restarts is back within seconds; one that is not there is reported soon.
_RESTART_SECONDS = 5.0
# The daemon gives up before we do, so that its reason arrives.
_WAIT_SHARE = 0.8


class ProxyClient:
    """The daemon's API as methods.

    Every method raises :class:`ProxyError` when the daemon refuses or cannot be reached.

    :param url: of the API: ``http://127.0.0.1:8081``.
    :param token: sent as a bearer token; may be empty.
    :param cacert: a file with the authority to trust for https; the system's when empty.
    :param client_cert: a file with a certificate to show; empty for none.
    :param client_key: the file with its key; empty when the certificate's file holds it, too.
    """

    def __init__(
        self, url: str, token: str = "", cacert: str = "", *, client_cert: str = "", client_key: str = ""
    ) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._cacert = cacert
        self._client_cert, self._client_key = client_cert, client_key
        # The calls of one command are found together in the daemon's audit.
        self._run, self._calls = uuid.uuid4().hex[:12], itertools.count(1)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(
            settings.proxy,
            settings.token,
            settings.proxy_cacert,
            client_cert=settings.proxy_client_cert,
            client_key=settings.proxy_client_key,
        )

    def close(self) -> None:
        """Close the kept-alive connections."""
        if "_session" in self.__dict__:
            self._session.close()
            del self._session

    @functools.cached_property
    def _session(self) -> requests.Session:
        # Loaded at the first call: it takes as long as everything else before a command's first line.
        import requests

        session = requests.Session()
        # No HTTP_PROXY between us and our own daemon, and no ~/.netrc in place of the token.
        session.trust_env = False
        session.verify = self._cacert or True
        if self._client_cert:
            self._check_certificate()
            session.cert = (self._client_cert, self._client_key) if self._client_key else self._client_cert
        session.headers["Accept"] = "application/json"
        if self._token:
            session.headers["Authorization"] = f"Bearer {self._token}"
        return session

    def _check_certificate(self) -> None:
        """Read it: requests would call a damaged file an untrusted proxy. :raises UsageError: when it is one."""
        from jenkins_proxy import tls  # here, as few commands need it, and TLS takes its time to load

        tls.client_context(
            self._cacert,
            self._client_cert,
            self._client_key,
            what="the certificates for the proxy's API",
            hint="JENKINS_PROXY_CACERT, JENKINS_PROXY_CLIENT_CERT and JENKINS_PROXY_CLIENT_KEY name PEM files",
        )

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
            raise self._foreign("it sent no list of routes")
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
            raise self._foreign("its health is not that of the daemon")
        return health

    def _draining(
        self, verb: str, service: str, body: Mapping[str, Any], seconds: float, proxies: float
    ) -> dict[str, Any]:
        path, query = f"{_path(service)}/{verb}", _waiting(proxies)
        return self._object(self._call("POST", path, seconds + _ANSWER_SECONDS, query=query, body=body))

    def _users(self, answer: requests.Response) -> dict[str, Any]:
        users = self._object(answer).get("users")
        if not isinstance(users, dict):
            raise self._foreign("it sent no count of users")
        return users

    def _call(
        self,
        method: str,
        path: str,
        timeout: float,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        absent: bool = False,
    ) -> requests.Response:
        """One request; ``absent`` makes the daemon's 404 an answer."""
        import requests

        deadline = Deadline(timeout)
        params = {key: str(value).lower() for key, value in (query or {}).items() if value}
        headers = {"X-Request-ID": f"{self._run}-{next(self._calls)}"}

        def once() -> requests.Response:
            limits = (min(_CONNECT_SECONDS, max(deadline.remaining, 0.1)), max(deadline.remaining, 0.1))
            return self._session.request(
                method,
                self.url + path,
                params=params,
                json=body,
                headers=headers,
                timeout=limits,
                allow_redirects=False,
            )

        # A POST may have been carried out although its answer was lost; the others can be repeated.
        retriable = () if method == "POST" else (_Unreachable,)
        try:
            answer = retry(lambda: self._reach(once), deadline.within(_RESTART_SECONDS), retriable)
        except _Unreachable as error:
            raise ProxyError(
                f"no proxy daemon answers at {self.url}: {error}",
                "start it with `jenkins-proxy serve`, or set --proxy or JENKINS_PROXY_URL to where it listens"
                + self._of_certificate,
            ) from error
        except requests.Timeout as error:
            raise ProxyError(
                f"the proxy at {self.url} did not answer {method} {path} within {timeout:g} s",
                "its log and GET /healthz say what it waits for",
            ) from error
        if answer.status_code == 200 or (absent and answer.status_code == 404 and _error(answer)):
            return answer
        raise self._refusal(answer, f"{method} {path}")

    def _reach(self, once: Callable[[], requests.Response]) -> requests.Response:
        import requests

        try:
            return once()
        except requests.exceptions.SSLError as error:
            raise ProxyError(
                f"no trust in the proxy at {self.url}: {root_cause(error)}",
                "set JENKINS_PROXY_CACERT to the file with its authority" + self._of_certificate,
            ) from error
        except requests.ConnectionError as error:
            raise _Unreachable(root_cause(error)) from error
        except requests.Timeout:
            raise
        except requests.RequestException as error:
            raise self._foreign(root_cause(error)) from error

    @property
    def _of_certificate(self) -> str:
        """What more may be the reason where TLS breaks off: which side did it shows by chance."""
        return "; it may also refuse the certificate in JENKINS_PROXY_CLIENT_CERT" if self._client_cert else ""

    def _refusal(self, answer: requests.Response, what: str) -> ProxyError:
        refusal = _error(answer)
        if answer.status_code == 401:
            reason = refusal["message"] if refusal else "wrong token" if self._token else "a token is needed"
            return ProxyError(
                f"the proxy at {self.url} refused {what}: {reason}",
                "set JENKINS_PROXY_TOKEN to a token that the daemon knows, or show a JENKINS_PROXY_CLIENT_CERT",
            )
        if refusal:
            verb = "refused" if answer.status_code < 500 else "could not do"
            return ProxyError(f"the proxy {verb} {what}: {refusal['message']}", str(refusal.get("hint") or ""))
        return self._foreign(f"it answered {what} with HTTP {answer.status_code}")

    def _object(self, answer: requests.Response) -> dict[str, Any]:
        data = _json(answer)
        if not isinstance(data, dict):
            raise self._foreign("its answer is not a JSON object")
        return data

    def _foreign(self, reason: str) -> ProxyError:
        return ProxyError(
            f"{self.url} does not look like the proxy daemon's API: {reason}",
            "set --proxy or JENKINS_PROXY_URL to the address that `jenkins-proxy serve` names",
        )


class _Unreachable(Exception):
    """Nothing answered: worth another try."""


def _waiting(proxies: float) -> dict[str, str]:
    return {"proxies": f"{proxies:g}"}


def _path(service: str) -> str:
    return "/v1/routes/" + quote(service, safe="")


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _error(answer: requests.Response) -> dict[str, Any] | None:
    """Our API's error object; None when something else answered."""
    data = _json(answer)
    error = data.get("error") if isinstance(data, dict) else None
    return error if isinstance(error, dict) and "message" in error else None

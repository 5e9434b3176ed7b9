"""One call of the proxy daemon's API: its deadline, the wait for a daemon that restarts, and what an answer means."""

from __future__ import annotations

import functools
import itertools
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jenkins_proxy.errors import ProxyError, root_cause
from jenkins_proxy.retry import Deadline, retry

if TYPE_CHECKING:
    import requests

_CONNECT_SECONDS = 3.0


@dataclass(frozen=True)
class Patience:
    """How long a daemon that does not answer is waited for, in seconds.

    :ivar restart: one that has answered before: a restart takes a second or two.
    :ivar absent: one that never has: it may not be there at all, which is to be told soon.
    """

    restart: float = 10.0
    absent: float = 5.0


USUAL_PATIENCE = Patience()
NO_PATIENCE = Patience(0, 0)
"""For who asks whether a daemon answers now."""


@dataclass(frozen=True)
class Access:
    """What the daemon is shown, and what it is trusted by. The fields are parameters of the client."""

    token: str = field(default="", repr=False)
    cacert: str = ""
    client_cert: str = ""
    client_key: str = ""


def no_news(_text: str) -> None:
    """For who does not want to know what is waited for."""


class ProxyTransport:
    """Makes calls. The parameters are those of the client."""

    def __init__(self, url: str, access: Access, patience: Patience, announce: Callable[[str], None]) -> None:
        self.url = url.rstrip("/")
        self._access = access
        self._patience = patience
        self._announce = announce
        self._answered = False
        # The calls of one command are found together in the daemon's audit.
        self._run, self._calls = uuid.uuid4().hex[:12], itertools.count(1)

    def close(self) -> None:
        """Close the kept-alive connections."""
        if "_session" in self.__dict__:
            self._session.close()
            del self._session

    @functools.cached_property
    def _session(self) -> requests.Session:
        # Loaded at the first call: it takes as long as everything else before a command's first line.
        import requests

        session, access = requests.Session(), self._access
        # No HTTP_PROXY between us and our own daemon, and no ~/.netrc in place of the token.
        session.trust_env = False
        session.verify = access.cacert or True
        if access.client_cert:
            self._check_certificate()
            session.cert = (access.client_cert, access.client_key) if access.client_key else access.client_cert
        session.headers["Accept"] = "application/json"
        if access.token:
            session.headers["Authorization"] = f"Bearer {access.token}"
        return session

    def _check_certificate(self) -> None:
        """Read it: requests would call a damaged file an untrusted proxy. :raises UsageError: when it is one."""
        from jenkins_proxy import tls  # here, as few commands need it, and TLS takes its time to load

        tls.client_context(
            self._access.cacert,
            self._access.client_cert,
            self._access.client_key,
            what="the certificates for the proxy's API",
            hint="JENKINS_PROXY_CACERT, JENKINS_PROXY_CLIENT_CERT and JENKINS_PROXY_CLIENT_KEY name PEM files",
        )

    def call(
        self,
        method: str,
        path: str,
        timeout: float,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        absent: bool = False,
    ) -> requests.Response:
        """One call.

        :param timeout: seconds for its answer. A daemon that restarts is waited for beside that, but no longer.
        :param absent: whether the daemon's 404 is an answer.
        :raises ProxyError: when the daemon refuses, cannot be reached, or does not answer in time.
        """
        import requests

        params = {key: str(value).lower() for key, value in (query or {}).items() if value}
        headers = {"X-Request-ID": f"{self._run}-{next(self._calls)}"}

        def once() -> requests.Response:
            # A call that met a restart has all of its time again, as the daemon begins anew, too.
            return self._session.request(
                method,
                self.url + path,
                params=params,
                json=body,
                headers=headers,
                timeout=(min(_CONNECT_SECONDS, timeout), timeout),
                allow_redirects=False,
            )

        try:
            answer = self._patiently(lambda: self._reach(once), timeout)
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

    def _patiently(self, call: Callable[[], requests.Response], timeout: float) -> requests.Response:
        """Make a call again while nobody answers, for as long as a restart may take; say so once."""
        try:
            answer = call()
        except _Unreachable:
            seconds = min(self._patience.restart if self._answered else self._patience.absent, timeout)
            # Whoever is gone for good is not waited for that long again.
            self._answered = False
            if seconds <= 0:
                raise
            self._announce(f"the proxy at {self.url} does not answer: waits for it, {seconds:g} s at most")
            answer = retry(call, Deadline(seconds), (_Unreachable,))
        self._answered = True
        return answer

    def _reach(self, once: Callable[[], requests.Response]) -> requests.Response:
        import requests

        try:
            return once()
        except requests.exceptions.SSLError as error:
            raise ProxyError(
                f"no trust in the proxy at {self.url}: {root_cause(error)}",
                "set JENKINS_PROXY_CACERT to the file with its authority" + self._of_certificate,
            ) from error
        # The second one is an answer that broke off.
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            raise _Unreachable(root_cause(error)) from error
        except requests.Timeout:
            raise
        except requests.RequestException as error:
            raise self.foreign(root_cause(error)) from error

    @property
    def _of_certificate(self) -> str:
        """What more may be the reason where TLS breaks off: which side did it shows by chance."""
        return "; it may also refuse the certificate in JENKINS_PROXY_CLIENT_CERT" if self._access.client_cert else ""

    def _refusal(self, answer: requests.Response, what: str) -> ProxyError:
        refusal = _error(answer)
        if answer.status_code == 401:
            reason = refusal["message"] if refusal else "wrong token" if self._access.token else "a token is needed"
            return ProxyError(
                f"the proxy at {self.url} refused {what}: {reason}",
                "set JENKINS_PROXY_TOKEN to a token that the daemon knows, or show a JENKINS_PROXY_CLIENT_CERT",
            )
        if refusal:
            verb = "refused" if answer.status_code < 500 else "could not do"
            return ProxyError(f"the proxy {verb} {what}: {refusal['message']}", str(refusal.get("hint") or ""))
        return self.foreign(f"it answered {what} with HTTP {answer.status_code}")

    def json_object(self, answer: requests.Response) -> dict[str, Any]:
        """What an answer holds. :raises ProxyError: when it is no JSON object."""
        data = _json(answer)
        if not isinstance(data, dict):
            raise self.foreign("its answer is not a JSON object")
        return data

    def foreign(self, reason: str) -> ProxyError:
        """The error of who answers otherwise than the daemon does."""
        return ProxyError(
            f"{self.url} does not look like the proxy daemon's API: {reason}",
            "set --proxy or JENKINS_PROXY_URL to the address that `jenkins-proxy serve` names",
        )


class _Unreachable(Exception):
    """Nothing answered: worth another try."""


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

"""The synchronous driver of Consul's HTTP API, for commands; it speaks to the embedded registry just as well."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Self, TypeVar

from jenkins_proxy.clients.consul import calls
from jenkins_proxy.clients.consul import requests as consul_requests
from jenkins_proxy.clients.consul.requests import Body, Call, Pace, Reply
from jenkins_proxy.retry import Deadline
from jenkins_proxy.settings import Settings

if TYPE_CHECKING:
    import requests

_CHUNK = 2**16

Params = ParamSpec("Params")
Result = TypeVar("Result")


def _method(build: Callable[Params, Call[Result]]) -> Callable[Concatenate[Consul, Params], Result]:
    """A method that sends the call that ``build`` makes: arguments, docstring and result are those of the call."""

    @functools.wraps(build)
    def method(self: Consul, /, *args: Params.args, **kwargs: Params.kwargs) -> Result:
        return self.call(build(*args, **kwargs))

    return method


class Consul:
    """A registry. Every method raises RegistryError when it cannot be reached or refuses.

    :param url: ``http://10.100.192.200:8500``.
    :param token: an ACL token, sent in the header ``X-Consul-Token`` only.
    :param cacert: a file with the authority of an ``https://`` registry; the system's authorities when empty.
    :param client_cert: a file with our own certificate, and in ``client_key`` its key, where the registry asks for one.
    """

    def __init__(
        self, url: str, token: str = "", *, cacert: str = "", client_cert: str = "", client_key: str = ""
    ) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._cacert = cacert
        self._pace = Pace()
        self._cert = (client_cert, client_key) if client_key else client_cert or None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The registry of the settings ``consul`` and ``consul_*``."""
        return cls(
            settings.consul,
            settings.consul_token,
            cacert=settings.consul_cacert,
            client_cert=settings.consul_client_cert,
            client_key=settings.consul_client_key,
        )

    def close(self) -> None:
        """Close the kept connections."""
        if "_session" in self.__dict__:
            self._session.close()
            del self._session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def call(self, call: Call[Result]) -> Result:
        """Send one call and give its result."""
        import requests

        begin = time.monotonic()
        try:
            reply = self._ask(call)
        except requests.RequestException as error:
            raise consul_requests.unreachable(self.url, error) from error
        result = call.result(self.url, reply)
        time.sleep(self._pace.pause(call, reply.index, time.monotonic() - begin))
        again = call.again(reply)
        return self.call(again) if again else result

    def _ask(self, call: Call[Result]) -> Reply:
        body = Body(self.url, call)
        with self._session.request(
            call.method,
            self.url + call.target,
            data=call.body,
            timeout=call.timeout,
            allow_redirects=False,
            stream=True,
        ) as answer:
            deadline = Deadline(consul_requests.TRANSFER)
            for chunk in answer.iter_content(_CHUNK):
                body.add(chunk)
                if deadline.expired:
                    raise consul_requests.endless(self.url, call, f"takes more than {deadline.seconds:g} s")
            return Reply(answer.status_code, body.bytes(), consul_requests.reply_index(answer.headers))

    agent = _method(calls.agent)
    missing_rights = _method(calls.missing_rights)
    leader = _method(calls.leader)
    services = _method(calls.services)
    agent_node = _method(calls.agent_node)
    catalog_node = _method(calls.catalog_node)
    instances = _method(calls.instances)
    register = _method(calls.register)
    deregister = _method(calls.deregister)
    kv_get = _method(calls.kv_get)
    kv_list = _method(calls.kv_list)
    kv_put = _method(calls.kv_put)
    kv_delete = _method(calls.kv_delete)
    session_create = _method(calls.session_create)
    session_renew = _method(calls.session_renew)
    session_destroy = _method(calls.session_destroy)
    session_info = _method(calls.session_info)

    @functools.cached_property
    def _session(self) -> requests.Session:
        # Loaded at the first call: it takes as long as everything else before a command's first line.
        import requests

        session = requests.Session()
        # A proxy for the Internet and the passwords of netrc are for other hosts than the registry.
        session.trust_env = False
        session.headers.update(consul_requests.headers(self._token))
        session.verify = self._cacert or True
        session.cert = self._cert
        return session

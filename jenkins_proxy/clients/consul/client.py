"""The registry's client for commands: Consul's HTTP API, or the embedded registry's, through requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import requests

from jenkins_proxy.clients.consul import requests as consul_requests
from jenkins_proxy.clients.consul.models import KvPair, Session
from jenkins_proxy.model import Instance
from jenkins_proxy.settings import Settings

Result = TypeVar("Result")


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
        self._session = requests.Session()
        # A proxy for the Internet and the passwords of netrc are for other hosts than the registry.
        self._session.trust_env = False
        self._session.headers.update(consul_requests.headers(token))
        self._session.verify = cacert or True
        if client_cert:
            self._session.cert = (client_cert, client_key) if client_key else client_cert

    @classmethod
    def from_settings(cls, settings: Settings) -> Consul:
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
        self._session.close()

    def __enter__(self) -> Consul:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def services(self) -> dict[str, list[str]]:
        """All services by name, each with all the tags that its instances have."""
        return self._do(consul_requests.services())[0]

    def instances(self, service: str, *, index: int = 0, wait: float = 0.0) -> tuple[list[Instance], int]:
        """All instances of a service, whatever their status, and the index to ask with next.

        :param index: what the last answer gave; above 0 the call blocks until something changes.
        :param wait: how many seconds it blocks at the most; 600 is the registry's own limit.
        """
        return self._do(consul_requests.instances(service, index, wait))

    def agent(self) -> dict[str, Any]:
        """What the agent at this address says of itself (``/v1/agent/self``); with ACLs it needs ``agent:read``."""
        return self._do(consul_requests.agent())

    def leader(self) -> str:
        """The address of the leading server; empty without one."""
        return self._do(consul_requests.leader())

    def kv_get(self, key: str) -> KvPair | None:
        """One key, or None."""
        return self._do(consul_requests.kv_get(key))

    def kv_list(self, prefix: str) -> list[KvPair]:
        """All keys that begin with the prefix."""
        return self._do(consul_requests.kv_list(prefix))[0]

    def kv_put(self, key: str, value: bytes, *, cas: int | None = None, acquire: str = "", release: str = "") -> bool:
        """Write a key; False says that a condition did not hold, and nothing was written.

        :param cas: write only when the key's modify index is this; 0: only when there is no such key.
        :param acquire: the ID of a session to lock the key with; False when another one holds it.
        :param release: the ID of the session that gives the key up.
        """
        return self._do(consul_requests.kv_put(key, value, cas, acquire, release))

    def kv_delete(self, key: str, *, cas: int | None = None, recurse: bool = False) -> bool:
        """Delete a key, or with ``recurse`` all that begin with it; False only where ``cas`` did not hold."""
        return self._do(consul_requests.kv_delete(key, cas, recurse))

    def session_create(self, name: str, ttl: float, *, behavior: str = "delete", lock_delay: float = 0.0) -> str:
        """Make a session, and give its ID.

        :param ttl: seconds after which it ends unless renewed, 10 to 86400 (the registry may take twice as long);
            0 is without end.
        :param behavior: what its end does to the keys it holds: ``delete`` or ``release``.
        :param lock_delay: seconds for which nobody can lock what an ended session held.
        """
        return self._do(consul_requests.session_create(name, ttl, behavior, lock_delay))

    def session_renew(self, session_id: str) -> bool:
        """Start the session's time to live again; False when it is gone."""
        return self._do(consul_requests.session_renew(session_id))

    def session_destroy(self, session_id: str) -> None:
        """End a session, which releases or deletes what it holds."""
        self._do(consul_requests.session_destroy(session_id))

    def session_info(self, session_id: str) -> Session | None:
        """A session, or None when it is gone."""
        return self._do(consul_requests.session_info(session_id))

    def register(self, service: Mapping[str, Any]) -> None:
        """Register with the agent at this address.

        :param service: the JSON of Consul's ``/v1/agent/service/register``: ``{"ID", "Name", "Address", "Port", …}``.
        """
        self._do(consul_requests.register(service))

    def deregister(self, service_id: str) -> None:
        """Take an entry of this agent away; one that is not there is no error."""
        self._do(consul_requests.deregister(service_id))

    def _do(self, call: consul_requests.Call[Result]) -> Result:
        try:
            answer = self._session.request(
                call.method, self.url + call.target, data=call.body, timeout=call.timeout, allow_redirects=False
            )
        except requests.RequestException as error:
            raise consul_requests.unreachable(self.url, error) from error
        return call.result(
            self.url,
            consul_requests.Reply(answer.status_code, answer.content, consul_requests.reply_index(answer.headers)),
        )

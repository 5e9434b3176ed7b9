"""Who calls, with which role, and how a certificate's subject gets one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from jenkins_proxy import validation
from jenkins_proxy.errors import UsageError

TOKEN, CERTIFICATE = "token", "certificate"
_NAME_LENGTH = 128


class Role(StrEnum):
    """What a caller may: ``change`` everything, or only ``read``."""

    READ = "read"
    CHANGE = "change"

    def covers(self, needed: Role) -> bool:
        """Whether who has this role may do what needs another."""
        return self is Role.CHANGE or needed is Role.READ


@dataclass(frozen=True)
class Caller:
    """Who sent a request.

    :ivar name: of the token, or the common name of the certificate.
    :ivar credential: how the caller is known: :data:`TOKEN`, :data:`CERTIFICATE`, or empty.
    :ivar role: None for who may nothing that needs one.
    """

    name: str
    credential: str = ""
    role: Role | None = None


ANONYMOUS = Caller("anonymous")
"""Who shows nothing that is known."""


@dataclass(frozen=True)
class ClientRoles:
    """What the subjects of client certificates may.

    :ivar roles: by common name. Empty: whoever has a certificate that the authority signed may change.
    """

    roles: Mapping[str, Role] = field(default_factory=dict)

    def caller(self, certificate: Mapping[str, Any] | None) -> Caller | None:
        """Whom a certificate stands for, as :meth:`ssl.SSLSocket.getpeercert` gives it; None without one."""
        if not certificate:
            return None
        name = common_name(certificate)
        return Caller(name, CERTIFICATE, self.roles.get(name) if self.roles else Role.CHANGE)


def common_name(certificate: Mapping[str, Any]) -> str:
    """The common name of a certificate's subject, or the first of its names; empty where it has none."""
    pairs = [pair for relative in certificate.get("subject", ()) for pair in relative]
    found = [str(value) for key, value in pairs if key == "commonName"]
    found += [str(value) for _kind, value in certificate.get("subjectAltName", ())]
    return found[0][:_NAME_LENGTH] if found else ""


def client_roles(given: list[str], option: str) -> ClientRoles:
    """The roles that ``NAME=ROLE`` words give.

    :param option: what the words are called, for the error.
    :raises UsageError: for a word that is not of that form, or a name with two roles.
    """
    roles: dict[str, Role] = {}
    for word in given:
        name, _, role = word.rpartition("=")
        if not name or len(name) > _NAME_LENGTH or not name.isprintable() or role not in tuple(Role):
            raise validation.not_allowed(
                option, word, "NAME=read or NAME=change, with the common name of a certificate"
            )
        if name in roles:
            raise UsageError(f"{option} gives {validation.shown(name)} a role twice")
        roles[name] = Role(role)
    return ClientRoles(roles)

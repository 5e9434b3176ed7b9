"""How the embedded registry refuses a call: with Consul's status and text."""

from __future__ import annotations


class ConsulError(Exception):
    """An answer that is not 200.

    :param status: the HTTP status.
    :param text: the body, as plain text.
    """

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def missing(what: str, instead: str) -> ConsulError:
    """The answer to a call for what Consul has and the embedded registry has not: 501.

    :param instead: what the caller can do.
    """
    return ConsulError(501, f"the embedded registry has no {what}: {instead}")

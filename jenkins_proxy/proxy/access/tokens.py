"""The tokens of the API, from files that are read anew when they change: tokens are turned over without a restart.

    # ROLE  TOKEN                             NAME, for the audit
    read    0f6ae1ba0d0a4f0cbf4c1e8a6c1d6c3e  dashboard
    change  b9c1c8a2b6a94d4fa3a1d7b8a0b4d2f1  jenkins
    change  5a0b8f3f6a1c4e6fb8b3d3a6f3c2e1d0  jenkins-next

Any number of lines, of files, and of tokens of one role. What is wrong is named by file and line, never by its text:
it may be a token that stands in the wrong place.
"""

from __future__ import annotations

import hmac
import logging
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jenkins_proxy.errors import UsageError
from jenkins_proxy.proxy.access.callers import Role

_LOG = logging.getLogger(__name__)

_TOKEN = re.compile(r"[\x21-\x7e]{16,512}")
_ANY_TOKEN = re.compile(r"[\x21-\x7e]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_MAX_BYTES = 256 * 1024
_FORM = "a line is `ROLE TOKEN NAME`, with the role read or change; the name may be left out"


@dataclass(frozen=True)
class Token:
    """A token.

    :ivar name: for the audit; several may have the same.
    """

    role: Role
    value: str = field(repr=False)
    name: str


def change_token(value: str, name: str = "JENKINS_PROXY_TOKEN") -> tuple[Token, ...]:
    """A single token that may change; none for an empty value."""
    return (Token(Role.CHANGE, value, name),) if value else ()


def parse(text: str, file: str) -> tuple[Token, ...]:
    """The tokens of a file.

    :param file: its name, for errors and for tokens without a name.
    :raises UsageError: for the first line that has not the form, and when no line has a token.
    """
    tokens: dict[str, Token] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split()
        if words and not words[0].startswith("#"):
            where = f"{file}:{number}"
            token = _token(words, where, f"{os.path.basename(file)}:{number}")
            if token.value in tokens:
                raise UsageError(f"{where}: an earlier line has the same token", "leave out one of them")
            tokens[token.value] = token
    if not tokens:
        raise UsageError(f"{file} holds no token", _FORM)
    return tuple(tokens.values())


def _token(words: list[str], where: str, unnamed: str) -> Token:
    role, value, name = (words + ["", ""])[:3]
    if role not in tuple(Role):
        raise UsageError(f"{where}: the first word is no role", _FORM)
    if len(words) not in (2, 3):
        raise UsageError(f"{where}: a role, a token and a name are expected, and {len(words)} words are there", _FORM)
    if not _TOKEN.fullmatch(value):
        raise UsageError(
            f"{where}: the token is not allowed: it must be 16 to 512 visible characters of ASCII",
            "`openssl rand -hex 32` makes one",
        )
    if name and not _NAME.fullmatch(name):
        raise UsageError(f"{where}: the name is not allowed: it must be letters, digits, . _ and -, 64 at the most")
    return Token(Role(role), value, name or unnamed)


class TokenFile:
    """A file with tokens, as it is now.

    :param path: of the file.
    :param single: the name of the one token that may change, which is all that the file holds; empty for a file of
        lines.
    :raises UsageError: when it cannot be used.
    """

    def __init__(self, path: str, *, single: str = "") -> None:
        self._path, self._single = path, single
        self._stamp = self._stamp_now()
        self._tokens = self._read()

    def tokens(self) -> tuple[Token, ...]:
        """Those of the file; while it is damaged or away, those that it had before."""
        stamp = self._stamp_now()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._tokens = self._read()
                _LOG.info("the tokens of %s are read anew: %d", self._path, len(self._tokens))
            except UsageError as error:
                _LOG.error("%s; the tokens of before stay valid", error.message, extra={"hint": error.hint})
        return self._tokens

    def _stamp_now(self) -> tuple[int, ...]:
        try:
            now = os.stat(self._path)
        except OSError:
            return ()
        return (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_mode)

    def _read(self) -> tuple[Token, ...]:
        try:
            # A pipe without a writer would hold the daemon here.
            handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as file:
                self._check(os.fstat(handle))
                text = file.read(_MAX_BYTES + 1).decode()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise UsageError(f"cannot read the tokens in {self._path}: {reason}") from None
        if not self._single:
            return parse(text, self._path)
        if not _ANY_TOKEN.fullmatch(text.strip()):
            raise UsageError(f"{self._path} does not hold one token of visible characters")
        return change_token(text.strip(), self._single)

    def _check(self, status: os.stat_result) -> None:
        """:raises UsageError: for what others can write, or that is no file of a sensible size."""
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
            raise UsageError(f"{self._path} is no file of tokens: a plain file of 256 KiB at the most is expected")
        if status.st_mode & 0o022 and not self._single:
            raise UsageError(
                f"{self._path} can be written by others, who could give themselves a token",
                f"chmod go-w {self._path}",
            )
        if status.st_mode & 0o004:
            _LOG.warning(
                "the tokens in %s can be read by every user of this machine",
                self._path,
                extra={"hint": f"chmod o-r {self._path}"},
            )


class Tokens:
    """All tokens.

    :param fixed: those that stay as they are.
    :param files: those that may change.
    """

    def __init__(self, fixed: Iterable[Token] = (), files: Iterable[TokenFile] = ()) -> None:
        self._fixed, self._files = tuple(fixed), tuple(files)

    def __bool__(self) -> bool:
        """Whether callers need one. Files need not be read for it: one without a token is refused."""
        return bool(self._fixed or self._files)

    def find(self, presented: str) -> Token | None:
        """The token that a caller presents; of two equal ones that which may less.

        Each is compared whole, so that the time tells nothing of them.
        """
        given = presented.encode("utf-8", "surrogateescape")
        found = [token for token in self._all() if hmac.compare_digest(given, token.value.encode())]
        return min(found, key=lambda token: token.role is Role.CHANGE, default=None)

    def may_change(self, presented: str) -> bool:
        """Whether it is a token that may change."""
        token = self.find(presented)
        return token is not None and token.role is Role.CHANGE

    def _all(self) -> Iterator[Token]:
        yield from self._fixed
        for file in self._files:
            yield from file.tokens()


def single_file(path: str, name: str) -> TokenFile | None:
    """The file with one token that a variable names, to be read anew; None for what is no file, such as a pipe."""
    return TokenFile(path, single=name) if Path(path).is_file() else None

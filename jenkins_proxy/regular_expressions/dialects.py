"""What Python's library takes, and PCRE does not: classes in POSIX's way, and flags of Python alone. Pure."""

from __future__ import annotations

import re

_NAMES = "alpha|lower|upper|alnum|ascii|blank|cntrl|digit|graph|print|punct|space|word|xdigit"
_NAMED = re.compile(rf"\[:\^?(?:{_NAMES}):\](?!-[^\]])")
# What PCRE takes for a class in POSIX's way: it ends with the sign that it begins with.
_POSIX = re.compile(r"\[([:.=])(?:(?!\[\1)[^\]])*?\1\]")
_FLAGS = re.compile(r"\(\?[a-zA-Z]*[aLu][a-zA-Z]*(?:-[a-zA-Z]+)?[:)]")


def for_python(pattern: str) -> tuple[str, str]:
    """An expression of PCRE in the words of Python's library, and the first part of it that PCRE refuses.

    :return: with a letter for each class in POSIX's way, whose brackets Python reads otherwise; and an empty text where
        PCRE refuses none.
    """
    at, inside, read = 0, False, ""
    while at < len(pattern):
        sign, found = pattern[at], None
        if sign == "[":
            named = _NAMED.match(pattern, at) if inside and pattern[at - 1] != "-" else None
            if named:
                at, read = named.end(), f"{read}a"
                continue
            found = _POSIX.match(pattern, at)
            if not inside:
                # A bracket that comes first is one of the class.
                first = at + 1 + pattern.startswith("[^", at)
                end = first + pattern.startswith("]", first)
                inside, sign = True, pattern[at:end]
        elif inside:
            inside = sign != "]"
        else:
            found = _FLAGS.match(pattern, at)
        if found:
            return read, found[0]
        at, read = at + len(sign), read + sign
    return read, ""

"""What Python's library takes, and PCRE does not: classes in POSIX's way, and flags of Python alone. Pure."""

from __future__ import annotations

import functools
import re
import warnings

_CLASSES = {
    "alpha": "A-Za-z",
    "lower": "a-z",
    "upper": "A-Z",
    "alnum": "0-9A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t-\r ",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_NAMED = re.compile(rf"\[:(?P<no>\^?)(?P<name>{'|'.join(_CLASSES)}):\](?!-[^\]])")
# What PCRE takes for a class in POSIX's way: it ends with the sign that it begins with.
_POSIX = re.compile(r"\[([:.=])(?:(?!\[\1)[^\]])*?\1\]")
_FLAGS = re.compile(r"\(\?[a-zA-Z]*[aLu][a-zA-Z]*(?:-[a-zA-Z]+)?[:)]")


def for_python(pattern: str) -> tuple[str, str]:
    """An expression of PCRE in the words of Python's library, and the first part of it that PCRE refuses.

    :return: with the signs of each class in POSIX's way, whose brackets Python reads otherwise; and an empty text where
        PCRE refuses none.
    """
    at, inside, read = 0, False, ""
    while at < len(pattern):
        sign, found = pattern[at], None
        if sign == "[":
            named = _NAMED.match(pattern, at) if inside and pattern[at - 1] != "-" else None
            if named:
                at, read = named.end(), read + _signs(named["name"], no=bool(named["no"]))
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


@functools.lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """An expression of PCRE for Python's library.

    :raises re.error: when it is none. RecursionError, OverflowError, ValueError: when it is too deep or too large.
    """
    with warnings.catch_warnings():
        # Python's library warns of what a later version may read otherwise. HAProxy's reads it as it does.
        warnings.simplefilter("ignore")
        return re.compile(for_python(pattern)[0])


@functools.cache
def _signs(name: str, *, no: bool) -> str:
    """What stands within brackets for a class in POSIX's way, or for all signs that are not in it."""
    signs = _CLASSES[name]
    if not no:
        return signs
    own = re.compile(f"[{signs}]")
    others = "".join(rf"\x{number:02x}" for number in range(128) if not own.fullmatch(chr(number)))
    return rf"{others}\x80-\U0010ffff"

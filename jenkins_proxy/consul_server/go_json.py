"""Requests' JSON as Go reads it into Consul's structures: any case, known fields only, durations as text or number."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from jenkins_proxy.clients.consul import go_duration
from jenkins_proxy.consul_server.errors import ConsulError
from jenkins_proxy.consul_server.structures import (
    CHECK,
    DURATION,
    NANOSECONDS,
    OBJECT,
    STRING_MAP,
    STRINGS,
    TEXTS,
    UINT,
    Fields,
    Kind,
    ListOf,
    MapOf,
    Struct,
)

# json reads both halves of a character beyond U+FFFF as one; what is left are halves that no UTF-8 can carry.
_HALF = re.compile("[\ud800-\udfff]")
_EMPTY: Mapping[str, Any] = {"string": "", "int": 0, "bool": False, DURATION: 0.0}
_PYTHON: Mapping[str, type] = {"string": str, "int": int, "bool": bool, UINT: int, OBJECT: dict}
_INT64 = 2**63
_BOUNDS = {"int": (-_INT64, _INT64), UINT: (0, 2 * _INT64)}
# Below it a session's delay is seconds, as in Consul: nobody wants one of 15 ns.
_NANOSECONDS_FROM = 1000
_SPACE = " \t\r\n"


def body(data: bytes, fields: Fields, *, strict: bool = True) -> dict[str, Any]:
    """A request's body as a complete structure: missing fields are Go's zero values, durations are seconds.

    As Go's decoder it reads one value and leaves what follows alone, and takes U+FFFD for what is no UTF-8.

    :param strict: refuse unknown fields, as nearly all calls of Consul do.
    :raises ConsulError: 400, for what Consul refuses too.
    """
    text = data.decode("utf-8", "surrogateescape").lstrip(_SPACE)
    if not text:
        raise _failed("EOF")
    try:
        value = _whole(_DECODER.raw_decode(text)[0])
    except json.JSONDecodeError as error:
        raise _failed(_syntax(error)) from error
    except RecursionError as error:
        raise _failed("exceeded max depth") from error
    except ValueError as error:
        raise _failed(str(error)) from error
    if value is not None and not isinstance(value, dict):
        raise _failed(f"json: cannot unmarshal {_go_kind(value)} into Go value of type struct")
    return structure(value or {}, fields, strict=strict)


def structure(value: Mapping[str, Any], fields: Fields, *, strict: bool = True) -> dict[str, Any]:
    """As :func:`body`, for an object inside of one."""
    names = {_plain(name): name for name in fields}
    result = {name: _EMPTY.get(kind) if isinstance(kind, str) else None for name, kind in fields.items()}
    for given, item in value.items():
        name = names.get(_plain(given))
        if name is None and strict:
            raise _failed(f'json: unknown field "{given}"')
        if name is not None and item is not None:
            result[name] = _typed(name, fields[name], item)
    return result


def definition(kept: Mapping[str, Any]) -> dict[str, Any]:
    """A check's definition as it is kept: a complete structure :data:`CHECK`, with seconds for durations.

    :raises ConsulError: 400, for what is none.
    """
    in_seconds = [name for name, kind in CHECK.items() if kind == DURATION and _is_number(kept.get(name))]
    return structure({**kept, **{name: kept[name] * 1e9 for name in in_seconds}}, CHECK)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"json: cannot unmarshal number {text} into Go value of type float64")
    return number


def _no_constant(text: str) -> float:
    # Python reads NaN and the infinities, which are no JSON: a timer that is given one never fires again.
    raise ValueError(f"invalid character '{text.lstrip('-')[0]}' looking for beginning of value")


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant)


def _syntax(error: json.JSONDecodeError) -> str:
    if error.pos >= len(error.doc) or error.msg.startswith("Unterminated"):
        return "unexpected EOF"
    # Go names the byte.
    found = chr(error.doc[error.pos].encode("utf-8", "surrogateescape")[0])
    return f"invalid character '{found}' looking for beginning of value"


def _whole(value: Any) -> Any:
    """JSON with U+FFFD for each half of a character and for each byte that is no UTF-8, as Go's decoder gives it."""
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_whole(name): _whole(item) for name, item in value.items()}
    return value


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _typed(name: str, kind: Kind, value: Any) -> Any:
    if not isinstance(kind, str):
        return _nested(name, kind, value)
    if kind == DURATION:
        return _nanoseconds(value) / 1e9
    if kind == NANOSECONDS:
        given = _nanoseconds(value)
        return _wrapped(given * 10**9) if given < _NANOSECONDS_FROM else given
    if kind in TEXTS:
        return _texts(name, kind, value)
    good = isinstance(value, _PYTHON[kind]) and (kind not in _BOUNDS or _is_within(value, *_BOUNDS[kind]))
    _expect(good, name, kind, value)
    return value


def _nested(name: str, kind: Struct | ListOf | MapOf, value: Any) -> Any:
    _expect(isinstance(value, list if isinstance(kind, ListOf) else dict), name, kind.type, value)
    if isinstance(kind, Struct):
        return structure(value, kind.fields)
    if isinstance(kind, ListOf):
        return [_nested(name, kind.item, item) for item in value]
    return {key: _nested(name, kind.item, {} if item is None else item) for key, item in value.items()}


def _texts(name: str, kind: str, value: Any) -> Any:
    _expect(isinstance(value, list if kind == STRINGS else dict), name, kind, value)
    if kind == STRINGS:
        return [_text(name, item) for item in value]
    if kind == STRING_MAP:
        return {key: _text(name, item) for key, item in value.items()}
    return {key: _texts(name, STRINGS, [] if item is None else item) for key, item in value.items()}


def _text(name: str, value: Any) -> str:
    _expect(value is None or isinstance(value, str), name, "string", value)
    return value or ""


def _expect(good: bool, name: str, kind: str, value: Any) -> None:
    if not good:
        raise _failed(f"json: cannot unmarshal {_go_kind(value)} into Go struct field .{name} of type {kind}")


def _is_within(value: Any, lowest: int, limit: int) -> bool:
    return not isinstance(value, bool) and lowest <= value < limit


def _nanoseconds(value: Any) -> int:
    """A duration as text or as a number. A number that is none for Go is the lowest one, which is no interval."""
    if isinstance(value, str):
        try:
            return round(go_duration.parse(value) * 1e9) if value else 0
        except ValueError as error:
            raise _failed(str(error)) from error
    if _is_number(value):
        return int(value) if -_INT64 <= value < _INT64 else -_INT64
    raise _failed(f"json: cannot unmarshal {_go_kind(value)} into Go value of type time.Duration")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _wrapped(number: int) -> int:
    """As a 64-bit integer takes it."""
    return (number + _INT64) % (2 * _INT64) - _INT64


def _go_kind(value: Any) -> str:
    kinds = ((bool, "bool"), ((int, float), "number"), (str, "string"), (list, "array"))
    return next((word for kind, word in kinds if isinstance(value, kind)), "object")


def _failed(text: str) -> ConsulError:
    return ConsulError(400, f"Request decode failed: {text}")

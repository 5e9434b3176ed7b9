"""Values from a Jenkins step: one JSON object in ``JENKINS_PROXY_PARAMS``, so that no shell interprets them.

Its keys are the command's long options in camelCase (``probePath`` for ``--probe-path``) and ``service``. A list gives
the option once for each item, true gives the flag, false, null, "" and [] give nothing. Arguments win over it.
"""

from __future__ import annotations

import argparse
import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jenkins_proxy import settings, validation
from jenkins_proxy.errors import Problems, UsageError
from jenkins_proxy.route_options.option import Kind
from jenkins_proxy.route_options.table import OPTIONS, check_domain

VARIABLE = "JENKINS_PROXY_PARAMS"


def extend(argv: list[str], command: str, parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> list[str]:
    """Put the environment's values between the command and its arguments.

    :param argv: the words after the program's name; ``command`` is among them.
    :param parser: the command's parser, which says which options there are.
    :return: the words to parse; ``argv`` itself when the variable is not set.
    :raises UsageError: for what is not a JSON object, and for unknown keys and values that are not allowed, all at
        once and in the words of the step.
    """
    problems = Problems()
    found = words(argv, command, parser, environ, problems)
    problems.raise_any()
    return found


def words(
    argv: list[str],
    command: str,
    parser: argparse.ArgumentParser,
    environ: Mapping[str, str],
    problems: Problems,
) -> list[str]:
    """The words to parse, as :func:`extend` gives them, where nothing is wrong.

    :param problems: gets everything that is not allowed.
    :raises UsageError: for what is not a JSON object.
    """
    text = environ.get(VARIABLE, "")
    if not text:
        return argv
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{VARIABLE} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{VARIABLE} is not a JSON object")
    options = {
        camel(word): action
        for action in parser._actions
        for word in action.option_strings
        if word.startswith("--") and action.dest != "help"
    }
    positional = {action.dest: action for action in parser._actions if not action.option_strings}
    options_given, last = [], []
    problems.gather(lambda: _check_known(command, values, [*options, *positional]))
    for key, value in values.items():
        if key in options:
            options_given += problems.gather(functools.partial(_option_words, parser, options[key], value)) or []
        elif key in positional and _given(value):
            last.append(
                (
                    list(positional).index(key),
                    problems.gather(functools.partial(_positional, parser, positional[key], value)) or "",
                )
            )
    _check_addresses(values, problems)
    if "path" in options:
        _check_route(values, problems)
    elif isinstance(values.get("service"), str) and values["service"]:
        problems.gather(functools.partial(validation.check_service, values["service"]))
    at = argv.index(command) + 1
    given = argv[at:]
    # Positional values of the arguments take the place of the environment's.
    if any(not word.startswith("-") for word in given[:1]):
        last = []
    # `--`: a service that is called `--help` is a service.
    return [*argv[:at], *options_given, *given, *(["--"] if last else []), *(value for _, value in sorted(last))]


def _given(value: Any) -> bool:
    """0 is a value, though it equals False."""
    return value is not None and value is not False and value != ""


def camel(option: str) -> str:
    """The key of an option: ``keepOld`` for ``--keep-old``."""
    return re.sub(r"-(\w)", lambda match: match.group(1).upper(), option.lstrip("-"))


def _check_known(command: str, values: Mapping[str, Any], known: Sequence[str]) -> None:
    unknown = sorted(key for key in values if key not in known)
    if unknown:
        raise UsageError(
            f"{command}: unknown parameter(s) {', '.join(key + validation.meant(key, known) for key in unknown)}",
            f"known: {', '.join(sorted(known))}",
        )


def _option_words(parser: argparse.ArgumentParser, action: argparse.Action, value: Any) -> list[str]:
    option = next(word for word in action.option_strings if word.startswith("--"))
    key = camel(option)
    if action.nargs == 0:
        if not isinstance(value, bool) and value is not None:
            raise UsageError(f"{key} takes true or false, not {value!r}")
        return [option] if value else []
    items = [_text(key, item) for item in (value if isinstance(value, list) else [value]) if _given(item)]
    for item in items:
        _check(parser, action, key, item)
    # `--option=value`: a value that begins with a dash stays a value.
    return [f"{option}={item}" for item in items]


def _positional(parser: argparse.ArgumentParser, action: argparse.Action, value: Any) -> str:
    text = _text(action.dest, value)
    _check(parser, action, action.dest, text)
    return text


def _check(parser: argparse.ArgumentParser, action: argparse.Action, key: str, text: str) -> None:
    """Refuse what the command would refuse as well, but one at a time and in the words of the command line.

    :raises UsageError: for a value that is not allowed.
    """
    if action.choices and text not in action.choices:
        raise UsageError(f"{key} takes {', '.join(action.choices)}, not {text[:40]!r}")
    try:
        parser._get_value(action, text)
    except argparse.ArgumentError as error:
        raise UsageError(f"{key}: {error.message}") from error


def _check_addresses(values: Mapping[str, Any], problems: Problems) -> None:
    """Gather which addresses are none, by the keys that give them."""
    for spec in settings.SETTINGS:
        key = camel(spec.argument)
        if spec.url and key and _given(values.get(key)):
            setting = settings.Setting(str(values[key]), key)
            problems.gather(functools.partial(settings.checked, spec, setting))


def _check_route(values: Mapping[str, Any], problems: Problems) -> None:
    """Gather what a route's grammar has against the values, which otherwise shows only once all others are good."""
    path_type = values.get("pathType")
    for option in OPTIONS:
        given = values.get(option.groovy) if option.groovy else None
        items = [str(item) for item in (given if isinstance(given, list) else [given]) if _given(item)]
        if not items or option.kind is Kind.FLAG:
            continue
        value = tuple(word for item in items for word in option.items(item) if word)
        parsed = value if option.kind is Kind.LIST else option.parse(items[-1])
        if option.kind is not Kind.SECONDS or not isinstance(parsed, str):
            problems.gather(functools.partial(option.check, parsed, option.groovy))
        for path in value if option.name == "paths" else ():
            kind = path_type if path_type in validation.PATH_TYPES else "path_beg"
            problems.gather(functools.partial(validation.check_path, path, kind, option.groovy))
        for domain in value if option.name == "domains" else ():
            problems.gather(functools.partial(check_domain, domain, str(values.get("domainAlgo")), option.groovy))
    for key, check in {"probePath": validation.check_page, "checkHost": validation.check_domain}.items():
        if _given(values.get(key)):
            problems.gather(functools.partial(check, values[key], key))


def _text(key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UsageError(f"{key} takes text or a number, not {value!r}")
    try:
        impossible = b"\0" in str(value).encode()
    except UnicodeEncodeError:
        impossible = True
    if impossible:
        raise UsageError(f"{key}: {str(value)[:80]!r} holds a character that no argument can hold")
    return str(value)

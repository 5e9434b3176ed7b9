"""Values from a Jenkins step: one JSON object in ``JENKINS_PROXY_PARAMS``, so that no shell interprets them.

Its keys are the command's long options in camelCase (``probePath`` for ``--probe-path``) and ``service``. A list gives
the option once for each item, true gives the flag, false, null, "" and [] give nothing. Arguments win over it.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping
from typing import Any

from jenkins_proxy.errors import UsageError

VARIABLE = "JENKINS_PROXY_PARAMS"


def extend(argv: list[str], command: str, parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> list[str]:
    """Put the environment's values between the command and its arguments.

    :param argv: the words after the program's name; ``command`` is among them.
    :param parser: the command's parser, which says which options there are.
    :return: the words to parse; ``argv`` itself when the variable is not set.
    :raises UsageError: for what is not a JSON object, and for unknown keys, all of them at once.
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
        _camel(word): action
        for action in parser._actions
        for word in action.option_strings
        if word.startswith("--") and action.dest != "help"
    }
    positional = {action.dest: action for action in parser._actions if not action.option_strings}
    unknown = sorted(key for key in values if key not in options and key not in positional)
    if unknown:
        known = ", ".join(sorted([*options, *positional]))
        raise UsageError(f"{command}: unknown parameter(s) {', '.join(unknown)}", f"known: {known}")
    words, last = [], []
    for key, value in values.items():
        if key in options:
            words += _option_words(options[key], value)
        elif _given(value):
            last.append((list(positional).index(key), _text(key, value)))
    at = argv.index(command) + 1
    given = argv[at:]
    # Positional values of the arguments take the place of the environment's.
    if any(not word.startswith("-") for word in given[:1]):
        last = []
    # `--`: a service that is called `--help` is a service.
    return [*argv[:at], *words, *given, *(["--"] if last else []), *(value for _, value in sorted(last))]


def _given(value: Any) -> bool:
    """0 is a value, though it equals False."""
    return value is not None and value is not False and value != ""


def _camel(option: str) -> str:
    return re.sub(r"-(\w)", lambda match: match.group(1).upper(), option[2:])


def _option_words(action: argparse.Action, value: Any) -> list[str]:
    option = next(word for word in action.option_strings if word.startswith("--"))
    if action.nargs == 0:
        if not isinstance(value, bool) and value is not None:
            raise UsageError(f"{VARIABLE}: {_camel(option)} takes true or false, not {value!r}")
        return [option] if value else []
    items = value if isinstance(value, list) else [value]
    # `--option=value`: a value that begins with a dash stays a value.
    return [f"{option}={_text(_camel(option), item)}" for item in items if _given(item)]


def _text(key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UsageError(f"{VARIABLE}: {key} takes text or a number, not {value!r}")
    return str(value)

"""A message in the words of a Jenkinsfile: ``scale:`` for ``--scale``, ``file:`` for ``-f``, ``allowEmpty: true``.

Messages are written in the command line's words. A Jenkins step runs the same commands, and its caller has never seen
those: keys take the place of options, and keys that name credentials that of the variables with their secrets.
"""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from jenkins_proxy import settings
from jenkins_proxy.cli.jenkins_step.params import camel

# What a message quotes of docker is to be typed into a shell, or was: it stays as it is.
_SHELL = (
    r"\b(?:docker|docker-compose|jenkins-proxy)(?: (?:--?\w[\w-]*(?:[= ][^\s,;:)`]+)?|[a-z][\w-]*)(?=[\s,;:)`]|$))+"
)
_WORDS = re.compile(
    rf"(?P<shell>{_SHELL})|(?P<option>(?<![\w'\"/=.-])--?[a-z][a-z-]*(?![\w=-]))(?: (?P<value>\w[\w.-]*))?"
)
MAY_NEED = re.compile(r"(?<![\w-])--?[a-z]|\b(?:JENKINS_PROXY|CONSUL|DOCKER)_[A-Z]")
"""What :func:`translate` may change has this in it."""
_VARIABLES = {
    r"set JENKINS_PROXY_TOKEN to": "let proxyTokenCredentialsId: name a Secret text with",
    r"\bJENKINS_PROXY_NOTIFY is": "notify: or notifyCredentialsId: is",
    r"in CONSUL_HTTP_TOKEN": "by consulTokenCredentialsId:, a Secret text",
    r"set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the folder with": "let dockerCredentialsId: name",
    r"set DOCKER_CERT_PATH to the folder with": "let dockerCredentialsId: name",
    r"(?<=\bset )DOCKER_HOST(?= to)": "dockerHost:",
    r"(?<=\bset )CONSUL_HTTP_ADDR(?= to)": "consul:",
    r"(?<=\bset )JENKINS_PROXY_ENTRY(?= to)": "entry:",
    r"(?<=\w:)(?: \(JENKINS_PROXY_(?:URL|ENTRY)\)| or JENKINS_PROXY_(?:URL|ENTRY))": "",
    r"\bdeploy (?=hold: true)": "deployWithProxy ",
}


@dataclass(frozen=True)
class Key:
    """A key of a step.

    :ivar name: ``keepOld``.
    :ivar switch: whether it takes true or false.
    :ivar choices: the only values that it takes; empty for any.
    """

    name: str
    switch: bool = False
    choices: tuple[str, ...] = ()


def keys(command: str) -> dict[str, Key]:
    """The keys by their options, short ones too: those of the command, of ``deploy``, and of the settings."""
    found = {spec.argument: Key(camel(spec.argument)) for spec in settings.SETTINGS if spec.argument}
    for name in ("deploy", command):
        parser = argparse.ArgumentParser(add_help=False)
        importlib.import_module(f"jenkins_proxy.cli.{name}").add_arguments(parser)
        for action in parser._actions:
            key = Key(camel((action.option_strings or [""])[-1]), action.nargs == 0, tuple(action.choices or ()))
            found.update(dict.fromkeys(action.option_strings, key))
    return found


def translate(text: str, known: Mapping[str, Key]) -> str:
    """The message in the words of a Jenkinsfile.

    :param known: see :func:`keys`; an option that is none of them stays.
    """
    words, at, pair = "", 0, False
    for match in _WORDS.finditer(text):
        between = text[at : match.start()].removeprefix(":" if words.endswith(":") and pair else "")
        key = known.get(match["option"]) if match["option"] else None
        # Two options in a row are two pairs.
        words += ", " if pair and key and between == " " else between
        words += _pair(key, match["value"] or "") if key else match.group()
        at, pair = match.end(), key is not None
    words += text[at:].removeprefix(":" if words.endswith(":") and pair else "")
    for pattern, ours in _VARIABLES.items():
        words = re.sub(pattern, ours, words)
    return words


def _pair(key: Key, value: str) -> str:
    """The key, with what stands behind the option: its value, or the next word of the sentence."""
    if key.switch:
        return f"{key.name}: true {value}".strip()
    return f"{key.name}: '{value}'" if value in key.choices else f"{key.name}: {value}".strip()

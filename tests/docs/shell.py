"""Checks the command lines of a page's ``bash`` blocks without running them. What is unknown here is a problem."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from jenkins_proxy import __version__, cli
from jenkins_proxy.errors import UsageError
from tests.docs import sources

# Programs of others, whose arguments are not ours to check.
_OTHERS = (
    "ansible-playbook",
    "apt-get",
    "cd",
    "consul",
    "cat",
    "certbot",
    "cp",
    "docker",
    "export",
    "git",
    "head",
    "iptables",
    "jq",
    "kill",
    "openssl",
    "source",
    "pipx",
    "systemctl",
    "sudo",
    "tee",
    "useradd",
    "vagrant",
)
_SEPARATORS = {";", "&", "&&", "|", "||"}
_API, _REGISTRY = ":8081", ":8500"
_VARIABLES = {
    "JENKINS_PROXY_URL": "http://127.0.0.1:8081",
    "CONSUL_HTTP_ADDR": "http://127.0.0.1:8500",
    "JENKINS_PROXY_ENTRY": "http://127.0.0.1",
}


def problems(block: str) -> list[str]:
    """What is wrong with a block, each as ``command: what``."""
    found = []
    for argv in commands(block):
        try:
            found += [f"{' '.join(argv)}: {problem}" for problem in _check(argv)]
        except ValueError as error:
            found.append(f"{' '.join(argv)}: {error}")
    return found


def commands(block: str) -> Iterator[list[str]]:
    """The simple commands of a block: continued lines joined, comments, assignments and redirections left out."""
    for line in block.replace("\\\n", " ").splitlines():
        words: list[str] = []
        for word in [*_words(line), ";"]:
            if word not in _SEPARATORS:
                words.append(word)
                continue
            simple = _without_redirections(words)
            while simple and re.match(r"\w+=", simple[0]):
                simple.pop(0)
            if simple:
                yield simple
            words = []


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(_filled_in(line), posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    return list(lexer)


def _filled_in(line: str) -> str:
    """The line with a value for each variable: its own where it is known here, else 1, which options take, too."""
    return re.sub(r"\$\{?(\w+)\}?", lambda found: _VARIABLES.get(found[1], "1"), line)


def _without_redirections(words: Sequence[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for word in words:
        if skip or re.fullmatch(r"[<>]+", word):
            skip = not skip
        else:
            kept.append(word)
    return kept


def _check(argv: Sequence[str]) -> Iterable[str]:
    program = argv[0].rpartition("/")[2]
    if program == "jenkins-proxy":
        return _ours(argv[1:])
    if re.fullmatch(r"python3?", program) and argv[1:2] == ["-m"]:
        return _module(argv[2], argv[3:])
    if program == "pip":
        return _pip(argv[1:])
    if program == "bash":
        return [] if (sources.REPOSITORY / argv[1]).is_file() else [f"there is no file {argv[1]}"]
    if program == "curl":
        return _curl(argv[1:])
    return [] if program in _OTHERS else [f"the program {program} is unknown to the tests of the pages"]


def _ours(argv: Sequence[str]) -> list[str]:
    command = next((word for word in argv if not word.startswith("-")), "")
    if command not in cli.COMMANDS:
        return [] if list(argv) in (["--version"], ["--help"]) else [f"there is no command {command!r}"]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            sources.top_parser(command).parse_args(list(argv))
    except UsageError as error:
        return [error.message]
    except SystemExit as done:
        return [] if done.code == 0 else [f"exit {done.code}"]
    return []


def _module(name: str, argv: Sequence[str]) -> list[str]:
    if name == "jenkins_proxy":
        return _ours(argv)
    known = name in ("venv", "pip") or importlib.util.find_spec(name) is not None
    return [] if known else [f"there is no module {name}"]


def _pip(argv: Sequence[str]) -> list[str]:
    pinned = [word.partition("==")[2] for word in argv if re.match(r"jenkins-proxy(\[\w+\])?==", word)]
    wrong = [version for version in pinned if version != __version__]
    return [f"this is version {__version__}, not {', '.join(wrong)}"] if wrong else []


def _curl(argv: Sequence[str]) -> list[str]:
    method = "GET"
    urls = []
    words = iter(argv)
    for word in words:
        if word in ("-X", "--request"):
            method = next(words)
        elif word in ("-H", "--header", "-d", "--data", "-o", "--output", "-u"):
            next(words)
        elif not word.startswith("-"):
            urls.append(word if "://" in word else f"http://{word}")
    return [problem for url in urls for problem in _url(method, url)] or ([] if urls else ["there is no URL"])


def _url(method: str, url: str) -> list[str]:
    parts = urlsplit(url)
    if parts.netloc.endswith(_API):
        endpoints = sources.daemon_endpoints()
    elif parts.netloc.endswith(_REGISTRY):
        endpoints = sources.registry_endpoints()
    else:
        # Where users enter: any path may lead to a service, but the API is not there.
        return [f"{parts.netloc} has no API: its port is missing"] if parts.path.startswith("/v1/") else []
    methods = {endpoint.method for endpoint in endpoints if endpoint.pattern.fullmatch(parts.path or "/")}
    return [] if method in methods else [f"{method} {parts.path} is none of the registered routes"]

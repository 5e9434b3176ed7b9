"""The reason in what compose v1 1.29.2, compose v2 2.26.1 and docker 28.2.2 really print when they fail."""

from __future__ import annotations

import pytest

from jenkins_proxy.orchestrator.runner import hint, reason

REASONS = {
    "v1, port taken": (
        """Creating books-ms_app_1 ...
Host is already in use by another container
Creating books-ms_app_1 ... error

ERROR: for books-ms_app_1  Cannot start service app: Bind for 0.0.0.0:80 failed: port is already allocated

ERROR: for app  Cannot start service app: Bind for 0.0.0.0:80 failed: port is already allocated
Encountered errors while bringing up the project.""",
        "Cannot start service app: Bind for 0.0.0.0:80 failed: port is already allocated",
    ),
    "v2, port taken": (
        """time="2026-11-22T10:19:19Z" level=warning msg="/books.yml: the attribute `version` is obsolete"
 Network books-ms_default  Created
 Container books-ms-app-1  Starting
Error response from daemon: driver failed: Bind for 0.0.0.0:80 failed: port is already allocated""",
        "driver failed: Bind for 0.0.0.0:80 failed: port is already allocated",
    ),
    "v1, image missing": (
        """Creating network "books-ms_default" with the default driver
Pulling app (nope/nope:1)...
Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host""",
        'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host',
    ),
    "v2, image missing": (
        """ app Pulling
 app Error Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host
Error response from daemon: pull access denied for nope/nope, repository does not exist""",
        "pull access denied for nope/nope, repository does not exist",
    ),
    "v2, something stops after the error": (
        """Error response from daemon: Conflict. The container name "/db" is already in use by container "24".
 Container books-ms-app-1  Stopping
 Container books-ms-app-1  Stopped""",
        'Conflict. The container name "/db" is already in use by container "24".',
    ),
    "v1, unknown option": (
        """The Compose file './books.yml' is invalid because:
Unsupported config option for services.app: 'imag'""",
        "The Compose file './books.yml' is invalid because: Unsupported config option for services.app: 'imag'",
    ),
    "v1, advice at the end": (
        """The Compose file './books.yml' is invalid because:
'name' does not match any of the regexes: '^x-'

You might be seeing this error because you're using the wrong Compose file version. Either specify a supported version.
For more on the Compose file format versions, see https://docs.docker.com/compose/compose-file/""",
        "The Compose file './books.yml' is invalid because: 'name' does not match any of the regexes: '^x-'",
    ),
    "v1, a reason that begins with nothing known": (
        """Version in "./books.yml" is unsupported.
For more on the Compose file format versions, see https://docs.docker.com/compose/compose-file/""",
        'Version in "./books.yml" is unsupported.',
    ),
    "v2, where help is": (
        """unknown flag: --frob
See 'docker compose up --help'.""",
        "unknown flag: --frob",
    ),
    "v2, unknown option": (
        "validating /books.yml: services.app Additional property imag is not allowed",
        "validating /books.yml: services.app Additional property imag is not allowed",
    ),
    "v1, broken YAML": (
        """yaml.parser.ParserError: while parsing a flow mapping
  in "./books.yml", line 2, column 8
expected ',' or '}', but got ':'
  in "./books.yml", line 3, column 4""",
        'yaml.parser.ParserError: while parsing a flow mapping in "./books.yml", line 2, column 8 '
        "expected ',' or '}', but got ':' in \"./books.yml\", line 3, column 4",
    ),
    "v2, broken YAML": (
        "yaml: line 1: did not find expected ',' or '}'",
        "yaml: line 1: did not find expected ',' or '}'",
    ),
    "progress only": (" Container books-ms-app-1  Started\n", ""),
    "nothing": ("", ""),
}


@pytest.mark.parametrize("text, expected", REASONS.values(), ids=REASONS)
def test_reason(text, expected):
    assert reason(text.splitlines()) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        (REASONS["v1, port taken"][1], "another container or program has that host port"),
        (REASONS["v1, image missing"][1], "build the image"),
        (REASONS["v2, image missing"][1], "build the image"),
        ("No such image: nope:1", "build the image"),
        ("write /var/lib/docker: no space left on device", "free disk space"),
        ("permission denied while trying to connect to the Docker daemon socket", "group docker"),
        (REASONS["v2, something stops after the error"][1], "rename one of them"),
        ("no suitable node (scheduling constraints not satisfied on 2 nodes)", "docker node ls"),
        ("something that nobody has seen", ""),
    ],
)
def test_hint(text, expected):
    assert expected in hint(text)
    assert bool(expected) == bool(hint(text))

"""Where everything is: each setting from file < environment < argument, with where its value came from.

The file is ``jenkins-proxy.yml`` in the working directory, or the one that ``--config`` or ``JENKINS_PROXY_CONFIG``
names: a mapping of the setting names below, in lower case with ``_``. Secrets come from the environment or from a
file that the environment names, never from arguments, so that ``ps`` and the console do not show them.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jenkins_proxy.errors import Problems, UsageError
from jenkins_proxy.validation import meant, nearest

DEFAULT_FILE = "jenkins-proxy.yml"
_TRUE = ("1", "t", "true")


@dataclass(frozen=True)
class SettingSpec:
    """A setting that exists.

    :ivar environment: the variable that gives it; ``<variable>_FILE`` names a file with the value, for secrets.
    :ivar argument: the option that gives it, or empty where none may.
    """

    name: str
    environment: str
    argument: str = ""
    default: str = ""
    secret: bool = False
    url: bool = False
    file: bool = False


SETTINGS = (
    SettingSpec("docker_host", "DOCKER_HOST", "--docker-host", "unix:///var/run/docker.sock"),
    SettingSpec("docker_tls_verify", "DOCKER_TLS_VERIFY"),
    SettingSpec("docker_cert_path", "DOCKER_CERT_PATH"),
    SettingSpec("consul", "CONSUL_HTTP_ADDR", "--consul", "http://127.0.0.1:8500", url=True),
    SettingSpec("consul_token", "CONSUL_HTTP_TOKEN", secret=True),
    SettingSpec("consul_cacert", "CONSUL_CACERT", file=True),
    SettingSpec("consul_client_cert", "CONSUL_CLIENT_CERT", file=True),
    SettingSpec("consul_client_key", "CONSUL_CLIENT_KEY", file=True),
    SettingSpec("proxy", "JENKINS_PROXY_URL", "--proxy", "http://127.0.0.1:8081", url=True),
    SettingSpec("proxy_cacert", "JENKINS_PROXY_CACERT", file=True),
    SettingSpec("proxy_client_cert", "JENKINS_PROXY_CLIENT_CERT", file=True),
    SettingSpec("proxy_client_key", "JENKINS_PROXY_CLIENT_KEY", file=True),
    SettingSpec("entry", "JENKINS_PROXY_ENTRY", "--entry", "http://127.0.0.1", url=True),
    SettingSpec("token", "JENKINS_PROXY_TOKEN", secret=True),
    SettingSpec("candidate_key", "JENKINS_PROXY_CANDIDATE_KEY", secret=True),
    SettingSpec("notify", "JENKINS_PROXY_NOTIFY", secret=True),
)

_PREFIX = "JENKINS_PROXY_"
# What else is read from the environment, or set there for hooks and for the programs of a Jenkins step.
_OTHER_VARIABLES = (
    *("BASE", "CACHE", "CANDIDATE_HEADER", "CANDIDATE_URL", "CHECK", "COMMAND", "CONFIG", "IMAGE", "IMAGE_REGISTRY"),
    *("IMAGE_REGISTRY_PASSWORD", "IMAGE_REGISTRY_USER", "MAX_HEADER", "PARAMS", "PARTS", "PIP_SPEC", "PYTHON"),
    *("REPORTS", "SECRET", "SERVE_OPTIONS", "SERVICE", "STEP", "SUMMARY", "VERSION"),
)


@dataclass(frozen=True)
class Setting:
    """A value and where it came from: ``default``, ``jenkins-proxy.yml``, ``DOCKER_HOST``, ``--docker-host`` …"""

    value: str
    source: str


class Settings:
    """All settings, resolved. ``settings.consul`` is a value, ``settings.source("consul")`` where it came from."""

    def __init__(self, values: Mapping[str, Setting]) -> None:
        self._values = dict(values)

    def __getattr__(self, name: str) -> str:
        try:
            values: Mapping[str, Setting] = self.__dict__["_values"]
            return values[name].value
        except KeyError:
            raise AttributeError(name) from None

    def source(self, name: str) -> str:
        return self._values[name].source

    def given(self, name: str) -> bool:
        """Whether anyone set it: file, environment or argument."""
        return self._values[name].source != "default"

    def docker_environment(self) -> dict[str, str]:
        """The environment for Docker's own programs: ours, with the Docker settings as resolved.

        Secrets of ours are left out: a compose file could print or pass on what it finds there.
        """
        hidden = {spec.environment for spec in SETTINGS if spec.secret} | {"JENKINS_TOKEN", "JENKINS_PROXY_PARAMS"}
        env = {name: value for name, value in os.environ.items() if name not in hidden}
        for spec in SETTINGS:
            if spec.name.startswith("docker_") and self.given(spec.name):
                env[spec.environment] = self._values[spec.name].value
        return env


def resolve(arguments: Mapping[str, Any], environ: Mapping[str, str] | None = None, file: str = "") -> Settings:
    """Resolve every setting.

    :param arguments: parsed options by setting name; None and missing mean not given.
    :param environ: the environment; this process's when not given.
    :param file: the settings file; when empty ``JENKINS_PROXY_CONFIG``, then ``jenkins-proxy.yml`` if there is one.
    :raises UsageError: for an unreadable file, an unknown key, or addresses that are none, all of them.
    """
    environ = os.environ if environ is None else environ
    path, from_file = _read_file(file or environ.get("JENKINS_PROXY_CONFIG", ""))
    secure = environ.get("CONSUL_HTTP_SSL", "").lower() in _TRUE

    def value(spec: SettingSpec) -> Setting:
        return checked(spec, _pick(spec, arguments, environ, from_file, path), secure=secure and spec.name == "consul")

    problems = Problems()
    values = {spec.name: problems.gather(functools.partial(value, spec)) for spec in SETTINGS}
    problems.raise_any()
    return Settings({name: setting for name, setting in values.items() if setting})


def misspelt(environ: Mapping[str, str]) -> list[str]:
    """Variables that look like one of ours and are none, each with what may be meant, for people.

    Only what is near: a machine may have variables of its own with our prefix.
    """
    own = [spec.environment.removeprefix(_PREFIX) for spec in SETTINGS if spec.environment.startswith(_PREFIX)]
    known = [*own, *(spec.environment.removeprefix(_PREFIX) + "_FILE" for spec in SETTINGS if spec.secret)]
    known += _OTHER_VARIABLES
    unknown = sorted(name for name in environ if name.startswith(_PREFIX) and name.removeprefix(_PREFIX) not in known)
    guesses = {name: nearest(name.removeprefix(_PREFIX), known, 0.75) for name in unknown}
    return [f"{name} is not read: is {_PREFIX}{guess} meant?" for name, guess in guesses.items() if guess]


def _pick(
    spec: SettingSpec, arguments: Mapping[str, Any], environ: Mapping[str, str], from_file: Mapping[str, Any], path: str
) -> Setting:
    if spec.argument and arguments.get(spec.name) is not None:
        return Setting(str(arguments[spec.name]), spec.argument)
    if environ.get(spec.environment):
        return Setting(environ[spec.environment], spec.environment)
    if spec.secret and environ.get(spec.environment + "_FILE"):
        return Setting(_secret_file(environ[spec.environment + "_FILE"]), spec.environment + "_FILE")
    # Docker reads any text as a yes, `False` included: a switch that is off in the file is not given.
    if from_file.get(spec.name) not in (None, "", False):
        return Setting(str(from_file[spec.name]), path)
    return Setting(spec.default, "default")


def _secret_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the secret file {path}: {error}") from error


def _read_file(given: str) -> tuple[str, Mapping[str, Any]]:
    path = given or DEFAULT_FILE
    if not given and not os.path.exists(path):
        return path, {}
    import yaml

    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read the settings file {path}: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise UsageError(f"the settings file {path} holds no mapping")
    names = [spec.name for spec in SETTINGS if not spec.secret]
    for key in data:
        if key not in names:
            raise UsageError(f"{path}: unknown setting {key!r}{meant(str(key), names)}", f"known: {', '.join(names)}")
    return path, data


def checked(spec: SettingSpec, setting: Setting, *, secure: bool = False) -> Setting:
    """The setting in the form in which it is used.

    :param secure: whether an address without a scheme means HTTPS.
    :raises UsageError: for a value that is not allowed, in the words of the setting's source.
    """
    value = setting.value
    if spec.secret:
        # A newline in a header would start another header.
        if not re.fullmatch(r"[\x21-\x7e]*", value):
            raise UsageError(f"{setting.source} holds a character that cannot stand in a header")
        return setting
    if spec.url and "://" not in value:
        # Consul's own tools take CONSUL_HTTP_ADDR=127.0.0.1:8500, and the article says `proxy:8081`.
        value = ("https://" if secure else "http://") + value
    if spec.url:
        _check_url(setting.source, value)
        return Setting(value.rstrip("/"), setting.source)
    if spec.file and value and not os.access(value, os.R_OK):
        raise UsageError(f"{setting.source}: the file {value} cannot be read")
    return setting


def _check_url(source: str, value: str) -> None:
    if re.search(r"[@?#]", value):
        # Not shown: what stands there may be a password.
        raise UsageError(
            f"{source}: an address with a user, a password, a query or a fragment in it is not taken",
            "give tokens through the environment: CONSUL_HTTP_TOKEN, JENKINS_PROXY_TOKEN",
        )
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or not re.fullmatch(r"[\x21-\x7e]+", value):
        raise UsageError(f"{source}: {value!r} is not an http:// or https:// address")

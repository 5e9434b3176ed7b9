from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import jenkins_proxy
from jenkins_proxy.errors import UsageError
from jenkins_proxy.settings import misspelt, resolve


@pytest.fixture
def file(tmp_path):
    """``file(text)`` writes a settings file and gives its path."""

    def write(text: str) -> str:
        path = tmp_path / "settings.yml"
        path.write_text(text)
        return str(path)

    return write


def test_defaults():
    found = resolve({}, {})
    assert found.docker_host == "unix:///var/run/docker.sock"
    assert (found.consul, found.proxy, found.entry) == (
        "http://127.0.0.1:8500",
        "http://127.0.0.1:8081",
        "http://127.0.0.1",
    )
    assert found.token == ""
    assert not found.given("consul")


def test_file_then_environment_then_argument(file):
    path = file("consul: http://file:8500\n")
    assert (resolve({}, {}, path).consul, resolve({}, {}, path).source("consul")) == ("http://file:8500", path)
    environ = {"CONSUL_HTTP_ADDR": "http://environment:8500"}
    assert resolve({}, environ, path).consul == "http://environment:8500"
    found = resolve({"consul": "http://argument:8500", "proxy": None}, environ, path)
    assert (found.consul, found.source("consul")) == ("http://argument:8500", "--consul")
    assert found.source("proxy") == "default"


def test_the_file_is_in_the_working_directory_or_named(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve({}, {}).source("entry") == "default"
    (tmp_path / "jenkins-proxy.yml").write_text("entry: http://here\n")
    assert resolve({}, {}).source("entry") == "jenkins-proxy.yml"
    assert resolve({}, {"JENKINS_PROXY_CONFIG": file("entry: http://named\n")}).entry == "http://named"


@pytest.mark.parametrize(
    "text, message",
    [
        ("tokn: x\n", "unknown setting 'tokn'"),
        ("consl: x\n", "unknown setting 'consl' .is consul meant"),
        ("token: x\n", "unknown setting 'token'"),
        ("- consul\n", "holds no mapping"),
        ("consul: [\n", "cannot read the settings file"),
    ],
)
def test_files_that_are_wrong(file, text, message):
    with pytest.raises(UsageError, match=message):
        resolve({}, {}, file(text))


def test_a_named_file_must_be_there(tmp_path):
    with pytest.raises(UsageError, match="cannot read the settings file .*/none.yml"):
        resolve({}, {}, str(tmp_path / "none.yml"))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", ""),
        ("docker_tls_verify: false\n", ""),
        ("docker_tls_verify: 1\n", "1"),
    ],
)
def test_a_switch_that_is_off_in_the_file_is_not_given(file, text, expected):
    found = resolve({}, {}, file(text))
    assert found.docker_tls_verify == expected
    assert found.given("docker_tls_verify") is bool(expected)


@pytest.mark.parametrize(
    "given, expected",
    [
        ("127.0.0.1:8500", "http://127.0.0.1:8500"),
        ("https://consul.example.com/", "https://consul.example.com"),
        ("http://[::1]:8500", "http://[::1]:8500"),
    ],
)
def test_addresses(given, expected):
    assert resolve({"consul": given}, {}).consul == expected


@pytest.mark.parametrize(
    ("address", "ssl", "expected"),
    [
        ("consul:8501", "true", "https://consul:8501"),
        ("consul:8501", "1", "https://consul:8501"),
        ("consul:8500", "false", "http://consul:8500"),
        ("http://consul:8500", "true", "http://consul:8500"),
    ],
)
def test_consuls_own_switch_for_https(address, ssl, expected):
    found = resolve({}, {"CONSUL_HTTP_ADDR": address, "CONSUL_HTTP_SSL": ssl, "JENKINS_PROXY_URL": "proxy:8081"})
    assert (found.consul, found.proxy) == (expected, "http://proxy:8081")


@pytest.mark.parametrize(
    "given",
    [
        "ftp://here",
        "http://",
        "http://a:port",
        "http://a:0",
        "http://a b",
        "http://a\n:1",
        "http://\u00fc",
        "http://[::1",
    ],
)
def test_addresses_that_are_none(given):
    with pytest.raises(UsageError, match="--consul: .* is not an http:// or https:// address"):
        resolve({"consul": given}, {})


def test_all_addresses_that_are_none_are_in_one_answer():
    with pytest.raises(UsageError) as caught:
        resolve({"consul": "ftp://a"}, {"JENKINS_PROXY_URL": "http://b:0"})
    assert caught.value.message == (
        "2 problems: (1) --consul: 'ftp://a' is not an http:// or https:// address "
        "(2) JENKINS_PROXY_URL: 'http://b:0' is not an http:// or https:// address"
    )


@pytest.mark.parametrize(
    "given",
    [
        "http://user:s3cr3t@here",
        "ftp://user:s3cr3t@here",
        "s3cr3t@here",
        "http://here?token=s3cr3t",
        "http://here#s3cr3t",
    ],
)
def test_addresses_with_a_secret_are_refused_and_not_shown(given):
    with pytest.raises(UsageError, match="is not taken") as caught:
        resolve({}, {"CONSUL_HTTP_ADDR": given})
    assert "s3cr3t" not in caught.value.message + caught.value.hint
    assert caught.value.message.startswith("CONSUL_HTTP_ADDR: ")


def test_a_secret_from_the_environment_or_from_a_file_that_it_names(tmp_path):
    secret = tmp_path / "token"
    secret.write_text("s3cr3t\n")
    assert resolve({}, {"JENKINS_PROXY_TOKEN": "direct"}).token == "direct"
    found = resolve({}, {"JENKINS_PROXY_TOKEN_FILE": str(secret)})
    assert (found.token, found.source("token")) == ("s3cr3t", "JENKINS_PROXY_TOKEN_FILE")
    with pytest.raises(UsageError, match="cannot read the secret file"):
        resolve({}, {"JENKINS_PROXY_TOKEN_FILE": str(tmp_path / "none")})


def test_a_secret_is_not_taken_from_an_argument():
    assert resolve({"token": "s3cr3t"}, {}).token == ""


@pytest.mark.parametrize("secret", ["a\nX-Evil: 1", "a b", "\u00fc"])
def test_a_secret_that_cannot_stand_in_a_header_is_not_shown(secret):
    with pytest.raises(UsageError, match="JENKINS_PROXY_TOKEN holds a character") as caught:
        resolve({}, {"JENKINS_PROXY_TOKEN": secret})
    assert secret not in caught.value.message


def test_an_unknown_name_is_a_bug():
    with pytest.raises(AttributeError, match="consull"):
        resolve({}, {}).consull  # noqa: B018


def test_dockers_programs_get_the_docker_settings_and_no_secret_of_ours(monkeypatch, file):
    for name in ("CONSUL_HTTP_TOKEN", "JENKINS_PROXY_TOKEN", "JENKINS_TOKEN", "JENKINS_PROXY_PARAMS"):
        monkeypatch.setenv(name, "s3cr3t")
    monkeypatch.setenv("BUILD_TAG", "jenkins-books-7")
    path = file("docker_host: tcp://10.0.0.5:2375\ndocker_cert_path: /certificates\n")
    env = resolve({}, os.environ, path).docker_environment()
    assert "s3cr3t" not in env.values()
    assert env["DOCKER_HOST"] == "tcp://10.0.0.5:2375"
    assert env["DOCKER_CERT_PATH"] == "/certificates"
    assert env["BUILD_TAG"] == "jenkins-books-7"
    assert "DOCKER_TLS_VERIFY" not in env
    assert "DOCKER_HOST" not in resolve({}, os.environ).docker_environment()


@pytest.mark.parametrize("name", ["CONSUL_CACERT", "CONSUL_CLIENT_CERT", "CONSUL_CLIENT_KEY", "JENKINS_PROXY_CACERT"])
def test_a_certificate_that_cannot_be_read(name, tmp_path):
    file = tmp_path / "ca.pem"
    with pytest.raises(UsageError, match=f"{name}: the file .*ca.pem cannot be read"):
        resolve({}, {name: str(file)})
    file.write_text("")
    resolve({}, {name: str(file)})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("JENKINS_PROXY_TOKEN", ""),
        ("JENKINS_PROXY_TOKEN_FILE", ""),
        ("JENKINS_PROXY_PARAMS", ""),
        ("JENKINS_PROXY_TOKNE", "JENKINS_PROXY_TOKNE is not read: is JENKINS_PROXY_TOKEN meant?"),
        ("JENKINS_PROXY_CA_CERT", "JENKINS_PROXY_CA_CERT is not read: is JENKINS_PROXY_CACERT meant?"),
        ("JENKINS_PROXY_URLS", "JENKINS_PROXY_URLS is not read: is JENKINS_PROXY_URL meant?"),
        # Somebody else's.
        ("JENKINS_PROXY_HOME", ""),
        ("JENKINS_PROXY_", ""),
        ("CONSUL_HTTP_TOKNE", ""),
    ],
)
def test_a_variable_that_is_misspelt_is_told_and_its_value_is_not(name, said):
    assert misspelt({name: "s3cret"}) == ([said] if said else [])


def test_no_variable_that_the_project_uses_is_called_misspelt():
    root = Path(jenkins_proxy.__file__).parent.parent
    files = [
        path
        for room in ("jenkins_proxy", "vars", "resources")
        for path in (root / room).rglob("*.*")
        if path.suffix != ".pyc"
    ]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in files if path.is_file()]
    used = {name for text in texts for name in re.findall(r"JENKINS_PROXY_[A-Z_]*[A-Z]", text)}
    assert len(used) > 30
    assert misspelt(dict.fromkeys(used, "")) == []

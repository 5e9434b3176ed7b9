from __future__ import annotations

import socket
import ssl

import pytest
import requests

from jenkins_proxy import errors


@pytest.mark.parametrize(
    "name, code",
    [
        ("JenkinsProxyError", 1),
        ("UsageError", 2),
        ("WaitTimeout", 3),
        ("RemoteError", 4),
        ("DockerError", 4),
        ("RegistryError", 4),
        ("ProxyError", 4),
        ("JenkinsServerError", 4),
        ("DeployFailed", 5),
        ("ProbeFailed", 6),
        ("Stopped", 143),
    ],
)
def test_exit_codes(name, code):
    assert getattr(errors, name).exit_code == code


def test_a_signal_is_not_swallowed_by_a_broad_except():
    assert not issubclass(errors.Stopped, Exception)


def test_message_and_hint():
    error = errors.UsageError("no compose file at books.yml", "give it with -f")
    assert (str(error), error.hint) == ("no compose file at books.yml", "give it with -f")


def test_root_cause_of_what_requests_raises(free_port):
    with pytest.raises(requests.RequestException) as caught:
        requests.get(f"http://127.0.0.1:{free_port()}", timeout=5)
    assert errors.root_cause(caught.value) == "connection refused"


def chained(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def refused_by_tls(reason: str) -> ssl.SSLError:
    # OpenSSL's numbers look like the operating system's: 1 is not EPERM.
    error = ssl.SSLError(1, f"[SSL: {reason}] (_ssl.c:1006)")
    error.reason = reason
    return error


def untrusted(message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed (_ssl.c:1006)")
    error.verify_message = message
    return error


@pytest.mark.parametrize(
    "error, expected",
    [
        (ConnectionRefusedError(111, "Connection refused"), "connection refused"),
        (chained(ValueError("outer"), FileNotFoundError(2, "No such file or directory")), "no such file or directory"),
        (chained(ValueError("outer"), socket.gaierror(-2, "Name or service not known")), "the host name is unknown"),
        (
            chained(ValueError("outer"), untrusted("unable to get local issuer certificate")),
            "certificate not trusted: unable to get local issuer certificate",
        ),
        (chained(ValueError("outer"), refused_by_tls("WRONG_VERSION_NUMBER")), "wrong version number"),
        (requests.ReadTimeout("HTTPConnectionPool: Read timed out."), "no answer in time"),
        (ValueError("two\nlines"), "two lines"),
        (ValueError(), "ValueError"),
    ],
)
def test_root_cause(error, expected):
    assert errors.root_cause(error) == expected


def test_root_cause_of_a_ring_ends():
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert errors.root_cause(first) == "second"


def test_what_was_tried_before_is_no_cause():
    try:
        try:
            raise TypeError("unexpected keyword argument 'buffering'")
        except TypeError:
            raise ConnectionError("closed without response") from None
    except ConnectionError as error:
        assert errors.root_cause(error) == "closed without response"


def test_a_timeout_of_any_library_is_one():
    # As that of urllib3.
    assert errors.root_cause(type("TimeoutError", (Exception,), {})()) == "no answer in time"

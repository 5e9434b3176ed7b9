"""The adapter against a server that fails as Jenkins does. Each trap is one of python-jenkins."""

from __future__ import annotations

import logging

import jenkins
import pytest

from jenkins_proxy.errors import JenkinsServerError
from jenkins_proxy.seeding import jenkins_server as adapter
from jenkins_proxy.seeding.items import FOLDER, JOB, VIEW, Present, marked
from jenkins_proxy.seeding.jenkins_server import JenkinsServer, Refused

JOB_XML = "<flow-definition><description>ü</description></flow-definition>"


def failure(action) -> JenkinsServerError:
    with pytest.raises(JenkinsServerError) as caught:
        action()
    return caught.value


def test_the_first_request_carries_the_login(fake) -> None:
    assert fake.connect().connect() == "2.421"
    assert fake.requests == [("GET", "/me/api/json")]
    assert fake.headers[0]["Authorization"].startswith("Basic ")


def test_kerberos_is_not_tried_even_where_it_is_installed(fake, monkeypatch: pytest.MonkeyPatch) -> None:
    class Kerberos:
        class HTTPKerberosAuth:
            def __call__(self, request):
                raise AssertionError("a login that nobody asked for")

    monkeypatch.setattr(jenkins, "requests_kerberos", Kerberos)
    assert fake.connect().connect() == "2.421"
    assert len(fake.requests) == 1


def test_what_is_no_jenkins(fake, answer) -> None:
    fake.fault("GET", "/me/api/json", answer(200, b"{}", {"X-Jenkins": None}))
    assert failure(fake.connect().connect).message == f"what answers at {fake.url} is no Jenkins"


def test_a_jenkins_that_only_redirects_is_refused_before_a_post_gets_lost(fake, answer) -> None:
    fake.fault("GET", "/me/api/json", answer(302, headers={"Location": f"{fake.url}/ci/me/api/json"}))
    fake.fault("GET", "/ci/me/api/json", answer(200, b"{}"))
    error = failure(fake.connect().connect)
    assert error.message == f"{fake.url} only redirects to {fake.url}/ci"
    assert error.hint == f"use --jenkins {fake.url}/ci"


@pytest.mark.parametrize(
    ("status", "headers", "body", "reason"),
    [
        (
            400,
            {"X-Error": "A job already exists with the name x"},
            b"<html>",
            "400 A job already exists with the name x",
        ),
        (401, {}, b"<html><head><title>Error 401 Unauthorized</title>", "401 Error 401 Unauthorized"),
        (
            403,
            {"X-Required-Permission": "hudson.model.Item.Create"},
            b"",
            "403 Forbidden: the permission Item.Create is missing",
        ),
        (404, {}, b"", "404 Not Found"),
        (409, {}, b"", "409 Conflict"),
        (500, {}, b"<html><h1>Oops\n!</h1><pre>java.lang.Exception\n\tat x</pre>", "500 Oops !"),
        (503, {}, b"", "503 Service Unavailable"),
    ],
)
def test_every_status_is_one_error_of_one_line(fake, answer, status, headers, body, reason) -> None:
    """python-jenkins raises its own for 401, 403, 404 and 500, and lets those of requests through for others."""
    fake.fault("GET", "/job/x/config.xml", answer(status, body, headers))
    error = failure(lambda: fake.connect().config(JOB, "x"))
    assert isinstance(error, Refused)
    assert error.status == status
    assert error.message == f"cannot read the job x from Jenkins at {fake.url}: {reason}"
    assert bool(error.hint) == (status in (401, 403, 503))


def test_nobody_listens(free_port) -> None:
    error = failure(JenkinsServer(f"http://127.0.0.1:{free_port()}", "a", "b").connect)
    assert not isinstance(error, Refused)
    assert "connection refused" in error.message
    assert "\n" not in error.message


def test_a_closed_connection(fake, answer) -> None:
    fake.fault("GET", "/me/api/json", answer(silent=True))
    assert "without response" in failure(fake.connect().connect).message


def test_silence_ends_with_the_time_limit(fake, answer) -> None:
    """python-jenkins has none by default."""
    fake.fault("GET", "/me/api/json", answer(hang=True))
    assert "no answer in time" in failure(fake.connect(timeout=0.2).connect).message


def test_there_is_a_time_limit_even_when_none_is_given(fake) -> None:
    assert fake.connect()._client.timeout == 30.0


def test_config_is_bytes_whatever_the_content_type_says(fake, answer) -> None:
    """python-jenkins decodes text/xml without a charset as Latin-1."""
    fake.fault("GET", "/job/x/config.xml", answer(200, JOB_XML.encode(), {"Content-Type": "text/xml"}))
    assert fake.connect().config(JOB, "x").decode() == JOB_XML


def test_writes_are_utf_8_to_the_address_of_the_item(fake) -> None:
    server = fake.connect()
    server.create(FOLDER, "a#", "<com.cloudbees.hudson.plugins.folder.Folder/>")
    server.create(JOB, "a#/ü b?", JOB_XML)
    server.update(JOB, "a#/ü b?", JOB_XML)
    server.create(VIEW, "a#/v", "<hudson.model.ListView/>")
    server.delete(JOB, "a#/ü b?")
    server.delete(VIEW, "a#/v")
    assert fake.writes() == [
        "/createItem",
        "/job/a%23/createItem",
        "/job/a%23/job/%C3%BC%20b%3F/config.xml",
        "/job/a%23/createView",
        "/job/a%23/job/%C3%BC%20b%3F/doDelete",
        "/job/a%23/view/v/doDelete",
    ]
    assert fake.bodies[fake.requests.index(("POST", "/job/a%23/createItem"))] == JOB_XML.encode()
    assert list(fake.configs) == [(FOLDER, "a#")]


def test_a_folder_that_cannot_be_made_is_an_error(fake, answer) -> None:
    """python-jenkins' create_folder can hide every 400, and tells 404 apart from it."""
    fake.fault("POST", "/createItem", answer(400, headers={"X-Error": "? is an unsafe character"}), answer(404))
    assert failure(lambda: fake.connect().create(FOLDER, "a", "<f/>")).status == 400
    assert failure(lambda: fake.connect().create(FOLDER, "a", "<f/>")).status == 404


def test_the_listing_is_one_request_for_the_whole_tree(fake) -> None:
    fake.put(FOLDER, "a", f"<folder><description>{marked('', 'me').replace('<', '&lt;')}</description></folder>")
    fake.put(JOB, "a/b", "<project/>")
    fake.put(VIEW, "a/v", "<hudson.model.ListView/>")
    server = fake.connect()
    assert server.listing() == [Present(FOLDER, "a", "me"), Present(VIEW, "a/v"), Present(JOB, "a/b")]
    assert len(fake.requests) == 1


def test_an_answer_that_is_not_json_speaks_of_a_login_page(fake, answer) -> None:
    fake.fault("GET", "/api/json", answer(200, b"<html>sign in"))
    assert failure(fake.connect().listing).message == f"{fake.url} did not answer with JSON at /api/json"


def test_a_password_login_gets_a_crumb_and_a_new_one_after_a_restart(fake) -> None:
    """python-jenkins keeps its first crumb for ever."""
    fake.password_login = True
    server = fake.connect()
    server.create(JOB, "a", JOB_XML)
    fake.restart()
    server.create(JOB, "b", JOB_XML)
    assert list(fake.configs) == [(JOB, "a"), (JOB, "b")]
    assert fake.writes() == ["/createItem", "/createItem", "/createItem"]


def test_a_crumb_that_is_refused_twice_is_an_error(fake) -> None:
    fake.password_login = True
    server = fake.connect()
    server.create(JOB, "a", JOB_XML)
    fake._has_crumb = lambda handler: False
    assert "No valid crumb" in failure(lambda: server.create(JOB, "b", JOB_XML)).message
    assert fake.writes() == ["/createItem"] * 3


def test_reading_needs_no_crumb(fake) -> None:
    fake.put(JOB, "a", JOB_XML)
    fake.connect().config(JOB, "a")
    assert fake.requests == [("GET", "/job/a/config.xml")]


def test_the_whole_output_of_a_script(fake, answer) -> None:
    """python-jenkins drops what follows the last line end."""
    fake.fault("POST", "/scriptText", answer(200, b"one\ntwo"))
    assert fake.connect().run_script("print 'one\\ntwo'") == "one\ntwo"


def test_headers_from_the_environment_are_named_and_not_logged(fake, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """python-jenkins logs them with their values, on stderr when nobody has set up logging."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setenv("JENKINS_API_EXTRA_HEADERS", "X-Gate: s3cret")
    fake.connect().connect()
    assert fake.headers[0]["X-Gate"] == "s3cret"
    assert "s3cret" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environ", "warnings"),
    [
        ({}, []),
        ({"PYTHONHTTPSVERIFY": "1", "JENKINS_API_EXTRA_HEADERS": ""}, []),
        ({"PYTHONHTTPSVERIFY": "0"}, ["PYTHONHTTPSVERIFY=0: Jenkins' certificate is not checked"]),
        (
            {"JENKINS_API_EXTRA_HEADERS": "X-A: s3cret\nX-B: y"},
            ["JENKINS_API_EXTRA_HEADERS adds to every request: X-A, X-B"],
        ),
    ],
)
def test_what_the_environment_changes_is_said(environ: dict, warnings: list[str]) -> None:
    assert adapter.environment_warnings(environ) == warnings


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        (b'{"status":"ok","data":{"result":"success"}}', []),
        (
            b'{"status":"ok","data":{"result":"failure","errors":[{"error":"Missing stages"},{"error":["a","b"]}]}}',
            ["Missing stages", "a", "b"],
        ),
    ],
)
def test_checking_a_declarative_script(fake, answer, body: bytes, problems: list[str]) -> None:
    fake.fault("POST", "/pipeline-model-converter/validateJenkinsfile", answer(200, body))
    assert fake.connect().check_script("pipeline {}") == problems


def test_a_jenkins_without_declarative_has_nothing_against_a_script(fake) -> None:
    assert fake.connect().check_script("pipeline {}") == []


def test_credentials_of_everybody_and_of_a_folder(fake, answer) -> None:
    stores = b'{"domains":{"_":{"credentials":[{"id":"a"}]},"x":{"credentials":[{"id":"b"}]}}}'
    fake.fault("GET", "/credentials/store/system/api/json", answer(200, stores))
    fake.fault("GET", "/job/f/credentials/store/folder/api/json", answer(403))
    assert fake.connect().credential_ids("") == {"a", "b"}
    assert fake.connect().credential_ids("f") is None


def test_an_address_without_its_prefix(fake, answer) -> None:
    fake.fault("GET", "/me/api/json", answer(404, headers={"X-Jenkins": None}))
    with pytest.raises(JenkinsServerError, match="what answers at .* is no Jenkins: it has no page /me") as caught:
        fake.connect().connect()
    assert caught.value.hint == f"where Jenkins' address has a prefix, give that, too: --jenkins {fake.url}/jenkins"

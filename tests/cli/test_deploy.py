"""``deploy`` from its arguments on: bad input has its text and its code, and a report is always there."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

from jenkins_proxy.cli import main

COMPOSE = "services: {app: {image: books, ports: ['8080']}}"


@pytest.fixture
def compose(tmp_path):
    """``compose(text)`` is the path of a compose file."""

    def write(text: str = COMPOSE) -> str:
        path = tmp_path / "docker-compose.yml"
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture
def deploy(consul_url, capsys):
    """``deploy("--path", "/a", …)`` of f2-cli, without a proxy: ``(code, report, text)``."""

    def run(*words: str, service: str = "f2-cli", proxy: str = "--no-proxy") -> tuple[int, dict, str]:
        more = [proxy] if proxy else []
        code = main(["deploy", service, "--consul", consul_url, *more, *words])
        told = capsys.readouterr()
        return code, json.loads(told.out) if told.out else {}, told.err

    return run


@pytest.fixture(scope="module")
def no_daemon() -> str:
    """Where something else than the daemon answers: that is told at once, while one that is away gets some seconds."""

    class Silent(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


NASTY = ["/a b", "/a\nb", '/a"b', "/a'b", "/a%0ab", "/{{", "/../x", "/" + "a" * 10_000, "a", "/a\\b", "/a#b"]


@pytest.mark.parametrize("path", NASTY, ids=lambda path: repr(path)[:20])
def test_a_path_that_is_none(deploy, compose, path, no_daemon):
    code, report, text = deploy(f"--path={path}", "-f", compose(), "--proxy", no_daemon, proxy="")

    assert code == 2
    assert f"--path {repr(path)[:50]}" in report["error"]["message"]
    assert len(text.splitlines()) < 10


@pytest.mark.parametrize("service", ["a b", "a\nb", "a/b", "..", "{{", "a" * 10_000, "a%0ab", "a'b", ""])
def test_a_name_that_is_none(deploy, compose, service):
    code, report, _ = deploy("-f", compose(), "-p", "f2-cli", service=service)

    assert code == 2
    assert f"service {repr(service)[:50]}" in report["error"]["message"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scale", "0"], "argument --scale: '0' is not a whole number above 0"),
        (["--timeout", "soon"], "argument --timeout: 'soon' is not a number of seconds"),
        (["--strategy", "canary"], "argument --strategy: invalid choice: 'canary'"),
        (["--pathh", "/a"], "unrecognized arguments: --pathh /a"),
    ],
)
def test_arguments_that_are_none(deploy, words, message):
    code, report, text = deploy(*words)

    assert code == 2
    assert report == {}
    assert message in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "services: {app: {image: x, ports: ['8080']}, web: {image: x, ports: ['80']}}",
            "several services publish a port",
        ),
        ("services: {app: {image: x}}", "no service publishes a port"),
        ("services: [", "yaml"),
        ("services: {app: {imagee: x}}", "imagee"),
    ],
)
def test_a_compose_file_that_does_not_do(deploy, compose, text, message):
    code, report, _ = deploy("-f", compose(text))

    assert code == 2
    assert message in report["error"]["message"]


def test_a_target_that_is_not_there(deploy, compose):
    code, report, _ = deploy("-f", compose(), "--target", "web")

    assert code == 2
    assert "no service 'web'" in report["error"]["message"]


@pytest.mark.parametrize("name", ["..", "b" * 10_000])
def test_a_bad_name_is_one_problem_of_one_short_line(compose, no_daemon, name, capsys):
    assert main(["deploy", name, "--path=/b", "-f", compose(), "--proxy", no_daemon]) == 2
    message = json.loads(capsys.readouterr().out)["error"]["message"]
    assert message.count("service '") == 1
    assert "project" not in message
    assert len(message) < 1000


def test_one_target_is_scaled(consul_url, compose, capsys):
    words = ["--target", "app", "--target", "worker", "-f", compose(), "--consul", consul_url]
    assert main(["scale", "f2-cli", "2", *words]) == 2
    assert "scale changes one target, and --target names app, worker" in capsys.readouterr().err


def test_long_names_are_told_by_their_beginning(deploy, compose):
    for option in ("--target", "-p"):
        code, report, _ = deploy("-f", compose(), option, "b" * 10_000)
        assert code == 2
        assert "(10000 characters)" in report["error"]["message"]
        assert len(report["error"]["message"]) < 1000


def test_no_compose_file_is_given_and_none_is_here(deploy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, report, _ = deploy()
    assert code == 2
    assert report["error"]["message"].startswith("no -f is given, and here: ")


def test_a_compose_file_that_is_not_there(deploy, tmp_path):
    code, report, _ = deploy("-f", str(tmp_path / "no.yml"))

    assert code == 2
    assert "no.yml" in report["error"]["message"]


def test_a_regular_expression_cannot_be_probed(deploy, compose, no_daemon):
    code, report, _ = deploy("--path=/a.*", "--path-type=path_reg", "-f", compose(), "--proxy", no_daemon, proxy="")

    assert code == 2
    assert "names no page to probe" in report["error"]["message"]
    assert "--check-path" in report["error"]["hint"]


def test_neither_a_path_nor_a_domain(deploy, compose, no_daemon):
    code, report, _ = deploy("-f", compose(), "--proxy", no_daemon, proxy="")

    assert code == 2
    assert "has neither a path nor a domain" in report["error"]["message"]


def test_blue_green_without_a_route(deploy, compose):
    code, report, _ = deploy("-f", compose(), "--strategy", "blue-green")

    assert code == 2
    assert "--strategy blue-green switches a route" in report["error"]["message"]


def test_no_engine(deploy, compose, free_port):
    code, report, _ = deploy("-f", compose(), "--docker-host", f"tcp://127.0.0.1:{free_port()}")

    assert code == 4
    assert "Docker" in report["error"]["message"]


def test_no_registry(compose, free_port, capsys):
    built = COMPOSE.replace("image:", "build: ., image:")
    code = main(["deploy", "f2-cli", "--no-proxy", "-f", compose(built), "--consul", f"http://127.0.0.1:{free_port()}"])

    report = json.loads(capsys.readouterr().out)
    assert code == 4
    assert report["status"] == "failed"
    assert report["error"]["code"] == 4
    assert "registry" in report["error"]["message"]


def test_no_compose(deploy, compose, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")

    code, report, _ = deploy("-f", compose())

    assert code == 2
    assert "installed" in report["error"]["message"]


def test_a_report_that_cannot_be_written(deploy, compose, tmp_path):
    code, _, text = deploy("-f", compose(), "--report", str(tmp_path / "no" / "report.json"))

    assert code == 2
    assert "cannot be written" in text

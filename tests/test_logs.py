"""The daemons' log: one line an event, as text or as JSON, and nothing in it that a line cannot hold."""

from __future__ import annotations

import io
import json
import logging
import re

import pytest

from jenkins_proxy import logs

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture
def logged():
    """``logged(format)`` sets the log up, and gives the stream that it goes to."""
    root, ours = logging.getLogger(), logging.getLogger("jenkins_proxy")
    before = root.handlers[:], root.level, ours.level

    def start(log_format: str, stream: io.StringIO | None = None) -> io.StringIO:
        stream = stream or io.StringIO()
        logs.set_up(log_format, stream)
        return stream

    yield start
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def test_text(logged):
    stream = logged(logs.TEXT)
    log = logging.getLogger("jenkins_proxy.registrator.sync")
    log.info("added %s", "h:a:80")
    log.warning("no registry answers")
    log.error("it cannot listen", extra={"hint": "choose another port"})
    lines = stream.getvalue().splitlines()
    assert [re.sub(rf"^{TIME} ", "", line) for line in lines] == [
        "INFO    added h:a:80",
        "WARNING no registry answers",
        "ERROR   it cannot listen (choose another port)",
    ]
    assert all(re.match(TIME, line) for line in lines)


def test_json(logged):
    stream = logged(logs.JSON)
    log = logging.getLogger("jenkins_proxy.proxy.daemon")
    log.info("added %s", "h:a\n80", extra={"service": "books-ms", "port": 0})
    log.error("it cannot listen", extra={"hint": ""})
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert re.fullmatch(TIME, first.pop("time"))
    assert first == {
        "level": "info",
        "logger": "jenkins_proxy.proxy.daemon",
        "message": "added h:a\n80",
        "service": "books-ms",
        "port": 0,
    }
    assert second.keys() == {"time", "level", "logger", "message"}


def test_a_traceback(logged):
    for log_format in logs.FORMATS:
        stream = logged(log_format)
        try:
            raise ValueError("bug")
        except ValueError:
            logging.getLogger("jenkins_proxy.x").exception("it failed")
        if log_format == logs.JSON:
            line = json.loads(stream.getvalue())
            assert (line["message"], line["exception"].splitlines()[-1]) == ("it failed", "ValueError: bug")
        else:
            assert stream.getvalue().splitlines()[-1] == "ValueError: bug"


@pytest.mark.parametrize("text", ["a\nERROR forged", "a\rb", "a\x1b[2Jb", "a\u2028b"])
def test_a_message_is_one_line(logged, text):
    stream = logged(logs.TEXT)
    logging.getLogger("jenkins_proxy.x").info("%s", text)
    [line] = stream.getvalue().splitlines()
    assert line.isprintable()


def test_libraries_only_warn(logged):
    stream = logged(logs.TEXT)
    logging.getLogger("aiohttp.access").info("GET /")
    logging.getLogger("jenkins_proxy.x").debug("detail")
    assert stream.getvalue() == ""
    logging.getLogger("asyncio").warning("slow")
    assert "WARNING slow" in stream.getvalue()


def test_a_reader_that_is_gone_ends_nothing(logged, capsys):
    class Closed(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    logged(logs.TEXT, Closed())
    logging.getLogger("jenkins_proxy.x").info("nobody reads it")
    assert capsys.readouterr().err == ""

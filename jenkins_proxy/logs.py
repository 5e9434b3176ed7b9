"""How the daemons log, to stderr: a line an event, as text for people or as JSON for machines.

    2026-11-27T10:02:41.123Z INFO    added host:books_1:8080: books-ms at 127.0.0.1:32768
    {"time": "2026-11-27T10:02:41.123Z", "level": "info", "logger": "jenkins_proxy.registrator.sync", "message": "..."}

Each module logs by ``logging.getLogger(__name__)``. What it gives as ``extra`` is a field of its own in JSON, but for
``hint``, which is in the text, too.
"""

from __future__ import annotations

import datetime
import json
import logging
import sys
from typing import Any, TextIO

from jenkins_proxy.console import printable

TEXT, JSON = "text", "json"
FORMATS = (TEXT, JSON)

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def set_up(log_format: str = TEXT, stream: TextIO | None = None) -> None:
    """Log to a stream from now on: what this package says from INFO on, and what libraries warn of.

    :param log_format: one of :data:`FORMATS`.
    :param stream: where to; ``sys.stderr`` when not given.
    """
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == JSON else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("jenkins_proxy").setLevel(logging.INFO)


class TextFormatter(logging.Formatter):
    """Time, level and text in one line; a traceback follows in lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        hint = getattr(record, "hint", "")
        # A control character in the name of a container must not move the cursor or forge a line of ours.
        text = printable(record.getMessage() + (f" ({hint})" if hint else ""))
        traceback = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{_time(record)} {record.levelname:<7} {text}{traceback}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time``, ``level``, ``logger``, ``message``, the extra fields, and ``exception``."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(
            (name, value) for name, value in vars(record).items() if name not in _STANDARD_FIELDS and value != ""
        )
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        # A daemon goes on when whoever read its log is gone.
        if not isinstance(sys.exc_info()[1], BrokenPipeError):
            super().handleError(record)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""How the daemons log."""

from __future__ import annotations

import json
import logging
import sys
import time

from jenkins_proxy.console import PREFIX


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        hint = getattr(record, "hint", "")
        return f"{PREFIX} {self.formatTime(record)} {record.levelname} {super().format(record)}" + f" ({hint})" * bool(
            hint
        )


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        entry = {"time": moment, "level": record.levelname.lower(), "logger": record.name}
        return json.dumps({**entry, "message": super().format(record)})


def set_up(log_format: str) -> None:
    """Let every log record of the process go to stderr, a line each.

    :param log_format: ``text`` or ``json``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)

"""What compose is asked for before a deploy begins."""

from __future__ import annotations

import os

import pytest

from jenkins_proxy.console import Console
from jenkins_proxy.errors import UsageError
from jenkins_proxy.orchestrator.runner import Program, Runner, file_arguments
from jenkins_proxy.orchestrator.timing import Timing


def test_compose_files_that_are_not_read_in_time():
    # In the place of a compose that waits for a file of another machine.
    hanging = Runner(Program("compose-v2", ("sleep",), "2.26.1"), os.environ, Console(), Timing(config=0.2))
    with pytest.raises(UsageError, match="^sleep 1000 did not end within 0.2 s$"):
        hanging.config(["1000"], ["docker-compose.yml"])


def test_files_that_are_not_there(tmp_path):
    there = tmp_path / "there.yml"
    there.write_text("")
    assert file_arguments([str(there), str(there)], "-c") == ["-c", str(there), "-c", str(there)]
    with pytest.raises(UsageError, match="no compose file at nope.yml, .*/gone.yml"):
        file_arguments([str(there), "nope.yml", str(tmp_path / "gone.yml")], "-f")

"""A process that all workers share ends with the last of them, or with the run."""

from __future__ import annotations

import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fixtures.shared import daemon_of_all


@pytest.fixture
def share(tmp_path_factory, wait_for):
    """``with share() as pid`` is a worker that uses the process of this ID."""
    name = f"process-{uuid.uuid4().hex}"

    def start(folder: Path, launch) -> None:
        launch(["sh", "-c", "echo $$; exec sleep 1000"], folder / "log")
        wait_for((folder / "log").read_text, "the process to be ready")

    @contextmanager
    def worker():
        with daemon_of_all(tmp_path_factory, name, start) as folder:
            yield int((folder / "log").read_text())

    return worker


def runs(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        # It may go while it is looked at.
        return False


def test_the_last_ends_it_and_the_next_has_a_new_one(share) -> None:
    first, second = share(), share()
    pid = first.__enter__()
    assert second.__enter__() == pid

    first.__exit__(None, None, None)
    assert runs(pid)
    second.__exit__(None, None, None)
    assert not runs(pid)

    with share() as another:
        assert another != pid
        assert runs(another)


def test_what_does_not_get_ready_is_ended_and_started_again_by_the_next(tmp_path_factory) -> None:
    name, pids = f"process-{uuid.uuid4().hex}", []

    def start(folder: Path, launch) -> None:
        launch(["sleep", "1000"], folder / "log")
        pids.append(int((folder.parent / f"{name}.pid").read_text()))
        raise AssertionError("it is not ready")

    for _ in range(2):
        with pytest.raises(AssertionError, match="not ready"), daemon_of_all(tmp_path_factory, name, start):
            pass
    assert [runs(pid) for pid in pids] == [False, False]


def test_it_ends_with_the_run_however_that_ends(repository, tmp_path, wait_for) -> None:
    log = tmp_path / "log"
    with subprocess.Popen(["sleep", "1000"]) as run:
        guardian = [Path(repository, "tests/fixtures/guardian.py"), str(run.pid), log]
        subprocess.run(
            [sys.executable, *guardian, "sh", "-c", "echo $$; exec sleep 1000"], check=True, capture_output=True
        )
        wait_for(lambda: log.exists() and log.read_text(), "the command to run")
        run.kill()
    wait_for(lambda: not runs(int(log.read_text())), "the command to end")

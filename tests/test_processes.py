"""The one door to processes, with real ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jenkins_proxy import processes
from jenkins_proxy.console import Console
from jenkins_proxy.errors import Stopped, UsageError
from jenkins_proxy.retry import Deadline


def sh(script: str, **options) -> processes.Completed:
    return processes.run(["sh", "-c", script], **options)


def ended(pid: int) -> bool:
    """Whether a process is gone, or only waits for somebody to ask how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_output_is_shown_as_it_comes_and_its_end_kept(capsys):
    done = sh("echo out; echo err >&2; echo; exit 3", console=Console())
    assert (done.returncode, done.timed_out, done.stdout) == (3, False, "")
    assert done.tail == ("out", "err", "")
    assert done.last_line == "err"
    assert capsys.readouterr().err.splitlines()[1:] == ["[jenkins-proxy] < out", "[jenkins-proxy] < err"]


def test_captured_output_is_not_shown(capsys):
    done = sh("echo secret; echo err >&2", console=Console(), capture=True)
    assert (done.stdout, done.tail) == ("secret\n", ("err",))
    assert "secret\n" not in capsys.readouterr().err.partition("\n")[2]


def test_of_a_redrawn_line_only_its_end_counts():
    assert sh("printf '1%%\\r50%%\\r100%%\\n'; printf 'done\\r\\n'").tail == ("100%", "done")


def test_only_the_last_lines_are_kept():
    done = sh("i=0; while [ $i -lt 300 ]; do i=$((i + 1)); echo $i; done")
    assert (len(done.tail), done.last_line) == (200, "300")


def test_bytes_that_are_no_text():
    assert sh("printf 'b\\374cher\\n'").tail == ("b\ufffdcher",)


def test_nothing_is_interpreted():
    done = processes.run([sys.executable, "-c", "import sys; print(sys.argv[1:])", "$HOME; `id`", "a b"], capture=True)
    assert done.stdout == "['$HOME; `id`', 'a b']\n"


def test_environment_and_input():
    environment = {"NAME": "books", "PATH": os.environ["PATH"]}
    done = sh('echo "$NAME"; cat', env=environment, stdin="in\n", capture=True)
    assert done.stdout.splitlines() == ["books", "in"]


def test_a_program_that_does_not_read_its_input():
    assert sh("exec <&-; exit 0", stdin="x" * 1_000_000).returncode == 0


def test_when_time_is_up_the_whole_group_ends(wait_for):
    # The grandchild holds the pipe open: were it left alone, the readers would wait for it.
    done = sh("sleep 1000 & echo $!; wait", deadline=Deadline(0.5))
    assert done.timed_out
    assert done.returncode == -signal.SIGTERM
    wait_for(lambda: ended(int(done.tail[0])), "the grandchild ends")


def test_a_question_that_gets_no_answer():
    with pytest.raises(UsageError, match=r"^sh -c exec sleep 1000 did not end within 0.2 s$") as caught:
        processes.ask(["sh", "-c", "exec sleep 1000"], 0.2, env=os.environ)
    assert caught.value.hint
    assert processes.ask(["cat"], 20, env=os.environ, stdin="answer").stdout == "answer"


def test_a_signal_to_us_ends_the_child(tmp_path):
    class Interrupting(Console):
        def command(self, argv: list[str]) -> None:
            pass

        def output(self, line: str) -> None:
            tmp_path.joinpath("pid").write_text(line)
            os.kill(os.getpid(), signal.SIGTERM)

    def stop(*_args):
        raise Stopped("SIGTERM")

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(Stopped):
            sh("echo $$; exec sleep 1000", console=Interrupting())
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended(int(tmp_path.joinpath("pid").read_text()))


def test_a_stop_that_ends_the_child_first_is_a_stop_and_no_failure_of_the_child():
    """As Jenkins does it when a build is aborted: children first."""

    def stop(*_args):
        raise Stopped("SIGTERM")

    before = signal.signal(signal.SIGTERM, stop)
    us = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM))
    us.start()
    try:
        with pytest.raises(Stopped):
            sh("exit 143")
    finally:
        us.join()
        signal.signal(signal.SIGTERM, before)


def test_a_program_that_ignores_sigterm_is_killed():
    process = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout.readline() == b"ready\n"
    processes.terminate(process, grace=0.3)
    assert process.returncode == -signal.SIGKILL
    process.stdout.close()


def test_a_program_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        processes.run(["f1-no-such-program"])
    assert processes.find("f1-no-such-program") is None
    assert processes.find("sh") == processes.find("sh", {"PATH": os.environ["PATH"]})
    assert processes.find("sh", {"PATH": str(tmp_path)}) is None

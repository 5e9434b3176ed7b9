"""How jenkins-proxy reaches an agent: the constant script, really run by dash and by bash as Jenkins runs it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jenkins_proxy import __version__


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_installed(agent, shell: str):
    done = agent.run(shell, JENKINS_PROXY_PYTHON=sys.executable)
    assert done.ran
    assert done.console[0] == f"[jenkins-proxy] * jenkins-proxy {__version__}: installed on swarm-node-1"
    assert not agent.cache.exists()


def test_each_line_names_the_service_and_reports_of_last_month_go(agent, tmp_path: Path):
    reports = tmp_path / "books@tmp" / "jenkins-proxy"
    reports.mkdir(parents=True)
    kinds = {"jenkins-proxy-deploy-a-0.json": 30, "jenkins-proxy-deploy-a-1.html": 1, "theirs.json": 30}
    for name, days in kinds.items():
        (reports / name).touch()
        os.utime(reports / name, (time.time() - days * 86400,) * 2)
    done = agent.run(
        JENKINS_PROXY_PYTHON=sys.executable, JENKINS_PROXY_SERVICE="books-ms", JENKINS_PROXY_REPORTS=str(reports)
    )
    assert done.ran
    assert {line[:27] for line in done.console} == {"[jenkins-proxy] [books-ms] "}
    assert {path.name for path in reports.iterdir()} == {"jenkins-proxy-deploy-a-1.html", "theirs.json"}


def test_the_folder_for_reports_is_made(agent, tmp_path: Path):
    reports = tmp_path / "a b@tmp/jenkins-proxy"
    assert agent.run(JENKINS_PROXY_PYTHON=sys.executable, JENKINS_PROXY_REPORTS=str(reports)).ran
    assert reports.is_dir()


def test_installed_in_another_version_is_not_taken(agent, filled: Path):
    agent.program(
        "python",
        """
case "$*" in "-m jenkins_proxy --version") echo 0.9.0 ;; -c*) ;; *) exit 1 ;; esac""",
    )
    agent.cache = filled
    done = agent.run(JENKINS_PROXY_PYTHON="../bin/python")
    assert done.console == [
        f"[jenkins-proxy] * {agent.workspace}/../bin/python has jenkins-proxy 0.9.0, and this library is "
        f"{__version__}: load @Library('jenkins-proxy@0.9.0'), or install jenkins-proxy=={__version__} there",
        f"[jenkins-proxy] * jenkins-proxy {__version__}: {filled}/{__version__}",
        *done.console[2:],
    ]


def test_another_version_is_part_of_why_there_is_no_way(agent):
    agent.python('case "$*" in "-m jenkins_proxy --version") echo 1.0.1 ;; *) exit 1 ;; esac')
    assert agent.run().refused == (
        f"{agent.programs}/python3 has jenkins-proxy 1.0.1, and this library is {__version__}: load "
        f"@Library('jenkins-proxy@1.0.1'), or install jenkins-proxy=={__version__} there; "
        "python3 is not a Python 3.11 or newer"
    )


@pytest.mark.parametrize("printed", ["no module", "1.0.1\\n2.0.0", "$(id)"])
def test_what_is_no_version_is_not_shown(agent, printed: str):
    agent.python(f"""case "$*" in "-m jenkins_proxy --version") printf '{printed}' ;; *) exit 1 ;; esac""")
    assert agent.run().refused == "python3 is not a Python 3.11 or newer"


def test_a_checkout_of_jenkins_proxy_in_the_workspace_is_not_taken(agent, filled: Path):
    package = agent.workspace / "jenkins_proxy"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(f"print('{__version__}')")
    (agent.workspace / "json.py").write_text("raise SystemExit('the workspace was imported')")
    agent.cache = filled
    assert agent.run().ran


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_folder_of_wheels_needs_no_network(agent, small_wheel, shell: str):
    folder = agent.workspace / "my wheels"
    folder.mkdir()
    small_wheel(folder)
    small_wheel(folder, "9.9.9")
    done = agent.run(shell, JENKINS_PROXY_PIP_SPEC="my wheels", PIP_NO_INDEX="", PIP_INDEX_URL="http://127.0.0.1:9/")
    assert done.stdout == "exit=0\n"
    venv = agent.cache / __version__
    assert done.console[:2] == [
        f"[jenkins-proxy] * filling {venv} from {agent.workspace}/my wheels",
        f"[jenkins-proxy] * jenkins-proxy {__version__}: {venv}",
    ]
    assert sorted(path.name for path in agent.cache.iterdir()) == [__version__, f"{__version__}.lock"]


def test_a_wheel(agent, small_wheel, tmp_path: Path):
    small = small_wheel(tmp_path)
    assert agent.run(JENKINS_PROXY_PIP_SPEC=str(small)).stdout == "exit=0\n"


def test_a_git_tag(agent, small_wheel, tool, tmp_path: Path):
    origin = tmp_path / "origin"
    origin.mkdir()
    small_wheel(origin)
    # A build backend that only hands the wheel out: nothing to download for it.
    (origin / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'
    )
    (origin / "own.py").write_text(
        "import glob, shutil\n"
        "def build_wheel(folder, *_):\n"
        "    (wheel,) = glob.glob('*.whl')\n"
        "    shutil.copy(wheel, folder)\n"
        "    return wheel\n"
    )
    git = [tool("git"), "-C", str(origin), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "release"], ["tag", __version__]):
        subprocess.run([*git, *words], check=True)
    done = agent.run(JENKINS_PROXY_PIP_SPEC=f"git+file://{origin}@{__version__}")
    assert done.stdout == "exit=0\n", done.stderr


def test_a_filled_cache_is_used_again(agent, filled: Path):
    agent.cache = filled
    done = agent.run(JENKINS_PROXY_PIP_SPEC="nothing-like-this")
    assert done.ran
    assert "filling" not in done.stderr


def test_a_venv_whose_python_is_gone_is_filled_again(agent, small_wheel, tmp_path: Path):
    broken = agent.cache / __version__ / "bin"
    broken.mkdir(parents=True)
    (broken / "python").symlink_to("/usr/bin/python3.4")
    assert agent.run(JENKINS_PROXY_PIP_SPEC=str(small_wheel(tmp_path))).stdout == "exit=0\n"
    assert sorted(path.name for path in agent.cache.iterdir()) == [__version__, f"{__version__}.lock"]


@pytest.mark.parametrize("flock", [True, False], ids=["flock", "without-flock"])
def test_parallel_branches_fill_it_together(agent, small_wheel, flock: bool, tmp_path: Path):
    if not flock:
        for name in ("mkdir", "mktemp", "rm", "mv", "cp"):
            (agent.programs / name).symlink_to(shutil.which(name))
        agent.path = str(agent.programs)
    small = small_wheel(tmp_path)
    branches = [agent.start("/bin/dash", JENKINS_PROXY_PIP_SPEC=str(small)) for _ in range(4)]
    ended = [branch.communicate(timeout=300) for branch in branches]
    assert [stdout for stdout, _ in ended] == ["exit=0\n"] * 4, ended
    fills = sum(stderr.count("* filling ") for _, stderr in ended)
    assert fills == 1 if flock else fills >= 1
    assert sorted(path.name for path in agent.cache.iterdir()) == [__version__, f"{__version__}.lock"]


# When there is no way: an answer that names the thing and the three ways, and nothing left behind.


def test_no_python(agent):
    assert agent.run(JENKINS_PROXY_PYTHON="python3.99").refused == "python3.99 is not a Python 3.11 or newer"


def test_an_old_python(agent):
    agent.python("exit 1")
    assert agent.run().refused == "python3 is not a Python 3.11 or newer"


def test_no_venv_module(agent):
    agent.python(f'[ "$2" != venv ] || exit 1\nexec "{sys._base_executable}" -s "$@"')
    assert agent.run().refused == "python3 -m venv failed (on Debian: apt-get install python3-venv)"
    assert [path.name for path in agent.cache.iterdir()] == [f"{__version__}.lock"]


def test_pip_finds_nothing(agent):
    done = agent.run()
    assert done.refused == f"pip could not install jenkins-proxy=={__version__}"
    assert "No matching distribution found" in done.stderr
    assert [path.name for path in agent.cache.iterdir()] == [f"{__version__}.lock"]


def test_a_spec_that_looks_like_an_option_is_none(agent):
    assert agent.run(JENKINS_PROXY_PIP_SPEC="--version").refused == "pip could not install --version"


def test_pip_finds_another_version(agent, small_wheel, tmp_path: Path):
    other = small_wheel(tmp_path, "9.9.9")
    assert agent.run(JENKINS_PROXY_PIP_SPEC=str(other)).refused == (
        f"{other} has jenkins-proxy 9.9.9, and this library is {__version__}: load @Library('jenkins-proxy@9.9.9'), "
        f"or give it jenkins-proxy {__version__}"
    )
    assert [path.name for path in agent.cache.iterdir()] == [f"{__version__}.lock"]


def test_a_cache_that_cannot_be_written(agent):
    agent.cache = agent.workspace / "file" / "cache"
    (agent.workspace / "file").touch()
    assert agent.run().refused == f"nothing can be written to {agent.cache}"


def test_a_newline_in_a_value_forges_no_line(agent):
    done = agent.run(JENKINS_PROXY_PYTHON="python9\nexit=0\nstatus=done")
    assert done.refused == "python9 exit=0 status=done is not a Python 3.11 or newer"


# Signals: Jenkins sends SIGTERM to every process of the step and waits for the script to end.


def test_an_abort_reaches_the_command_and_waits_for_it(agent):
    agent.python(f"""
[ "$3" != --version ] || {{ echo {__version__}; exit; }}
trap 'echo cleaned up >&2; exit 143' TERM
echo ready >&2
while :; do sleep 0.05; done""")
    process = agent.start()
    assert any("ready" in line for line in process.stderr)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=30)
    assert "cleaned up" in stderr
    assert process.returncode == 143


def test_an_abort_that_ends_the_program_first_is_no_failure_of_it(agent):
    """Jenkins ends children before their parents."""
    agent.python("""
case "$2" in jenkins_proxy) exit 1 ;; venv) echo "ready $$" >&2; exec sleep 30 ;; *) exit 0 ;; esac""")
    process = agent.start()
    program = next(line.split()[1] for line in process.stderr if line.startswith("ready"))
    os.kill(int(program), signal.SIGTERM)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (143, "")


def test_an_abort_while_pip_works_leaves_nothing(agent):
    agent.python(f"""
case "$2" in jenkins_proxy) exit 1 ;; venv) echo ready >&2; sleep 1 ;; *) exec "{sys._base_executable}" "$@" ;; esac""")
    process = agent.start()
    assert any("ready" in line for line in process.stderr)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert [path.name for path in agent.cache.iterdir()] == [f"{__version__}.lock"]

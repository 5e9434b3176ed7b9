"""``seed`` as a whole: argv in, plan, writes, report and exit code out."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jenkins_proxy import cli
from jenkins_proxy.seeding.items import FOLDER, JOB

_spec = importlib.util.spec_from_file_location("fake_jenkins", Path(__file__).parents[1] / "seeding" / "conftest.py")
_module = importlib.util.module_from_spec(_spec)
sys.modules["fake_jenkins"] = _module
_spec.loader.exec_module(_module)
fake, answer = _module.fake, _module.answer

FILE = """
seed: me
variables: {proxy: proxy:8081}
jobs:
  - {name: one, folder: team, script: "echo '{{ proxy }}'"}
  - {name: two, folder: team, description: "at {{ proxy }}", script: x}
"""


@pytest.fixture
def seed(fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """``seed("--diff")`` runs the command on a file of two jobs: exit code, stderr without its prefix, report."""
    monkeypatch.setenv("JENKINS_URL", fake.url)
    monkeypatch.setenv("JENKINS_USER", "admin")
    monkeypatch.setenv("JENKINS_TOKEN", fake.token)
    monkeypatch.delenv("JENKINS_TOKEN_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs.yaml").write_text(FILE)

    def run(*words: str, file: str = "jobs.yaml"):
        code = cli.main(["seed", *([file] if file else []), *words])
        captured = capsys.readouterr()
        text = captured.err.replace("[jenkins-proxy] ", "")
        return code, text, json.loads(captured.out) if captured.out else None

    return run


def test_the_first_run_creates_and_the_second_writes_nothing(fake, seed) -> None:
    code, text, report = seed()
    assert code == 0
    assert text == (
        f"* Jenkins 2.421 at {fake.url}, seed me\n* + team/\n* + team/one\n* + team/two\n"
        "* 3 to create, 0 to change, 0 unchanged, 0 to delete\n"
    )
    assert report["counts"] == {"create": 3, "change": 0, "keep": 0, "delete": 0, "refuse": 0}
    assert (report["seed"], report["failed"]) == ("me", 0)
    assert report["changes"][0] == {
        "action": "create",
        "kind": "folder",
        "path": "team",
        "lines": 0,
        "note": "",
        "kept": None,
        "error": None,
    }
    wrote = len(fake.writes())
    code, text, report = seed()
    assert (code, len(fake.writes()), report["changes"]) == (0, wrote, [])
    assert text.endswith(
        "* = team/\n* = team/one\n* = team/two\n* 0 to create, 0 to change, 3 unchanged, 0 to delete\n"
    )


def test_a_dry_run_writes_nothing_and_says_by_its_exit_code_what_is_pending(fake, seed) -> None:
    assert seed("--dry-run")[0] == 2
    assert fake.writes() == []
    seed()
    code, text, report = seed("--dry-run")
    assert (code, report["dry_run"]) == (0, True)
    assert text.startswith(f"* Jenkins 2.421 at {fake.url}, seed me, dry run\n")


def test_in_a_dry_run_every_error_is_1_so_that_2_is_only_pending(fake, answer, seed, tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text("seed: me\njobs: [{name: x, scrpit: y}]\n")
    code, text, report = seed("--dry-run")
    assert (code, report["error"]["code"]) == (1, 2)
    assert text.startswith("ERROR: jobs.yaml:2:18: unknown key 'scrpit'\nHINT: known here: ")
    (tmp_path / "jobs.yaml").write_text(FILE)
    fake.fault("GET", "/me/api/json", answer(401))
    assert seed("--dry-run")[0] == 1


def test_without_a_dry_run_errors_have_the_exit_codes_of_every_command(fake, answer, seed, tmp_path: Path) -> None:
    fake.fault("GET", "/me/api/json", answer(401))
    code, _, report = seed()
    assert (code, report["error"]["code"]) == (4, 4)
    (tmp_path / "jobs.yaml").write_text("seed: me\nseed: you\n")
    assert seed()[0] == 2


def test_one_failure_keeps_no_other_job_from_its_write(fake, answer, seed) -> None:
    fake.put(FOLDER, "team", "<com.cloudbees.hudson.plugins.folder.Folder/>")
    fake.fault("POST", "/job/team/createItem", answer(500, b"<title>Oops</title>"))
    code, text, report = seed()
    assert code == 1
    assert f"ERROR: job team/one: cannot create the job team/one in Jenkins at {fake.url}: 500 Oops\n" in text
    assert [change["error"] is None for change in report["changes"]] == [False, True]
    assert (JOB, "team/two") in fake.configs


HAND_MADE = "<flow-definition><description>ours</description><quietPeriod>7</quietPeriod></flow-definition>"


def test_a_job_that_people_made_is_left_as_it_is_and_keeps_no_other_from_its_write(fake, seed) -> None:
    fake.put(FOLDER, "team", "<com.cloudbees.hudson.plugins.folder.Folder/>")
    fake.put(JOB, "team/one", HAND_MADE)
    code, text, report = seed()
    assert (code, report["failed"]) == (1, 1)
    assert "* ! team/one (made by hand: --adopt takes it over and keeps its config.xml, " in text
    assert fake.configs[JOB, "team/one"] == HAND_MADE.encode()
    assert (JOB, "team/two") in fake.configs


@pytest.mark.parametrize(
    ("words", "folder"), [([], "jenkins-proxy-seed.adopted"), (["--report", "out/r.json"], "out/r.adopted")]
)
def test_an_adopted_job_is_kept_as_it_was(fake, seed, tmp_path: Path, words: list[str], folder: str) -> None:
    (tmp_path / "out").mkdir()
    for again in ("", ".2"):
        fake.put(FOLDER, "team", "<com.cloudbees.hudson.plugins.folder.Folder/>")
        fake.put(JOB, "team/one", HAND_MADE)
        assert seed("--adopt", "--dry-run", *words)[0] == 2
        kept = f"{folder}/job/team/one{again}.xml"
        assert not (tmp_path / kept).exists()
        code, text, report = seed("--adopt", *words)
        report = report or json.loads((tmp_path / "out/r.json").read_text())
        assert code == 0
        assert f"* the config.xml that team/one had is kept in {kept}\n" in text
        assert (tmp_path / kept).read_text() == HAND_MADE
        assert (tmp_path / kept).stat().st_mode & 0o777 == 0o600
        assert [change["kept"] for change in report["changes"] if change["path"] == "team/one"] == [kept]
        assert b"<quietPeriod>7</quietPeriod>" in fake.configs[JOB, "team/one"]
        assert b"seed: me" in fake.configs[JOB, "team/one"]


def test_what_cannot_be_kept_is_not_adopted(fake, seed, tmp_path: Path) -> None:
    (tmp_path / "jenkins-proxy-seed.adopted").write_text("a file")
    fake.put(FOLDER, "team", "<com.cloudbees.hudson.plugins.folder.Folder/>")
    fake.put(JOB, "team/one", HAND_MADE)
    code, text, _ = seed("--adopt")
    assert (code, "ERROR: cannot keep the config.xml of team/one: " in text) == (2, True)
    assert fake.writes() == []


def test_the_diff_shows_what_people_changed(fake, seed) -> None:
    seed()
    fake.configs[JOB, "team/one"] = fake.configs[JOB, "team/one"].replace(b"echo", b"sleep")
    code, text, _ = seed("--diff")
    assert code == 0
    assert "* ~ team/one (2 lines)\n" in text
    assert "< -    <script>sleep '{{ proxy }}'</script>\n< +    <script>echo '{{ proxy }}'</script>\n" in text


def test_only_some(fake, seed) -> None:
    seed("--only", "team/o*")
    assert list(fake.configs) == [(FOLDER, "team"), (JOB, "team/one")]


def test_variables_come_from_set_and_from_the_options_of_every_command(fake, seed) -> None:
    seed("--set", "proxy=a:1")
    assert b"at a:1" in fake.configs[JOB, "team/two"]
    seed("--proxy", "b:2")
    assert b"at b:2" in fake.configs[JOB, "team/two"]


def test_prune_prints_and_deletes_what_the_file_no_longer_has(fake, seed, tmp_path: Path) -> None:
    seed()
    (tmp_path / "jobs.yaml").write_text(FILE.replace("two", "three"))
    code, text, _ = seed()
    assert (JOB, "team/two") in fake.configs, "not without --prune"
    code, text, report = seed("--prune", "--dry-run")
    assert (code, "- team/two (no longer seeded)" in text) == (2, True)
    assert (JOB, "team/two") in fake.configs
    code, text, report = seed("--prune", "--max-prune", "24")
    assert (code, "more than 24 %" in text) == (2, True)
    assert (JOB, "team/two") in fake.configs
    code, text, report = seed("--prune")
    assert (code, report["counts"]["delete"]) == (0, 1)
    assert (JOB, "team/two") not in fake.configs


def test_another_seed_id_is_another_owner(fake, seed, tmp_path: Path) -> None:
    seed()
    code, text, report = seed("--seed-id", "you")
    assert code == 1
    assert "* ! team/one (it belongs to the seed me)\n" in text
    (tmp_path / "jobs.yaml").write_text("seed: you\njobs: [{name: other, script: x}]\n")
    assert "delete" not in [change["action"] for change in seed("--prune")[2]["changes"]]


def test_people_keep_a_job_disabled(fake, seed, tmp_path: Path) -> None:
    seed()
    key = (JOB, "team/two")
    fake.configs[key] = fake.configs[key].replace(b"</flow-definition>", b"<disabled>true</disabled></flow-definition>")
    assert seed("--dry-run")[0] == 0
    (tmp_path / "jobs.yaml").write_text(FILE.replace("at {{ proxy }}", "new"))
    seed()
    assert b"new" in fake.configs[key]
    assert b"<disabled>true</disabled>" in fake.configs[key]


def test_without_a_file_it_seeds_the_articles_jobs(fake, seed) -> None:
    names = ["deploy-to-swarm-without-proxy", "deploy-to-swarm-with-proxy", "scale-to-swarm-with-proxy"]
    assert seed(file="")[0] == 0
    assert [path for _, path in fake.configs] == names
    code, text, _ = seed("--plain", file="")
    assert code == 0
    assert b"docker-compose -p books-ms -f docker-compose-demo.yml scale app=${SCALE}" in fake.configs[JOB, names[2]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--plain"], "--plain writes the article's jobs, and takes no file"),
        (["--build", "x"], "--build seeds nothing: it goes with --param, --follow and --report only"),
        (["--library-credentials", "x"], "--library-credentials goes with --library URL"),
        (["--follow"], "--param and --follow go with --build JOB"),
        (["--param", "a=b"], "--param and --follow go with --build JOB"),
        (["--set", "x"], "--set takes NAME=VALUE"),
        (["--only", "nothing"], "--only nothing: nothing in the seed file matches"),
        (["--set", "no=x"], "jobs.yaml has no variable no"),
        (["--jenkins", "ftp://x"], "--jenkins: 'ftp://x' is not an http:// or https:// address"),
        (["--jenkins", "http://"], "--jenkins: 'http://' is not an http:// or https:// address"),
        (["--jenkins", "http://x:y"], "--jenkins: 'http://x:y' is not an http:// or https:// address"),
        (
            ["--jenkins", "http://a:s3cret@x"],
            "--jenkins: an address with a user, a query or a fragment in it is not taken",
        ),
        (["--connections", "0"], "argument --connections: '0' is not a number from 1 to 100"),
        (["--max-prune", "101"], "argument --max-prune: '101' is not a number from 0 to 100"),
        (["--timeout", "0"], "argument --timeout: '0' is not a number of seconds above 0"),
    ],
)
def test_mistakes_in_the_options(fake, seed, words: list[str], message: str) -> None:
    code, text, _ = seed(*words)
    assert (code, text.splitlines()[0]) == (2, f"ERROR: {message}")
    assert fake.writes() == []


@pytest.mark.parametrize(
    ("unset", "message"),
    [
        ("JENKINS_URL", "no Jenkins given"),
        ("JENKINS_USER", "no login for Jenkins: JENKINS_USER is not set"),
        ("JENKINS_TOKEN", "no login for Jenkins: JENKINS_TOKEN or JENKINS_TOKEN_FILE is not set"),
    ],
)
def test_a_login_that_is_missing(seed, monkeypatch: pytest.MonkeyPatch, unset: str, message: str) -> None:
    monkeypatch.delenv(unset)
    code, text, _ = seed()
    assert (code, text.splitlines()[0]) == (2, f"ERROR: {message}")


def test_the_token_may_be_in_a_file_and_is_shown_nowhere(fake, seed, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("JENKINS_TOKEN")
    monkeypatch.setenv("JENKINS_TOKEN_FILE", "token")
    assert seed()[0] == 2
    (tmp_path / "token").write_text(fake.token + "\n")
    code, text, report = seed("--diff")
    assert code == 0
    assert fake.token not in text + json.dumps(report)


def test_the_report_goes_to_a_file(seed, tmp_path: Path) -> None:
    assert seed("--report", "r.json")[2] is None
    assert json.loads((tmp_path / "r.json").read_text())["counts"]["create"] == 3
    code, text, _ = seed("--report", "no/r.json")
    assert (code, "cannot write the report no/r.json" in text) == (2, True)
    assert seed("--report", "no/r.json", "--dry-run")[0] == 1


def test_progress_redraws_on_a_terminal_and_is_not_in_a_log(seed, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert "\r" not in seed()[1]
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    seed()
    assert "\rread 1 of 2\x1b[K\rread 2 of 2\x1b[K\r\x1b[K" in terminal.getvalue()


def test_what_the_environment_changes_is_said(seed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHTTPSVERIFY", "0")
    assert "WARNING: PYTHONHTTPSVERIFY=0: Jenkins' certificate is not checked\n" in seed()[1]


def test_the_node_and_the_library(fake, answer, seed) -> None:
    about = b'{"offline":false,"nodes":[{"nodeName":"n"}],"clouds":[]}'
    fake.fault("GET", "/label/docker/api/json", answer(200, about))
    fake.fault("POST", "/scriptText", answer(200, b"+\n"))
    code, text, report = seed("--agent", "--library", "https://example.com/x.git")
    assert code == 0
    assert "* the label docker is on n\n* + library jenkins-proxy@" in text
    assert report["needs"] == {"agent": "the label docker is on n", "library": "+"}


def test_a_library_or_a_node_that_is_missing_is_pending(fake, answer, seed) -> None:
    seed()
    fake.fault("POST", "/scriptText", answer(200, b"~\nversion 0.9.0 -> 1.0.0\n"), answer(200, b"=\n"))
    code, text, _ = seed("--library", "https://example.com/x.git", "--library-credentials", "reg", "--dry-run")
    assert (code, "* ~ library jenkins-proxy: version 0.9.0 -> 1.0.0\n" in text) == (2, True)
    assert b"credentials+%3D+%27reg%27" in fake.bodies[fake.requests.index(("POST", "/scriptText"))]
    assert seed("--library", "https://example.com/x.git", "--dry-run")[0] == 0
    fake.fault("GET", "/label/docker/api/json", answer(200, b'{"offline":true,"nodes":[],"clouds":[]}'))
    code, text, _ = seed("--agent", "--dry-run")
    assert code == 2
    assert "* + node docker\nWARNING: connect an agent to the node docker" in text


def test_where_the_node_or_the_library_cannot_be_had_nothing_is_written_and_both_are_told(fake, answer, seed) -> None:
    lacking = answer(200, b'{"offline":true,"nodes":[],"clouds":[]}')
    fake.fault("GET", "/label/docker/api/json", lacking, lacking)
    fake.fault("GET", "/computer/docker/api/json", answer(200, b"{}"))
    taken = b"!\nGitHubSCMSource from https://github.com/o/r.git\n"
    fake.fault("POST", "/scriptText", answer(200, taken), answer(200, taken))
    code, text, _ = seed("--agent", "--library", "https://example.com/x.git")
    assert code == 4
    assert "2 problems: (1) Jenkins at" in text and "(2) the library jenkins-proxy" in text
    # The library is only looked at, where the node is refused; the node is left, where the library is.
    assert b"if+%28true+%7C%7C" in fake.bodies[fake.requests.index(("POST", "/scriptText"))]
    assert seed("--agent", "--library", "https://example.com/x.git")[0] == 4
    assert fake.writes() == ["/scriptText", "/scriptText"]
    assert fake.configs == {}


def test_a_library_whose_version_no_job_may_name_is_told(fake, answer, seed, tmp_path: Path) -> None:
    fake.fault("POST", "/scriptText", *[answer(200, b"=\nfixed\n")] * 2)
    code, text, _ = seed("--library", "https://example.com/x.git")
    assert code == 0
    assert "ends with “Version override not permitted”; switch it on, or write library: jenkins-proxy into" in text
    (tmp_path / "jobs.yaml").write_text(FILE + "library: jenkins-proxy\n")
    assert "not permitted" not in seed("--library", "https://example.com/x.git")[1]


def test_a_prune_that_is_refused_leaves_the_library_as_it_is(fake, answer, seed, tmp_path: Path) -> None:
    seed()
    (tmp_path / "jobs.yaml").write_text("seed: me\njobs: [{name: three, script: x}]\n")
    wrote = len(fake.writes())
    assert seed("--prune", "--library", "https://example.com/x.git")[0] == 2
    assert len(fake.writes()) == wrote


def test_the_library_as_code_for_who_may_not(fake, answer, seed) -> None:
    fake.fault("POST", "/scriptText", answer(403))
    seed()
    code, text, report = seed("--library", "https://example.com/x.git", "--dry-run")
    assert (code, report["needs"]["library"]) == (0, "needs administration")
    assert '<                 remote: "https://example.com/x.git"\n' in text


def queue(fake, answer, result: str) -> None:
    fake.put(JOB, "j", "<flow-definition/>")
    build = f"{fake.url}/job/j/1/"
    fake.fault("GET", "/job/j/api/json", answer(200, b'{"property":[]}'))
    fake.fault("POST", "/job/j/build", answer(201, headers={"Location": f"{fake.url}/queue/item/7/"}))
    begun = {"executable": {"number": 1, "url": build}}
    fake.fault("GET", "/queue/item/7/api/json", answer(200, json.dumps(begun).encode()))
    console = answer(200, b"hello\x1b[2J\n", {"X-Text-Size": "6"})
    fake.fault("GET", "/job/j/1/logText/progressiveText", console, answer(200, b"", {"X-Text-Size": "6"}))
    about = answer(200, json.dumps({"building": False, "result": result}).encode())
    fake.fault("GET", "/job/j/1/api/json", about, about)


@pytest.mark.parametrize(("result", "code"), [("SUCCESS", 0), ("UNSTABLE", 1), ("FAILURE", 1), ("ABORTED", 1)])
def test_a_followed_build_ends_as_it_ended(fake, answer, seed, result: str, code: int) -> None:
    queue(fake, answer, result)
    ended, text, report = seed("--build", "j", "--follow", file="")
    assert ended == code
    assert "< hello?[2J\n" in text
    assert f"j #1 ended with {result}\n" in text
    assert report == {"job": "j", "number": 1, "url": f"{fake.url}/job/j/1/", "result": result}


def test_a_build_that_is_not_followed(fake, answer, seed) -> None:
    queue(fake, answer, "FAILURE")
    code, text, report = seed("--build", "j", file="")
    assert (code, report) == (0, {"job": "j", "queued": 7})


def test_who_stops_to_follow_is_told_that_the_build_goes_on(fake, answer, tmp_path: Path) -> None:
    queue(fake, answer, "SUCCESS")
    asked = threading.Event()

    class Hang(answer):
        def __init__(self) -> None:
            super().__init__(hang=True)
            asked.set()

    serve, log = fake._answer, "/job/j/1/logText/progressiveText"
    fake.faults.pop(("GET", log))
    fake._answer = lambda handler, path, *more: Hang() if path == log else serve(handler, path, *more)
    environ = {**os.environ, "JENKINS_URL": fake.url, "JENKINS_USER": "a", "JENKINS_TOKEN": "b"}
    argv = [sys.executable, "-m", "jenkins_proxy", "seed", "--build", "j", "--follow"]
    with subprocess.Popen(argv, env=environ, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert asked.wait(timeout=20)
        process.send_signal(signal.SIGTERM)
        _, text = process.communicate(timeout=20)
    assert process.returncode == 143
    assert "WARNING: the build of j goes on in Jenkins\n" in text


def test_what_the_jobs_need_is_looked_up_before_anything_is_written(fake, answer, seed) -> None:
    """Without it seeding is green, and then every build ends in red."""
    fake.fault("GET", "/pluginManager/api/json", *[answer(200, b'{"plugins": []}')] * 3)
    code, text, report = seed()
    assert (code, fake.writes()) == (4, [])
    assert "has no plugin Pipeline: Job (workflow-job), which team/one and 1 more needs" in text
    assert report["error"]["message"] in text
    assert seed("--dry-run")[0] == 1
    # Only what is chosen has to run.
    assert "which team/one needs" in seed("--only", "team/one")[1]
    assert seed("--no-checks")[0] == 0


OTHERS = FILE.replace("seed: me", "seed: others").replace("one", "three").replace("two", "four")
MORE = FILE + "  - {name: five, folder: team, script: y}\n"


@pytest.fixture
def at_once(fake, tmp_path: Path):
    """``at_once(file, other)`` seeds both from processes that see the same Jenkins before either writes.

    :return: exit code and output of each.
    """
    together = threading.Barrier(2)
    met = threading.Event()

    def meet() -> None:
        # What is listed again, later, is as it is then.
        if not met.is_set():
            together.wait(30)
            met.set()

    def run(*files: str):
        fake.before_listing = meet
        processes = []
        for number, text in enumerate(files):
            (tmp_path / f"{number}.yaml").write_text(text)
            env = {**os.environ, "JENKINS_URL": fake.url, "JENKINS_USER": "admin", "JENKINS_TOKEN": fake.token}
            argv = [sys.executable, "-m", "jenkins_proxy", "seed", str(tmp_path / f"{number}.yaml")]
            processes.append(subprocess.Popen(argv, env=env, stderr=subprocess.PIPE, text=True))
        return [(process.returncode, said) for process in processes for said in (process.communicate(timeout=60)[1],)]

    return run


@pytest.mark.parametrize("other", [FILE, MORE, OTHERS], ids=["the same", "one with more", "of another seed"])
def test_two_at_the_same_moment_leave_what_they_leave_in_turn(fake, seed, at_once, tmp_path, other) -> None:
    done = at_once(FILE, other)
    left = dict(fake.configs)
    fake.before_listing = lambda: None
    in_turn = []
    for files in ((FILE, other), (other, FILE)):
        fake.configs.clear()
        for text in files:
            (tmp_path / "jobs.yaml").write_text(text)
            assert seed()[0] == 0
        in_turn.append(dict(fake.configs))
    assert left in in_turn
    assert [code for code, _said in done] == [0, 0], done

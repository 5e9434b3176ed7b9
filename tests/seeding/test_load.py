from __future__ import annotations

from pathlib import Path

import pytest

from jenkins_proxy import __version__
from jenkins_proxy.errors import UsageError
from jenkins_proxy.seeding import load, render
from jenkins_proxy.seeding.spec import Folder, Git, Parameter, Scm

HERE = Path(__file__).parent


@pytest.mark.parametrize("case", [pytest.param(path, id=path.stem) for path in sorted(HERE.glob("errors/*.yaml"))])
def test_each_mistake_is_told_with_its_place(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pair of files for each: what is wrong, and what is said. The second line is the hint, if there is one."""
    monkeypatch.chdir(case.parent)
    with pytest.raises(UsageError) as caught:
        render.items(load.load(Path(case.name), variables={}))
    assert f"{caught.value.message}\n{caught.value.hint}".strip() == case.with_suffix(".error").read_text().strip()


def load_text(tmp_path: Path, text: str, variables: dict | None = None, seed: str = ""):
    path = tmp_path / "jobs.yaml"
    path.write_text(text, encoding="utf-8")
    return load.load(path, variables=variables or {}, seed=seed)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the seed file .*nowhere.yaml"):
        load.load(tmp_path / "nowhere.yaml", variables={})


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"seed: \xff")
    with pytest.raises(UsageError, match="cannot read the seed file"):
        load.load(tmp_path / "x.yaml", variables={})


def test_parents_of_all_that_is_in_folders_come_first(tmp_path: Path) -> None:
    spec = load_text(
        tmp_path,
        "seed: a\nfolders: [{name: z/y, description: d}]\n"
        "jobs: [{name: x, folder: b/c/d, script: s}]\nviews: [{name: v, folder: w}]\n",
    )
    assert spec.folders == (Folder("b"), Folder("w"), Folder("z"), Folder("b/c"), Folder("z/y", "d"), Folder("b/c/d"))


def test_set_takes_the_place_of_a_variable_and_the_seed_id_of_the_files(tmp_path: Path) -> None:
    text = "seed: a\nvariables: {h: one}\njobs: [{name: 'x-{{ h }}', script: '{{ h }}'}]\n"
    spec = load_text(tmp_path, text, {"h": "two"}, seed="b")
    assert (spec.seed, spec.jobs[0].path, spec.jobs[0].source) == ("b", "x-two", "{{ h }}")


def test_the_library_has_our_version_unless_another_is_given(tmp_path: Path) -> None:
    assert load_text(tmp_path, "seed: a\n").library == f"jenkins-proxy@{__version__}"
    assert load_text(tmp_path, "seed: a\n", {"version": "main"}).library == "jenkins-proxy@main"
    assert load_text(tmp_path, "seed: a\nlibrary: 'mine@{{ version }}'\n", {"version": "v2"}).library == "mine@v2"


def test_set_of_what_is_no_variable(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no variable proxyy") as caught:
        load_text(tmp_path, "seed: a\nvariables: {proxy: x}\n", {"proxyy": "y"})
    assert caught.value.hint == "it has: version, proxy"


def test_set_is_held_against_the_grammar(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"jobs.yaml:2:16: h: .* is not an address or a name"):
        load_text(tmp_path, "seed: a\nvariables: {h: x}\n", {"h": 'x"; rm -rf'})


def test_an_empty_file_needs_a_seed_id(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="seed missing"):
        load_text(tmp_path, "")


def test_merge_keys_and_anchors(tmp_path: Path) -> None:
    spec = load_text(tmp_path, "seed: a\njobs:\n- &j {name: x, script: s, description: d}\n- {<<: *j, name: y}\n")
    assert [(job.path, job.description) for job in spec.jobs] == [("x", "d"), ("y", "d")]


def test_a_script_file_is_read_beside_the_seed_file(tmp_path: Path) -> None:
    (tmp_path / "Jenkinsfile").write_bytes("node {\r\n  echo 'ü' }".encode())
    spec = load_text(tmp_path, "seed: a\njobs: [{name: x, scriptFile: Jenkinsfile}]\n")
    assert spec.jobs[0].source == "node {\n  echo 'ü' }"


def test_a_jenkinsfile_keeps_its_own_parameters_and_triggers(tmp_path: Path) -> None:
    spec = load_text(
        tmp_path,
        "seed: a\njobs:\n- {name: x, scm: {url: u}}\n- {name: y, script: s}\n"
        "- {name: z, scm: {url: u}, parameters: [], triggers: {}}\n",
    )
    assert [(job.parameters, job.triggers) for job in spec.jobs] == [(None, None), ((), {}), ((), {})]
    assert spec.jobs[0].source == Scm(Git("u", "master"), "Jenkinsfile", True)


def test_a_scale_job_has_its_parameter(tmp_path: Path) -> None:
    spec = load_text(
        tmp_path,
        "seed: a\nservices: [{name: s, jobs: [{template: scale}, "
        "{template: scale, name: o, parameters: [{name: SCALE, default: '5'}]}]}]\n",
    )
    assert [job.path for job in spec.jobs] == ["scale-s", "o"]
    assert spec.jobs[0].parameters == (Parameter("SCALE", default="1", description="how many instances: 3, +1 or -1"),)
    assert spec.jobs[1].parameters == (Parameter("SCALE", default="5"),)


def test_a_job_may_leave_its_services_folder(tmp_path: Path) -> None:
    spec = load_text(
        tmp_path,
        "seed: a\nservices: [{name: s, folder: f, jobs: [{template: deploy}, {template: remove, folder: g}]}]\n",
    )
    assert [job.path for job in spec.jobs] == ["f/deploy-s", "g/remove-s"]

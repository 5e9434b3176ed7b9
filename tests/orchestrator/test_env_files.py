"""Env files to their letter, of all of a stack's files."""

from __future__ import annotations

import pytest

from jenkins_proxy.orchestrator import stack_config

ENV_FILE = """\ufeffA=a${HOME}b$c
# no

  B="q" # kept\x20
EMPTY=\r
FROM_HERE
GONE
export X=1
SAID=file
TWICE=1
"""


@pytest.mark.parametrize("said", ['{SAID: "file"}', '["SAID=file"]', "[SAID]"])
def test_env_files_are_read_to_the_letter(tmp_path, said):
    (tmp_path / "app.env").write_text(ENV_FILE, encoding="utf-8")
    (tmp_path / "more.env").write_text("TWICE=2\n")
    one, two = tmp_path / "one.yml", tmp_path / "folder" / "two.yml"
    two.parent.mkdir()
    one.write_text(f"x-app: &app {{env_file: app.env}}\nservices: {{app: {{<<: *app, environment: {said}}}, db: }}\n")
    two.write_text("services: {app: {env_file: [{path: more.env}, '${NOT_READ}.env']}}\n")
    assert stack_config.variables([str(one), str(two)], {"FROM_HERE": "here"}) == {
        "app": {"A": "a${HOME}b$c", "B": '"q" # kept ', "EMPTY": "", "FROM_HERE": "here", "TWICE": "2"},
        "db": {},
    }


def test_files_with_tags_of_composes_own_have_no_env_files(tmp_path):
    (tmp_path / "stack.yml").write_text("services: {app: {env_file: !reset []}}\n")
    assert stack_config.variables([str(tmp_path / "stack.yml")], {}) == {}

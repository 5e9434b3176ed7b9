"""The directory that belongs to one daemon at a time."""

from __future__ import annotations

import os

import pytest

from jenkins_proxy.errors import UsageError
from jenkins_proxy.proxy import state_dir


def test_a_state_directory_is_made_and_belongs_to_one_daemon(tmp_path) -> None:
    path = tmp_path / "a" / "b"
    with state_dir.locked(path):
        assert path.stat().st_mode & 0o777 == 0o700
        with (
            pytest.raises(UsageError, match=rf"^another daemon \(process {os.getpid()}\) uses the state directory"),
            state_dir.locked(path),
        ):
            pass
    with state_dir.locked(path):
        pass


def test_a_state_directory_that_cannot_be_written_is_named(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    said = "^cannot write the state directory .*/file/state: Not a directory$"
    with pytest.raises(UsageError, match=said) as caught, state_dir.locked(tmp_path / "file" / "state"):
        pass
    assert "--state-dir" in caught.value.hint

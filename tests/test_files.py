"""A file is replaced whole or not at all."""

from __future__ import annotations

import os
import stat

import pytest

from jenkins_proxy.files import atomic_file, atomic_write


@pytest.mark.parametrize("content", ["Bücher\n", "Bücher\n".encode()], ids=["text", "bytes"])
@pytest.mark.parametrize("before", [None, "old and longer than the new one\n"], ids=["new", "replaced"])
def test_the_content(tmp_path, content, before):
    path = tmp_path / "report.json"
    if before:
        path.write_text(before)
    atomic_write(path, content)
    assert path.read_bytes() == "Bücher\n".encode()
    assert os.listdir(tmp_path) == ["report.json"]


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_the_permissions(tmp_path, mode):
    atomic_write(tmp_path / "state", "", mode=mode)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == mode


@pytest.mark.parametrize("fsync", [False, True])
def test_what_is_waited_for(tmp_path, monkeypatch, fsync):
    synced = []
    monkeypatch.setattr("os.fsync", synced.append)
    atomic_write(tmp_path / "state", "new", fsync=fsync)
    assert bool(synced) == fsync


def test_a_failure_leaves_the_file_of_before_and_nothing_else(tmp_path):
    path = tmp_path / "state"
    path.write_text("old")
    with pytest.raises(OSError, match="No space left"), atomic_file(path) as file:
        file.write(b"new")
        raise OSError(28, "No space left on device")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["state"]

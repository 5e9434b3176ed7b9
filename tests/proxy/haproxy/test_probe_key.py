"""The probe key's file: made once, kept, and made anew when somebody or a crash has left only a part of it."""

from __future__ import annotations

import re
import stat

import pytest

from jenkins_proxy.proxy.haproxy.config_dir import read_probe_key

KEY = "0123456789abcdef0123456789abcdef"


def test_a_key_is_made_for_its_owner_alone_and_kept(tmp_path):
    path = tmp_path / "state" / "probe.key"
    key = read_probe_key(path)
    assert re.fullmatch("[0-9a-f]{32}", key)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_probe_key(path) == key


@pytest.mark.parametrize("text", [KEY, KEY + "\n"])
def test_a_whole_key_is_taken(tmp_path, text):
    (tmp_path / "probe.key").write_text(text)
    assert read_probe_key(tmp_path / "probe.key") == KEY


@pytest.mark.parametrize(
    "content",
    [*(KEY[:length].encode() for length in range(32)), b"\xff" * 32, b"null", KEY.encode() * 2, KEY.upper().encode()],
)
def test_a_damaged_one_is_told_and_replaced(tmp_path, caplog, content):
    path = tmp_path / "probe.key"
    path.write_bytes(content)
    key = read_probe_key(path)
    assert key.encode() != content
    assert read_probe_key(path) == key
    said = [f"{path} is not used, as it is damaged: there is a new key"] if content else []
    assert [record.getMessage() for record in caplog.records] == said

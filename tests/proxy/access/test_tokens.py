"""Tokens from files: what a line may be, and that a file is read anew."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from jenkins_proxy.errors import UsageError
from jenkins_proxy.proxy.access.callers import Role
from jenkins_proxy.proxy.access.tokens import TokenFile, Tokens, change_token, parse, single_file

READ, CHANGE, NEXT = "r" * 16, "c0ffee" * 4, "n" * 32


@pytest.fixture
def file(tmp_path: Path):
    """``file("change …")`` writes the file anew, as an editor does that puts another in its place."""

    def write(text: str, mode: int = 0o640) -> str:
        new = tmp_path / "tokens.new"
        new.write_text(text)
        new.chmod(mode)
        return str(new.rename(tmp_path / "tokens"))

    return write


def test_a_line_is_a_role_a_token_and_a_name() -> None:
    found = parse(
        f"# für das Team\n\n read {READ}\tdashboard\r\nchange {CHANGE} ci\n  # old\nchange {NEXT}\n", "/etc/t"
    )
    assert [(token.role, token.value, token.name) for token in found] == [
        (Role.READ, READ, "dashboard"),
        (Role.CHANGE, CHANGE, "ci"),
        (Role.CHANGE, NEXT, "t:6"),
    ]
    assert CHANGE not in repr(found)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "/etc/t holds no token"),
        ("# change\n", "/etc/t holds no token"),
        (f"{CHANGE}\n", "/etc/t:1: the first word is no role"),
        (f"read {READ}\nChange {CHANGE}\n", "/etc/t:2: the first word is no role"),
        ("change\n", "/etc/t:1: a role, a token and a name are expected, and 1 words are there"),
        (f"change {CHANGE} ci # mine\n", "/etc/t:1: a role, a token and a name are expected, and 5 words are there"),
        ("change short\n", "/etc/t:1: the token is not allowed"),
        (f"change {CHANGE}é\n", "/etc/t:1: the token is not allowed"),
        (f"change {'x' * 513}\n", "/etc/t:1: the token is not allowed"),
        (f"change {CHANGE} a/b\n", "/etc/t:1: the name is not allowed"),
        (f"change {CHANGE}\nread {CHANGE} other\n", "/etc/t:2: an earlier line has the same token"),
    ],
)
def test_what_is_wrong_is_named_by_its_line_and_no_token_is_shown(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, "/etc/t")
    assert caught.value.message.startswith(says)
    assert not any(secret in caught.value.message + caught.value.hint for secret in (CHANGE, READ, "short"))


def test_a_file_is_read_anew_and_an_old_token_ends_with_its_line(file) -> None:
    tokens = Tokens(change_token("fixed-in-the-environment"), [TokenFile(file(f"change {CHANGE} ci\n"))])
    assert tokens.may_change(CHANGE)
    file(f"change {CHANGE} ci\nchange {NEXT} ci\nread {READ}\n")
    assert tokens.may_change(CHANGE) and tokens.may_change(NEXT)
    assert tokens.find(READ).role is Role.READ and not tokens.may_change(READ)
    file(f"change {NEXT} ci\n")
    assert tokens.find(CHANGE) is None and tokens.find(READ) is None
    assert tokens.may_change(NEXT) and tokens.may_change("fixed-in-the-environment")
    assert [tokens.find(wrong) for wrong in ("", "\udcff", NEXT[:-1], NEXT + "n")] == [None] * 4


def test_a_file_that_is_written_in_place_is_read_anew(file) -> None:
    path = Path(file(f"change {CHANGE} ci\n"))
    tokens = Tokens(files=[TokenFile(str(path))])
    assert tokens.may_change(CHANGE)
    path.write_text(f"read {CHANGE} ci\n")
    assert not tokens.may_change(CHANGE)


@pytest.mark.parametrize("damaged", ["", "change\n", "chang", "\x00\xff"])
def test_a_damaged_file_leaves_the_tokens_of_before_and_says_so_once(file, caplog, damaged: str) -> None:
    tokens = Tokens(files=[TokenFile(file(f"change {CHANGE} ci\n"))])
    path = file(damaged)
    with caplog.at_level(logging.ERROR):
        assert tokens.may_change(CHANGE) and tokens.may_change(CHANGE)
    (said,) = [record.getMessage() for record in caplog.records]
    assert path in said and said.endswith("the tokens of before stay valid")
    os.unlink(path)
    assert tokens.may_change(CHANGE)
    file(f"change {NEXT}\n")
    assert tokens.may_change(NEXT) and not tokens.may_change(CHANGE)


@pytest.mark.parametrize(
    ("mode", "refused", "warned"),
    [(0o600, False, False), (0o640, False, False), (0o644, False, True), (0o660, True, False), (0o602, True, False)],
)
def test_who_else_may_touch_the_file(file, caplog, mode: int, refused: bool, warned: bool) -> None:
    path = file(f"change {CHANGE}\n", mode)
    if refused:
        with pytest.raises(UsageError, match="can be written by others") as caught:
            TokenFile(path)
        assert caught.value.hint == f"chmod go-w {path}"
    else:
        TokenFile(path)
    assert ("can be read by every user" in caplog.text) is warned


def test_what_is_no_file_of_tokens(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "absent", Path("/dev/zero")):
        with pytest.raises(UsageError, match=str(path)):
            TokenFile(str(path))


def test_the_file_of_a_single_token_is_read_anew_too(file, tmp_path: Path) -> None:
    tokens = Tokens(files=[single_file(file("first-one\n"), "JENKINS_PROXY_TOKEN_FILE")])
    assert tokens.find("first-one").name == "JENKINS_PROXY_TOKEN_FILE"
    file(" second-one ")
    assert tokens.may_change("second-one") and not tokens.may_change("first-one")
    os.mkfifo(tmp_path / "pipe")
    assert single_file(str(tmp_path / "pipe"), "X") is None

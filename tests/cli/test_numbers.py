"""Every option of every command that takes a number takes no text that stands for none, in one line."""

from __future__ import annotations

import argparse
import contextlib
import importlib
from collections.abc import Iterator

import pytest

from jenkins_proxy.cli import COMMANDS, main
from tests.fixtures.poison import NO_NUMBERS


def numeric(command: str) -> Iterator[tuple[str, argparse.Action]]:
    """The options of a command whose values are numbers."""
    parser = argparse.ArgumentParser()
    importlib.import_module(f"jenkins_proxy.cli.{command}").add_arguments(parser)
    for action in parser._actions:
        value: object = None
        with contextlib.suppress(argparse.ArgumentTypeError, ValueError):
            value = action.type("2") if callable(action.type) else None
        if type(value) in (int, float):
            yield action.option_strings[0], action


OPTIONS = [
    pytest.param(command, option, id=f"{command}{option}") for command in COMMANDS for option, _ in numeric(command)
]


def test_there_are_such_options():
    assert len(OPTIONS) > 30


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_what_is_no_number_is_refused(command, option):
    convert = dict(numeric(command))[option].type
    for text in NO_NUMBERS[1:]:
        with pytest.raises(argparse.ArgumentTypeError) as refused:
            convert(text)
        assert str(refused.value).isprintable()
        assert len(str(refused.value)) < 120


@pytest.mark.parametrize("value", ["1e999", "٣", "1_000"])
def test_the_refusal_is_one_line_and_names_the_option(value, capsys):
    assert main(["deploy", "books", "--timeout", value]) == 2
    first, hint = capsys.readouterr().err.splitlines()
    assert first == f"[jenkins-proxy] ERROR: argument --timeout: '{value}' is not a number of seconds above 0"
    assert hint.startswith("[jenkins-proxy] HINT: ")

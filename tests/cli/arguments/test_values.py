"""What the shared options become: a request, a route, a project's name."""

from __future__ import annotations

import argparse

import pytest

from jenkins_proxy import settings
from jenkins_proxy.cli import deploy
from jenkins_proxy.cli.arguments import values
from jenkins_proxy.console import Console
from jenkins_proxy.deployment.phases import Phases
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.route_options.table import OPTIONS, Kind


@pytest.fixture
def parse():
    """``parse("books-ms", "--path", "/api")`` is what ``deploy`` gets."""

    def run(*words: str) -> argparse.Namespace:
        parser = argparse.ArgumentParser(allow_abbrev=False)
        deploy.add_arguments(parser)
        return parser.parse_args(words)

    return run


def test_paths_and_domains_may_be_lists_or_given_again(parse):
    made = values.route(parse("s", "--path", "/a,/b", "--path", "/c", "--domain", "x.example,y.example"))

    assert (made.paths, made.domains) == (("/a", "/b", "/c"), ("x.example", "y.example"))


def test_defaults(parse):
    made = values.request(parse("books-ms"))

    assert (made.project, made.files, made.target, made.scale) == ("", (), "", None)
    assert (made.strategy, made.settle, made.lock_timeout) == ("auto", 0.0, 0.0)


def test_what_is_not_given_has_the_routes_default_and_is_not_noted_as_given(parse):
    assert values.route(parse("s")) == Route("s")
    assert values.request(parse("s")).route_given == frozenset()


def test_every_option_of_the_table_is_an_argument(parse):
    forms = {Kind.LIST: ("=/a,/b", ("/a", "/b")), Kind.SECONDS: ("=0", 0.0), Kind.FLAG: ("", True)}
    for option in (option for option in OPTIONS if option.cli):
        text, value = forms.get(option.kind, ("=x", "x"))
        args = parse("s", f"{option.cli}{text}")

        assert getattr(values.route(args), option.name) == value, option.name
        assert values.request(args).route_given == {option.name}


@pytest.mark.parametrize(
    ("words", "targets"),
    [
        ([], ("", ())),
        (["--target", ""], ("", ())),
        (["--target", "app"], ("app", ())),
        (["--target", "app", "--target", "worker", "--target", "app"], ("app", ("worker",))),
        (["--target", "app, worker,cron"], ("app", ("worker", "cron"))),
    ],
)
def test_targets_may_be_a_list_or_given_again(parse, words, targets):
    made = values.request(parse("s", *words))

    assert (made.target, made.others) == targets


@pytest.mark.parametrize("words", [["--target", "app,"], ["--target", "app", "--target", ""], ["--target", ",app"]])
def test_one_of_the_targets_has_no_name(parse, words):
    with pytest.raises(UsageError, match="^--target has an empty name$"):
        values.request(parse("s", *words))


def test_what_a_compose_file_may_say_is_noted_when_it_is_given(parse):
    assert values.request(parse("s")).given == frozenset()
    words = ["--batch", "0", "--batch-delay", "0", "--check-timeout", "30", "--timeout", "120"]
    assert values.request(parse("s", *words)).given == {"batch", "batch_delay", "check_timeout", "timeout"}


def test_an_empty_project_is_a_variable_that_somebody_forgot(parse):
    with pytest.raises(UsageError, match="^-p is empty$"):
        values.request(parse("s", "-p", ""))


def test_a_project_that_is_given_stays_as_it_is_also_when_it_is_wrong(parse):
    assert values.request(parse("s", "-p", "No Project")).project == "No Project"


def test_files_in_order(parse):
    assert values.request(parse("s", "-f", "a.yml", "--file", "b.yml")).files == ("a.yml", "b.yml")


def test_the_time_limit_is_the_whole_commands(parse):
    made = values.context(parse("s", "--timeout", "7.5"), settings.resolve({}), Console(), Phases())

    assert made.deadline.seconds == 7.5


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "", "9999999", "1\n"])
def test_what_is_no_number_of_instances(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is not a whole number above 0"):
        values.positive(text)


@pytest.mark.parametrize("text", ["0", "0.0", "-1", "x", ""])
def test_what_leaves_no_time(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is not a number of seconds above 0"):
        values.time_limit(text)


@pytest.mark.parametrize("text", ["-1", "x", "", "1e3", "inf", "1.0001", "1\n"])
def test_what_is_no_number_of_seconds(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is not a number of seconds"):
        values.seconds(text)

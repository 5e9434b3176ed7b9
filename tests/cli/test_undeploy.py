"""``undeploy`` from its arguments on: bad input has its text and its code, and a report is always there."""

from __future__ import annotations

import json
import uuid

import pytest

from jenkins_proxy.cli import main


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a b"], "service 'a b' is not allowed"),
        (["s", "-p", ""], "-p is empty"),
        (["s", "--target", "app,"], "--target has an empty name"),
        (["s", "--drain", "soon"], "argument --drain: 'soon' is not a number of seconds"),
        (["s", "--volume"], "unrecognized arguments: --volume"),
    ],
)
def test_arguments_that_are_none(words, message, consul_url, capsys):
    assert main(["undeploy", *words, "--consul", consul_url]) == 2

    assert message in capsys.readouterr().err


def test_all_that_does_not_answer_is_in_one_answer(free_port, capsys):
    proxy, consul = (f"http://127.0.0.1:{free_port()}" for _ in range(2))

    assert main(["undeploy", "s", "--proxy", proxy, "--consul", consul]) == 4

    error = json.loads(capsys.readouterr().out)["error"]
    assert f"no proxy daemon answers at {proxy}" in error["message"]
    assert consul in error["message"]


@pytest.mark.parametrize("more", [["-p", "f2-not-there"], []])
def test_a_service_that_is_not_there_is_no_error(more, docker, consul_url, capsys):
    service = f"f2-{uuid.uuid4().hex[:8]}"

    assert main(["undeploy", service, "--no-proxy", "--consul", consul_url, *more]) == 0

    told = capsys.readouterr()
    assert f"nothing of {service} is there" in told.err
    report = json.loads(told.out)
    assert (report["status"], report["removed"], report["left"]) == ("done", [], [])

"""Calls of the steps in Groovy 2.4, and what came of them: what the tests of the steps share."""

from __future__ import annotations

import json

CASES: dict[str, dict] = {}
"""By test, as ``module::name``, the call whose outcome it gets."""
ANSWER = """exit=0
reason=
service=books-ms
status=done
strategy=rolling
orchestrator=compose v2
url=http://proxy/api/v1/books?a=b
instances=10.0.0.1:32768,[fd00::1]:32769
timings.bring_up=2.25
timings.total=3.5
description=books-ms: 2 instances at http://proxy/api/v1/books
"""
NULL = "takes true or false, not null, which params gives for a name that it does not have"
BOOKS = {"service": "books-ms", "path": "/api/v1/books"}


def case(step: str, config: dict, **world):
    """The call whose outcome the test gets. ``world``: answer, agent, shell, absent, report, description, block."""

    def keep(test):
        CASES[f"{test.__module__}::{test.__name__}"] = {"step": step, "config": config, **world}
        return test

    return keep


def steps(outcome: dict) -> list[str]:
    return [call["step"] for call in outcome["calls"]]


def call(outcome: dict, step: str) -> dict:
    (only,) = [one for one in outcome["calls"] if one["step"] == step]
    return only


def options(outcome: dict) -> dict:
    """What the command line gets, without the report's random name."""
    return options_of(call(outcome, "sh"))


def options_of(shell: dict) -> dict:
    values = json.loads(shell["environment"]["JENKINS_PROXY_PARAMS"])
    del values["report"]
    return values


HELD = """exit=0
reason=
service=books-ms
status=held
candidate.id=0a1b2c3d
candidate.url=http://proxy/api/v1/books?a=b
candidate.header_name=X-Jenkins-Proxy-Candidate
candidate.instances=10.0.0.1:32769,[fd00::1]:32770
candidate.until=1800000000
"""
ANSWERS = {"deploy": HELD, "promote": ANSWER, "abort": "exit=0\nreason=\nservice=books-ms\nstatus=aborted\n"}
UNMASKED = (
    "deployWithProxy: this console does not mask the key of the candidates: candidateKeyCredentialsId does, or the "
    "plugin Mask Passwords"
)


def commands(outcome: dict) -> list[str]:
    """Which commands ran, and where the test did."""
    names = {"block": lambda one: "block", "sh": command}
    return [names[one["step"]](one) for one in outcome["calls"] if one["step"] in names]


def command(shell: dict) -> str:
    return shell["arguments"][0]["label"].removeprefix("jenkins-proxy ").removesuffix(" books-ms")


def shell(outcome: dict, name: str) -> dict:
    (only,) = [one for one in outcome["calls"] if one["step"] == "sh" and command(one) == name]
    return only

"""The history of a service as bytes in the registry: what goes in comes out, and what others wrote is checked."""

from __future__ import annotations

import dataclasses
import json

import pytest

from jenkins_proxy import releases
from jenkins_proxy.releases import DEPLOY, DONE, FAILED, MOST, Release

FULL = Release(
    time=1795819272.123,
    command=DEPLOY,
    outcome=FAILED,
    code=6,
    phase="bring_up",
    image="registry.example.com:5000/shop/books-ms:1.2@sha256:" + "ab" * 32,
    image_id="sha256:" + "0f" * 32,
    color="blue",
    strategy="blue-green",
    instances=3,
    seconds=8.125,
    who="jenkins",
    host="agent-1.example.com",
    build="https://jenkins.example.com:8443/job/shop/job/feature%252Fx/17/",
)


def test_what_is_kept_is_read_again() -> None:
    value = releases.with_newest((), FULL)
    assert releases.parse(value) == (FULL,)
    assert len(value) < 1024


def test_the_last_ones_are_kept_the_newest_first() -> None:
    value = b""
    for number in range(MOST + 5):
        value = releases.with_newest(releases.parse(value), dataclasses.replace(FULL, code=number))
    assert [release.code for release in releases.parse(value)] == list(range(MOST + 4, 4, -1))


def test_the_longest_history_is_well_below_what_a_key_may_hold() -> None:
    """Consul takes 512 KiB."""
    long = dataclasses.replace(
        FULL, build="https://j/" + "x" * 1020, image="a" * 255, who="w" * 128, host="h" * 128, strategy="s" * 32
    )
    value = releases.with_newest([long] * 100, long)
    assert len(value) < 100_000
    assert releases.parse(value) == (long,) * MOST


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"who": "CORP\\jürgen"}, {"who": "CORP\\jürgen"}),
        ({"who": "a<script>\nb", "host": "h\x00"}, {"who": "a_script__b", "host": "h_"}),
        ({"who": "w" * 500}, {"who": "w" * 128}),
        ({"build": "http://admin:secret@jenkins/job/a/1/"}, {"build": ""}),
        ({"build": "javascript://x/%0aalert(1)"}, {"build": ""}),
        ({"build": "http://j/job/a b/1/"}, {"build": ""}),
        ({"build": "https://j/" + "x" * 2000}, {"build": ""}),
        ({"build": "jenkins-books » main-7"}, {"build": "jenkins-books _ main-7"}),
        ({"image": "a b"}, {"image": ""}),
        ({"image": "-it"}, {"image": ""}),
        ({"image_id": "0f" * 32}, {"image_id": ""}),
        ({"phase": "<b>"}, {"phase": ""}),
        ({"code": -15}, {"code": 0}),
    ],
)
def test_what_may_not_be_kept_is_not(given: dict, kept: dict) -> None:
    (read,) = releases.parse(releases.with_newest((), dataclasses.replace(FULL, **given)))
    assert read == dataclasses.replace(FULL, **kept)


_LEAST = {"time": 1.0, "command": "deploy", "outcome": "done"}


@pytest.mark.parametrize(
    "value",
    [b"", b"[]", b"null", b"{}", b'{"releases": {}}', b'{"releases": null}', b"{" * 100_000, b'{"releases": [NaN]}']
    + [b'{"releases": [' + b" " * 200_000 + b"]}", b"\xff"],
)
def test_what_is_no_history_counts_as_none(value: bytes) -> None:
    assert releases.parse(value) == ()


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            {name: value}
            for name in ("who", "build", "image", "phase")
            for value in (None, 1, [], {}, "a\nb", "\x1b[0m")
        ),
        *({"time": value} for value in (None, "1", True, -1, 1e300)),
        *({"code": value} for value in (1.5, True, 256, "1")),
        *({"command": value} for value in ("remove", None, [])),
        *({"outcome": value} for value in ("<img src=x>", {}, "")),
        {"build": "http://user@jenkins/"},
        {"build": "data://x"},
        {"who": "w" * 129},
        {"instances": 10**9},
    ],
)
def test_an_entry_that_breaks_the_grammar_is_left_out_and_the_others_stay(wrong: dict) -> None:
    value = json.dumps({"releases": [_LEAST, {**_LEAST, **wrong}, 7, {"time": 1}, {**_LEAST, "later": "x"}]}).encode()
    assert releases.parse(value) == (Release(1.0, DEPLOY, DONE),) * 2

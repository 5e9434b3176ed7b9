"""Which regular expressions of a route may cost HAProxy too much."""

from __future__ import annotations

import contextlib
import re
import time

import pytest

from jenkins_proxy import validation
from jenkins_proxy.errors import UsageError
from jenkins_proxy.model import Route
from jenkins_proxy.regular_expressions import cost, for_python
from jenkins_proxy.route_options.table import check_route

HONEST_UUID = "/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
HONEST = (
    "^/api/v[0-9]+/books",
    "^/api/v[0-9]+(/[a-z0-9-]+)*$",
    "^/api/(v1|v2)/(books|users)(/.*)?$",
    "/v[0-9]+[.][0-9]+[.][0-9]+/",
    "^/.*[.](png|jpg|jpeg|gif|css|js)$",
    ".*[.](png|jpg)$",
    "[a-z]+[.]html$",
    "^/users/.*/orders/.*$",
    "^/users/.*/orders/.*/items/.*$",
    "^/a/[^/]+/b/[^/]+/c/[^/]+/d/[^/]+$",
    "^/([^/]+/)*index[.]html$",
    "^(/[^/]*)*$",
    "^/(?!api/|static/).*$",
    "^/(?:en|de|fr)(?:/|$)",
    "^/(?P<lang>[a-z]{2})/(.*)$",
    "(?i)^/books(/.*)?$",
    "^/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    "^/[0-9]{4}-[0-9]{2}-[0-9]{2}/",
    "^/([a-z]+:)*[a-z]+$",
    "^/([a-z0-9]+(-[a-z0-9]+)*)/?$",
    "^/([a-zA-Z0-9_-]+)=([^&]*)(&([a-zA-Z0-9_-]+)=([^&]*))*$",
    "^/x?y?z?$",
    "^/(books|books-ms|bookshop)/",
    HONEST_UUID,
    "^/+$",
    "/books/(.+)",
    "^/api(.*)",
    "^/[]a]+$",
    "^/a{x}",
    "^/(www[.])?([a-z-]+[.])+com$",
    "^/.*?/edit$",
    "^/[a-z]++/x",
    "^/a{0}b",
    "a|b|c",
    "^$",
)
# Of signs that no route's expression may hold today.
HONEST_ELSEWHERE = (
    "^/users/[0-9]+/orders/[0-9]{1,10}$",
    "^/([0-9]{1,3}[.]){3}[0-9]{1,3}$",
    "^/[[:alpha:]]+$",
    "^/[a-z]{3,}/[a-z]{2,4}$",
    "^/[0-9]{1,3}[0-9]{1,3}[0-9]{1,3}$",
    "^/([a-z]{1,3}-?){1,5}$",
)
NESTED = "a repetition within a repetition can match one text in many ways"
EMPTY = "what may match nothing is repeated"
CHAIN = "repetitions that can share out one text follow one another"
LARGE = "its counted repetitions make it too large"
COSTLY = (
    ("(a+)+$", NESTED),
    ("^(a+)+$", NESTED),
    ("^/(a+)+", NESTED),
    ("^/(a+)*$", NESTED),
    ("^/(?:a+)+$", NESTED),
    ("^/(?P<x>a+)+$", NESTED),
    ("^/((a+))+$", NESTED),
    ("^/(a+?)+$", NESTED),
    ("^/(a|a)+$", NESTED),
    ("^/(a|ab|b)*$", NESTED),
    ("^/(a|[a-c])*x$", NESTED),
    ("^/([a-z]+-?)+$", NESTED),
    ("^/([a-z]+/?)*$", NESTED),
    ("^/(.*a)+$", NESTED),
    ("^/(.*:)*x$", NESTED),
    ("^/([a-z]+|[0-9]+|[a-z0-9]+)*$", NESTED),
    ("^/(x+x+)+y$", NESTED),
    ("^/(([a-z])+.)+[A-Z]([a-z])+$", NESTED),
    ("^/([^/]+/?)+$", NESTED),
    ("(?i)^/([a-z]|[A-Z])+$", NESTED),
    ("^/(?=(a+)+$)", NESTED),
    ("^/(?!(a+)+$)", NESTED),
    ("^/(a*)*$", EMPTY),
    ("^/(.*)+$", EMPTY),
    ("^/(a?){50}a{50}$", CHAIN),
    ("^/(a|b*|)*c$", EMPTY),
    ("^/(|a)+$", EMPTY),
    ("^/.*/.*/.*/x$", CHAIN),
    ("^/[^/]+[^/]+[^/]+/$", CHAIN),
    ("^/[a-z-]+-[a-z-]+-[a-z-]+$", CHAIN),
    ("^/(/[^/]+)*(/[^/]+)*(/[^/]+)*$", CHAIN),
    ("^/(.*)(.*)(.*)x", CHAIN),
    ("^/.*.*.*=.*", CHAIN),
    ("^/" + "a?" * 30 + "a" * 30 + "$", CHAIN),
    ("^/" + "(a|a)" * 30 + "b$", CHAIN),
    ("^/" + "(a|ab)" * 30 + "c$", CHAIN),
    ("^/(a+){100}$", NESTED),
    ("^/[^/]*(?=.*/.*x)", CHAIN),
    ("^/((?=.*a)b)+$", "it looks ahead or back with a repetition, again and again"),
    ("^/(a)(?P=x)", "it is not a regular expression"),
    ("^/(?P<x>a)(?P=x)+$", "it refers to a group of its own"),
    ("^/(a)?(?(1)b|c)$", "it refers to a group of its own"),
    # Few rounds of many choices.
    ("([^b]{50}|[^a]{3}|[a-z]{2}){10}x$", CHAIN),
    ("^/([a-z]{2}|[a-c]{3}){16}x$", CHAIN),
    ("(?:[^a]?){12}x$", CHAIN),
    # What is looked for after each of many ways.
    (".*x*?(?=.*a)x$", CHAIN),
    ("(?=.*a)(?=.*b)(?=.*c)(?=.*d)(?=.*e)x", CHAIN),
    # A long way from each of many places.
    ("[^b]+[a-z]{50}x$", CHAIN),
    ("[^b]*" + "(?:a|b)" * 60 + "x$", CHAIN),
    ("[^b]*" + "ab" * 100 + "x$", CHAIN),
    ("(?:(?=b?)?){50}x$", EMPTY),
    # Less than 64 KiB in PCRE's form.
    ("^/(ab){20000}", LARGE),
    ("^/(?:ab{60}c{60}){10}(?:[a-z]b){1000}", LARGE),
    ("^/a{70000}", LARGE),
)


COSTLY_ELSEWHERE = (
    ("^/(a+){2,}$", NESTED),
    ("^/(a{1,100}){1,100}$", NESTED),
    ("^/([a-z]{1,30}){20}$", NESTED),
    ("^/([[:alpha:]]|a)+$", NESTED),
    ("^/a{0,500}a{0,500}a{0,500}b", CHAIN),
    ("^/(a{,40}){40}$", EMPTY),
)


@pytest.mark.parametrize("pattern", HONEST)
def test_honest_expressions_are_taken(pattern: str) -> None:
    assert cost(pattern).danger == ""
    assert validation.check_regex(pattern, "--path") == pattern


@pytest.mark.parametrize(("pattern", "reason"), [*((pattern, "") for pattern in HONEST_ELSEWHERE), *COSTLY_ELSEWHERE])
def test_counts_with_a_comma_are_judged_too(pattern: str, reason: str) -> None:
    assert cost(pattern).danger == reason


@pytest.mark.parametrize(("pattern", "reason"), COSTLY)
def test_costly_ones_are_refused_in_one_line(pattern: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        validation.check_regex(pattern, "reqPathSearch")
    said = caught.value.message
    assert said.startswith(f"reqPathSearch {validation.shown(pattern)} ") and "\n" not in said
    assert said.endswith(f"could take HAProxy too long for some paths: {reason}") or "not a regular" in reason


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        ("[(]=.*$", ""),
        ("[..]=.*$", "[..]"),
        ("^/[=a=]", "[=a=]"),
        ("^/[[.a.]]", "[.a.]"),
        ("^/[[:alpha:]_-]+$", ""),
        ("^/[[:^digit:]]", ""),
        ("^/[:alpha:]", "[:alpha:]"),
        ("^/[[:letter:]]", "[:letter:]"),
        ("^/[A-[:digit:]]", "[:digit:]"),
        ("^/[[:digit:]-z]", "[:digit:]"),
        ("^/[]:[a:]+$", ""),
        ("^/[^][.x.]", "[.x.]"),
        ("^/[[a]+$", ""),
        ("(?a)^/x", "(?a)"),
        ("^/(?u:x)", "(?u:"),
        ("^/[(?a)]", ""),
        ("(?i)^/(?s-i:x)", ""),
    ],
)
def test_what_pcre_does_not_take_is_refused(pattern: str, part: str) -> None:
    assert for_python(pattern)[1] == part
    with pytest.raises(UsageError) if part else contextlib.nullcontext() as caught:
        validation.check_regex(pattern, "--path")
    if part:
        said = f"--path {validation.shown(pattern)} is not a regular expression: HAProxy's library has no {part}"
        assert caught.value.message == said


@pytest.mark.parametrize("pattern", ["(?au)x", "(?L)x", "a{99999999999}", "(" * 200, "(?<=a+)b", "(?:[.[:alpha:]a)]"])
def test_whatever_python_has_against_one_is_an_answer(pattern: str) -> None:
    with pytest.raises(UsageError, match="is not a regular expression|is not allowed"):
        validation.check_regex(pattern, "--path")


@pytest.mark.parametrize(
    ("pattern", "steep"),
    [
        ("^/api/v[0-9]+(/[a-z0-9-]+)*$", False),
        ("^/.*[.](png|jpg|jpeg|gif|css|js)$", False),
        ("^/(?!api/|static/).*$", False),
        ("[a-z]+[.]html$", True),
        ("^/users/.*/orders/.*/items/.*$", True),
        ("^/.*/.*/x$", True),
        ("^/(?=.*/.*x$)", True),
        ("(?=.*a)(?=.*b)(?=.*c).*$", True),
        ("^/[a-z]*(?=.*x)", True),
        ("^/(?=.*x)[a-z]*$", False),
        ("^/(a+)+$", True),
        # What is lazy, or followed by what may fail, does not end with the first try.
        ("^/.*?[a-z0-9-]*?$", True),
        (".*-+(?<=a)", True),
        (".*[^/]*^$", True),
        ("((/*+c))++", True),
        # Nor does what is looked for begin where it did.
        ("(?=[a-z]+)?x$", True),
        (".*(?!.++)x$", True),
        ("[[:alnum:]]{300}$", True),
        ("[[:alnum:]]+$", True),
        ("(.{50}){10}x$", True),
        (HONEST_UUID, False),
        ("^/.*$", False),
    ],
)
def test_what_grows_with_the_square_of_a_path_is_kept_from_long_ones(pattern: str, steep: bool) -> None:
    assert cost(pattern).steep is steep


@pytest.mark.parametrize(
    ("pattern", "danger"), [("^([a-z]|[A-Z])+$", NESTED), ("^[a-z]+[.](Example|example)[.]org$", "")]
)
def test_domains_are_compared_without_regard_to_capitals(pattern: str, danger: str) -> None:
    assert cost(pattern).danger == ""
    assert cost(pattern, fold=True).danger == danger
    route = Route("books-ms", domains=(pattern,), domain_algo="hdr_reg(host)")
    with pytest.raises(UsageError, match=danger) if danger else contextlib.nullcontext():
        check_route(route)


def test_the_answer_comes_soon_whatever_is_asked() -> None:
    worst = (
        "^/(" + "|".join("abcdefgh"[at % 8] for at in range(240)) + ")*$",
        "(" * 100 + "a" + ")+" * 100,
        "^/" + "[a-z]*/" * 70,
        "(a{1,9}b?){1,9}" * 30,
        "[^/]" * 120,
        "(" + "a?b?c?d?e?f?g?h?/" * 20 + ")+",
        "a{4294967294}",
        "(a{1000}){1000}",
    )
    for pattern in worst:
        assert len(pattern) <= 512
        re.compile(pattern)
        begun = time.process_time()
        cost(pattern)
        assert time.process_time() - begun < 2.0, pattern

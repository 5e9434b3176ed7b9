"""What a step refuses: everything at once, before anything is done."""

from __future__ import annotations

import json

from tests.vars.calls import BOOKS, NULL, call, case, steps

WRONG = {
    "sevice": "books-ms",
    "pull": "yes",
    "dryRun": 1,
    "timeout": "soon",
    "file": [{}],
    "target": True,
    "lock": ["a"],
}


@case("deployWithProxy", WRONG, agent="none")
def test_everything_wrong_is_told_at_once(outcome):
    assert steps(outcome) == ["isUnix", "error"]
    first, *others = outcome["error"].split("; ")
    assert first.startswith("deployWithProxy: unknown parameter(s) sevice (known: dockerHost, ")
    assert sorted(others) == [
        "dryRun takes true or false, not '1'",
        "file takes a text or a list of texts, not [[:]]",
        "lock takes a text, not [a]",
        "missing parameter(s) service, path or domain or noProxy",
        "pull takes true or false, not 'yes'",
        "target takes a text or a list of texts, not true",
        "timeout takes a number, not 'soon'",
    ]


@case(
    "deployWithProxy",
    {**WRONG, "strategy": "bluegreen", "path": "api", "proxyTokenCredentialsId": "proxy", "python": "python3.12"},
    answer="exit=0\nproblem=strategy takes auto, rolling, not 'bluegreen'\nproblem=path 'api' is not a path\n",
)
def test_wrong_values_are_told_with_wrong_keys_where_an_agent_can_say_them(outcome):
    assert steps(outcome) == ["isUnix", "withEnv", "libraryResource", "sh", "error"], "no secret is bound for it"
    environment = call(outcome, "sh")["environment"]
    assert (environment["JENKINS_PROXY_CHECK"], environment["JENKINS_PROXY_COMMAND"]) == ("values", "deploy")
    assert environment["JENKINS_PROXY_PYTHON"] == "python3.12"
    # What is told already is not asked about.
    assert json.loads(environment["JENKINS_PROXY_PARAMS"]) == {"strategy": "bluegreen", "path": "api"}
    assert outcome["error"].startswith("deployWithProxy: unknown parameter(s) sevice (known: ")
    assert "; lock takes a text, not [a]; " in outcome["error"]
    assert outcome["error"].endswith("; strategy takes auto, rolling, not 'bluegreen'; path 'api' is not a path")


@case("deployWithProxy", WRONG, agent="gone")
def test_where_the_agent_goes_away_wrong_keys_are_told_alone(outcome):
    assert outcome["error"].endswith("; timeout takes a number, not 'soon'")


@case("deployWithProxy", WRONG, agent="windows")
def test_on_windows_wrong_keys_are_told_alone(outcome):
    assert steps(outcome) == ["isUnix", "error"]


@case("deployWithProxy", WRONG, answer="exit=2\nreason=python3 is not a Python 3.11 or newer; …\n")
def test_without_jenkins_proxy_on_the_agent_wrong_keys_are_told_alone(outcome):
    assert outcome["error"].endswith("; timeout takes a number, not 'soon'")


@case("deployWithProxy", {"service": "", "path": [], "noProxy": False})
def test_empty_is_missing(outcome):
    assert outcome["error"] == "deployWithProxy: missing parameter(s) service, path or domain or noProxy"


DEPLOY = "deployWithProxy takes names with values: deployWithProxy(service: 'books-ms', path: '/api/v1/books')"


@case(
    "deployWithProxy",
    {**BOOKS, "dryRun": None, "noProxy": None, "keepOld": None, "hold": None, "archive": None, "domain": None},
)
def test_a_switch_that_is_null_is_refused(outcome):
    """dryRun: params.TYPO would deploy."""
    assert sorted(outcome["error"].removeprefix("deployWithProxy: ").split("; ")) == [
        f"{name} {NULL}" for name in ("archive", "dryRun", "hold", "keepOld", "noProxy")
    ]


@case(
    "deployWithProxy",
    {
        "service": {"split": "a,b"},
        "path": ["/", None],
        "dryRun": {"code": True},
        "noProxy": "",
        "hold": {"gstring": "true"},
        "scale": -1,
        "file": {"code": True},
        "project": {"a": 1},
    },
)
def test_each_kind_that_a_key_does_not_take_is_named_in_words(outcome):
    assert sorted(outcome["error"].removeprefix("deployWithProxy: ").split("; ")) == [
        "dryRun takes true or false, not a closure",
        "file takes a text or a list of texts, not a closure",
        "hold takes true or false, not 'true'",
        "noProxy takes true or false, not ''",
        "path takes a text or a list of texts, not [/, null]",
        "project takes a text, not [a:1]",
        "scale takes a number from 0 up, not '-1'",
        "service takes a text, not [a, b]",
    ]


@case("scaleWithProxy", {"service": "books-ms", "amount": 0, "allowEmpty": None})
def test_a_switch_of_another_step_that_is_null_is_refused(outcome):
    assert outcome["error"] == f"scaleWithProxy: allowEmpty {NULL}"


@case("deployWithProxy", "books-ms")
def test_a_text_in_place_of_names(outcome):
    assert outcome["error"] == DEPLOY


@case("deployWithProxy", None)
def test_null_in_place_of_names(outcome):
    assert outcome["error"] == DEPLOY


@case("deployWithProxy", None, block="passes", arguments=[])
def test_only_a_block(outcome):
    assert outcome["error"] == DEPLOY


@case("deployWithProxy", None, arguments=["books-ms", "/api/v1/books"])
def test_two_texts_in_place_of_names(outcome):
    assert outcome["error"] == DEPLOY


@case("deployWithProxy", None, arguments=["books-ms", "/api/v1/books", "docker-compose.yml", "3"])
def test_many_texts_in_place_of_names(outcome):
    assert outcome["error"] == DEPLOY


@case("scaleWithProxy", None, arguments=[{"amount": 3}, "books-ms", "3"])
def test_texts_beside_names(outcome):
    form = "scaleWithProxy(service: 'books-ms', amount: 3)"
    assert outcome["error"] == f"scaleWithProxy takes names with values: {form}"


@case("deployWithProxy", {**BOOKS, "dryrun": None, "serviceNam": None, "serviceName": None})
def test_an_unknown_name_is_told_without_a_value_too(outcome):
    """dryrun: params.DRY_RUN would deploy, where the build has no such parameter."""
    assert outcome["error"].startswith("deployWithProxy: unknown parameter(s) dryrun, serviceNam (known: ")
    assert "; " not in outcome["error"].partition("(known")[2].partition(")")[2]


@case("deployWithProxy", {"service": "books-ms", "path": ["", ""], "domain": []})
def test_a_list_of_nothing_is_missing(outcome):
    assert outcome["error"] == "deployWithProxy: missing parameter(s) path or domain or noProxy"


@case("deployWithProxy", None, arguments=[{"path": "/"}, "books-ms"])
def test_a_text_beside_names(outcome):
    assert outcome["error"] == DEPLOY


@case("removeFromProxy", "books-ms")
def test_each_step_shows_its_own_form(outcome):
    assert outcome["error"] == "removeFromProxy takes names with values: removeFromProxy(service: 'books-ms')"


@case("scaleWithProxy", {"service": "books-ms", "amount": 2}, block="passes")
def test_a_block_behind_a_step_that_takes_none(outcome):
    assert outcome["error"] == "scaleWithProxy takes no block: scaleWithProxy(service: 'books-ms', amount: 3)"


@case("scaleWithProxy", {})
def test_scale_needs_a_service_and_an_amount(outcome):
    assert outcome["error"] == "scaleWithProxy: missing parameter(s) service, amount"


@case("reconfigureProxy", {"service": "books-ms"})
def test_reconfigure_needs_a_path_or_a_domain(outcome):
    assert outcome["error"] == "reconfigureProxy: missing parameter(s) path or domain"


@case("removeFromProxy", {"path": "/"})
def test_remove_needs_a_service_and_takes_no_path(outcome):
    assert outcome["error"].startswith("removeFromProxy: unknown parameter(s) path (known: ")
    assert outcome["error"].endswith("; missing parameter(s) service")


@case("deployWithProxy", {"service": "a", "serviceName": "b", "path": "/"})
def test_two_words_for_one_key(outcome):
    assert outcome["error"] == "deployWithProxy: serviceName is another word for service: give one of them"


@case("deployWithProxy", {"service": {"gstring": "books"}, "passwort": {"gstring": "hunter2"}, "noProxy": True})
def test_the_value_of_an_unknown_key_is_not_shown(outcome):
    assert "passwort" in outcome["error"] and "hunter2" not in outcome["error"]


@case("deployWithProxy", BOOKS, agent="none")
def test_without_an_agent(outcome):
    assert outcome["error"] == "deployWithProxy needs an agent: call it inside node { } or in a stage with an agent"


@case("deployWithProxy", {**BOOKS, "stage": True, "lock": True}, agent="windows")
def test_on_windows(outcome):
    assert outcome["error"] == "deployWithProxy needs an agent with a POSIX shell, and this one runs Windows"
    assert steps(outcome) == ["isUnix", "error"]

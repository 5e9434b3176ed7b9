"""A test between deploy and users: held, tested, promoted; or aborted. And the key of the candidates."""

from __future__ import annotations

import json
import re

from tests.vars.calls import ANSWERS, BOOKS, UNMASKED, call, case, command, commands, options, options_of, shell, steps


@case(
    "deployWithProxy",
    {**BOOKS, "stage": True, "lock": True, "holdTimeout": 7200, "drain": 5},
    block="passes",
    answer=ANSWERS,
)
def test_a_block_tests_the_candidates_before_they_are_promoted(outcome):
    assert commands(outcome) == ["deploy", "block", "promote"]
    assert options_of(shell(outcome, "deploy")) == {**BOOKS, "hold": True, "holdTimeout": "7200", "drain": "5"}
    assert options_of(shell(outcome, "promote")) == {**BOOKS, "holdTimeout": "7200", "drain": "5"}
    key = shell(outcome, "deploy")["environment"]["JENKINS_PROXY_CANDIDATE_KEY"]
    assert call(outcome, "block")["arguments"] == [
        {
            "id": "0a1b2c3d",
            "url": "http://proxy/api/v1/books?a=b",
            "header": f"X-Jenkins-Proxy-Candidate: {key}",
            "instances": ["10.0.0.1:32769", "[fd00::1]:32770"],
            "until": "1800000000",
        }
    ]
    environment = call(outcome, "block")["environment"]
    assert environment["JENKINS_PROXY_CANDIDATE_URL"] == "http://proxy/api/v1/books?a=b"
    assert environment["JENKINS_PROXY_CANDIDATE_HEADER"] == f"X-Jenkins-Proxy-Candidate: {key}"
    assert [one["arguments"] for one in outcome["calls"] if one["step"] in ("stage", "lock")] == [
        ["jenkins-proxy deploy books-ms"],
        [{"resource": "jenkins-proxy books-ms"}],
    ]
    assert outcome["result"]["status"] == "done"
    assert outcome["description"] == "books-ms: 2 instances at http://proxy/api/v1/books"


@case("deployWithProxy", {**BOOKS, "pull": True}, block="fails", answer=ANSWERS)
def test_a_failing_block_aborts_and_the_build_fails_with_its_words(outcome):
    assert commands(outcome) == ["deploy", "block", "abort"]
    assert options_of(shell(outcome, "abort")) == {**BOOKS, "pull": True}
    assert outcome["error"] == "3 of 40 tests failed"
    assert outcome["description"] is None


@case("deployWithProxy", BOOKS, block="asserts", answer=ANSWERS)
def test_a_failed_assertion_aborts_too(outcome):
    assert commands(outcome) == ["deploy", "block", "abort"]
    assert outcome["thrown"].startswith("assert candidate.id == 'another'")


@case("deployWithProxy", {**BOOKS, "lock": True}, block="misspells", answer=ANSWERS)
def test_a_block_that_calls_what_is_not_there_is_not_taken_for_a_missing_plugin(outcome):
    assert commands(outcome) == ["deploy", "block", "abort"]
    assert outcome["thrown"].startswith("No such DSL method 'shh'")


@case("deployWithProxy", BOOKS, block="fails", answer={**ANSWERS, "abort": "exit=4\nreason=no proxy\n"})
def test_where_the_abort_fails_the_words_of_the_block_still_end_the_build(outcome):
    assert outcome["error"] == "3 of 40 tests failed"
    (said,) = [one["arguments"][0] for one in outcome["calls"] if one["step"] == "echo"]
    assert said.startswith("deployWithProxy: the candidates are left: abortProxy service: 'books-ms' takes them away: ")
    assert said.endswith("deployWithProxy: no proxy (exit code 4)")


@case("deployWithProxy", BOOKS, block="passes", answer={**ANSWERS, "deploy": "exit=6\nreason=answers 500\n"})
def test_what_is_not_verified_is_not_tested(outcome):
    assert commands(outcome) == ["deploy"]
    assert outcome["error"] == "deployWithProxy: answers 500 (exit code 6)"


@case("deployWithProxy", BOOKS, block="passes", answer={**ANSWERS, "promote": "exit=2\nreason=not held\n"})
def test_a_failed_promotion_leaves_no_candidates_either(outcome):
    assert commands(outcome) == ["deploy", "block", "promote", "abort"]
    assert outcome["error"] == "deployWithProxy: not held (exit code 2)"


@case("deployWithProxy", {**BOOKS, "test": {"gstring": "curl -f $JENKINS_PROXY_CANDIDATE_URL"}}, answer=ANSWERS)
def test_a_command_tests_the_candidates(outcome):
    assert commands(outcome) == ["deploy", "test", "promote"]
    assert options_of(shell(outcome, "promote")) == BOOKS
    tested = shell(outcome, "test")
    assert tested["arguments"] == [
        {"label": "jenkins-proxy test books-ms", "script": "set +x\ncurl -f $JENKINS_PROXY_CANDIDATE_URL"}
    ]
    key = shell(outcome, "deploy")["environment"]["JENKINS_PROXY_CANDIDATE_KEY"]
    assert tested["environment"]["JENKINS_PROXY_CANDIDATE_HEADER"] == f"X-Jenkins-Proxy-Candidate: {key}"
    assert call(outcome, "echo")["arguments"] == ["+ curl -f $JENKINS_PROXY_CANDIDATE_URL"]


@case("deployWithProxy", {**BOOKS, "test": "#!/usr/bin/env python3\nprint(1)"}, answer=ANSWERS)
def test_a_test_with_an_interpreter_of_its_own(outcome):
    assert shell(outcome, "test")["arguments"][0]["script"] == "#!/usr/bin/env python3\nprint(1)"


@case("deployWithProxy", {**BOOKS, "test": "false"}, answer={**ANSWERS, "test": "fails"})
def test_a_failing_command_aborts(outcome):
    assert commands(outcome) == ["deploy", "test", "abort"]
    assert outcome["error"] == "script returned exit code 1"


@case("deployWithProxy", {**BOOKS, "hold": True, "holdTimeout": 60}, answer=ANSWERS)
def test_what_is_held_for_another_build(outcome):
    assert commands(outcome) == ["deploy"]
    assert options(outcome) == {**BOOKS, "hold": True, "holdTimeout": "60"}
    key = call(outcome, "sh")["environment"]["JENKINS_PROXY_CANDIDATE_KEY"]
    assert outcome["result"]["status"] == "held"
    assert outcome["result"]["candidate"]["header"] == f"X-Jenkins-Proxy-Candidate: {key}"
    assert outcome["description"] is None


@case("deployWithProxy", {**BOOKS, "dryRun": True}, block="passes", answer="exit=0\nstatus=planned\n")
def test_a_dry_run_holds_and_tests_nothing(outcome):
    assert commands(outcome) == ["deploy"]
    assert options(outcome) == {**BOOKS, "dryRun": True}
    assert outcome["result"]["status"] == "planned"


@case("deployWithProxy", {**BOOKS, "test": "true", "hold": True, "noProxy": True}, block="passes")
def test_one_way_to_test_and_not_without_the_proxy(outcome):
    assert outcome["error"] == (
        "deployWithProxy: a block and test and hold exclude each other: give one of them; "
        "a block needs the proxy, which noProxy leaves out"
    )


@case("scaleWithProxy", {"service": "books-ms", "amount": 1, "test": "true"})
def test_only_a_deploy_is_tested(outcome):
    assert outcome["error"].startswith("scaleWithProxy: unknown parameter(s) test (known: ")


@case("deployWithProxy", {**BOOKS, "candidateKeyCredentialsId": "key"}, block="passes", answer=ANSWERS)
def test_the_key_of_a_credential_is_bound_around_everything(outcome):
    assert call(outcome, "withCredentials")["arguments"][0] == [
        {"kind": "string", "credentialsId": "key", "variable": "JENKINS_PROXY_CANDIDATE_KEY"}
    ]
    assert options_of(shell(outcome, "deploy")) == {**BOOKS, "hold": True}
    assert shell(outcome, "deploy")["environment"]["JENKINS_PROXY_CANDIDATE_KEY"] == "the secret key"
    (candidate,) = call(outcome, "block")["arguments"]
    assert candidate["header"] == "X-Jenkins-Proxy-Candidate: the secret key"
    assert not {"maskPasswords", "echo"} & set(steps(outcome))


@case("deployWithProxy", BOOKS, block="passes", answer=ANSWERS)
def test_a_new_key_is_masked(outcome):
    key = shell(outcome, "deploy")["environment"]["JENKINS_PROXY_CANDIDATE_KEY"]
    assert call(outcome, "maskPasswords")["arguments"] == [
        {"varPasswordPairs": [{"var": "JENKINS_PROXY_CANDIDATE_KEY", "password": key}]}
    ]
    order = steps(outcome)
    assert order.index("maskPasswords") < order.index("sh") < order.index("block")
    assert "echo" not in order


@case("deployWithProxy", BOOKS, block="passes", answer=ANSWERS, absent=["maskPasswords"])
def test_without_the_plugin_one_line_says_how_to_mask_the_key(outcome):
    assert commands(outcome) == ["deploy", "block", "promote"]
    assert call(outcome, "echo")["arguments"] == [UNMASKED]


@case("deployWithProxy", BOOKS)
def test_without_a_test_there_is_no_key(outcome):
    assert "JENKINS_PROXY_CANDIDATE_KEY" not in call(outcome, "sh")["environment"]


def test_no_key_is_used_twice_and_none_is_an_option(outcomes):
    keys = []
    for outcome in outcomes.values():
        for one in outcome["calls"]:
            if one["step"] == "sh":
                key = one["environment"].get("JENKINS_PROXY_CANDIDATE_KEY")
                assert not key or key not in one["environment"].get("JENKINS_PROXY_PARAMS", "")
                assert not key or key not in json.dumps(one["arguments"])
                if key and key != "the secret key" and command(one) == "deploy":
                    keys.append(key)
    assert len(keys) == len(set(keys)) > 5
    assert all(re.fullmatch(r"[0-9a-f-]{36}", key) for key in keys)

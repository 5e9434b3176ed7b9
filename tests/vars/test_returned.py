"""What a step returns and leaves, and who is told."""

from __future__ import annotations

import json
import re

from tests.vars.calls import ANSWER, BOOKS, call, case, options, steps


@case("deployWithProxy", BOOKS, answer=ANSWER)
def test_returns_a_plain_map(outcome):
    report = outcome["result"].pop("report")
    assert outcome["result"] == {
        "service": "books-ms",
        "status": "done",
        "strategy": "rolling",
        "orchestrator": "compose v2",
        "url": "http://proxy/api/v1/books?a=b",
        "instances": ["10.0.0.1:32768", "[fd00::1]:32769"],
        "timings": {"bring_up": 2.25, "total": 3.5},
    }
    folder, _, name = report.rpartition("/")
    assert folder == "/agent/books@tmp/jenkins-proxy", "what a build makes is in its workspace, and nothing of ours"
    assert re.fullmatch(r"jenkins-proxy-deploy-books-ms-[0-9a-f]{8}\.json", name)
    assert call(outcome, "dir")["arguments"] == [folder]
    kept = name.replace(".json", ".*")
    assert call(outcome, "archiveArtifacts")["arguments"] == [{"artifacts": kept, "allowEmptyArchive": True}]
    assert call(outcome, "sh")["environment"]["JENKINS_PROXY_SUMMARY"] == report.replace(".json", ".html")
    assert outcome["description"] == "books-ms: 2 instances at http://proxy/api/v1/books"


@case("deployWithProxy", BOOKS, answer=ANSWER, description="release 7")
def test_appends_to_a_description(outcome):
    assert outcome["description"] == "release 7; books-ms: 2 instances at http://proxy/api/v1/books"


@case("deployWithProxy", BOOKS, answer=ANSWER, description="books-ms: 1 instance; books-ms-2: 3 instances; release 7")
def test_a_description_has_one_entry_a_service_the_last(outcome):
    assert outcome["description"] == (
        "books-ms-2: 3 instances; release 7; books-ms: 2 instances at http://proxy/api/v1/books"
    )


@case("deployWithProxy", {**BOOKS, "dryRun": True}, answer="exit=0\nstatus=planned\n", description="release 7")
def test_a_plan_describes_nothing(outcome):
    assert outcome["description"] == "release 7"
    assert outcome["result"]["status"] == "planned"


@case("deployWithProxy", {**BOOKS, "stage": True, "lock": True, "proxyTokenCredentialsId": "proxy"}, answer=ANSWER)
def test_returns_through_everything_that_surrounds_it(outcome):
    assert outcome["result"]["status"] == "done"


@case(
    "deployWithProxy",
    BOOKS,
    description="release 7",
    answer="exit=3\nreason=books-ms: 1 of 2 instances = not passing after 60 s\n",
)
def test_a_failed_deploy_fails_the_build_with_its_reason(outcome):
    assert outcome["error"] == ("deployWithProxy: books-ms: 1 of 2 instances = not passing after 60 s (exit code 3)")
    assert "archiveArtifacts" in steps(outcome)
    assert outcome["description"] == "release 7"


@case("deployWithProxy", BOOKS, shell="aborted")
def test_an_aborted_deploy_still_keeps_its_report(outcome):
    assert outcome["error"] == "the build was stopped"
    assert steps(outcome)[-1] == "archiveArtifacts"


AGAIN = "run the build again, it takes away what is left and goes on from what serves"


@case("deployWithProxy", BOOKS, shell=143)
def test_a_tool_that_is_stopped_by_others_than_jenkins_says_where_it_is_told_what_is_left(outcome):
    assert outcome["error"] == (
        "deployWithProxy: jenkins-proxy was stopped (exit code 143): its last lines above say what serves of "
        f"books-ms, and what is left: {AGAIN}"
    )


@case("undeployWithProxy", {"service": "books-ms", "notify": {"closure": "passes"}}, shell=-1)
def test_a_tool_that_went_with_its_machine_says_which_step_it_was(outcome):
    """What Jenkins finds once the agent's machine has started again."""
    ended = f"jenkins-proxy ended with exit code -1 and without an answer about books-ms: {AGAIN}"
    assert outcome["error"] == f"undeployWithProxy: {ended}"
    (told,) = call(outcome, "notify")["arguments"]
    assert told == {"service": "books-ms", "status": "failed", "reason": ended}


@case("deployWithProxy", BOOKS, answer="exit=2\nreason=no\n", report=False)
def test_without_a_report_nothing_is_archived(outcome):
    assert "archiveArtifacts" not in steps(outcome)


@case("deployWithProxy", {**BOOKS, "archive": False, "report": "out/report.json"}, answer=ANSWER)
def test_a_report_of_the_callers_own(outcome):
    assert outcome["result"]["report"] == "out/report.json"
    assert json.loads(call(outcome, "sh")["environment"]["JENKINS_PROXY_PARAMS"])["report"] == "out/report.json"
    assert "archiveArtifacts" not in steps(outcome)


@case("deployWithProxy", {**BOOKS, "report": "out/report.json"}, answer=ANSWER)
def test_a_report_of_the_callers_own_is_kept_as_well(outcome):
    kept = [one["arguments"][0]["artifacts"] for one in outcome["calls"] if one["step"] == "archiveArtifacts"]
    assert kept[0] == "out/report.json"
    assert re.fullmatch(r"jenkins-proxy-deploy-books-ms-[0-9a-f]{8}\.\*", kept[1])


@case("deployWithProxy", {"service": "../a b/$x", "path": "/"}, answer=ANSWER)
def test_a_report_is_never_called_what_a_shell_or_a_folder_understands(outcome):
    name = outcome["result"]["report"].rpartition("/")[2]
    assert name.startswith("jenkins-proxy-deploy-.._a_b__x-") and name.endswith(".json")
    # The same in each line of the console, where branches of `parallel` write side by side.
    assert call(outcome, "sh")["environment"]["JENKINS_PROXY_SERVICE"] == ".._a_b__x"


@case("scaleWithProxy", {"service": "books-ms", "amount": 2}, answer="killed")
def test_a_tool_that_is_killed_says_which_step_it_was_and_what_to_do(outcome):
    assert outcome["error"] == (
        "scaleWithProxy: jenkins-proxy was killed (exit code 137) before it could clean up books-ms: "
        "run the build again, it takes away what is left and goes on from what serves"
    )
    assert steps(outcome)[-2:] == ["archiveArtifacts", "error"]


@case("deployWithProxy", BOOKS, libraries=["jenkins-proxy", "ours"])
def test_two_libraries_with_the_steps_are_one_too_many(outcome):
    assert outcome["error"] == (
        "deployWithProxy: Library resource jenkins_proxy/jenkins/step.sh ambiguous among libraries "
        "[jenkins-proxy, ours]: a build takes these steps from one library: leave out the others, of which Jenkins "
        "may load one implicitly"
    )


@case("deployWithProxy", BOOKS, agent="gone")
def test_an_agent_that_is_gone_is_what_the_build_ends_with(outcome):
    assert outcome["error"] == "the agent was removed"
    assert call(outcome, "echo")["arguments"][0].endswith("is not kept: cannot connect to the agent")


@case("deployWithProxy", {**BOOKS, "notify": "https://hooks.example.com/x"}, answer=ANSWER)
def test_a_url_is_told_by_the_command(outcome):
    shell = call(outcome, "sh")
    assert shell["environment"]["JENKINS_PROXY_NOTIFY"] == "https://hooks.example.com/x"
    assert options(outcome) == BOOKS, "it is no option: ps would show it"


@case("removeFromProxy", {"service": "books-ms", "notifyCredentialsId": "hook"})
def test_a_url_of_a_credential(outcome):
    assert call(outcome, "sh")["environment"]["JENKINS_PROXY_NOTIFY"] == "the secret hook"


@case("deployWithProxy", {**BOOKS, "notify": {"closure": "passes"}}, answer=ANSWER)
def test_a_closure_is_told_what_the_step_returns(outcome):
    (told,) = call(outcome, "notify")["arguments"]
    assert told == outcome["result"]
    assert "JENKINS_PROXY_NOTIFY" not in call(outcome, "sh")["environment"]


@case("deployWithProxy", {**BOOKS, "notify": {"closure": "fails"}}, answer=ANSWER)
def test_a_closure_that_fails_fails_nothing(outcome):
    assert outcome["result"]["status"] == "done"
    assert call(outcome, "echo")["arguments"] == ["deployWithProxy: notify failed: no such channel"]


@case("deployWithProxy", {**BOOKS, "notify": {"closure": "misspells"}}, answer=ANSWER)
def test_a_closure_with_a_mistake_fails_nothing(outcome):
    assert outcome["result"]["status"] == "done"
    assert "No such DSL method 'shh'" in call(outcome, "echo")["arguments"][0]


@case("deployWithProxy", {**BOOKS, "notify": {"closure": "passes"}}, answer="exit=3\nreason=not passing\n")
def test_a_closure_is_told_of_a_failure(outcome):
    (told,) = call(outcome, "notify")["arguments"]
    assert told == {"service": "books-ms", "status": "failed", "reason": "not passing"}
    assert outcome["error"] == "deployWithProxy: not passing (exit code 3)"


@case("deployWithProxy", {**BOOKS, "notify": {"closure": "passes"}}, shell="aborted")
def test_a_closure_is_told_of_an_aborted_deploy(outcome):
    (told,) = call(outcome, "notify")["arguments"]
    assert told["status"] == "failed"
    assert outcome["error"] == "the build was stopped"


@case("deployWithProxy", {**BOOKS, "notify": True}, agent="none")
def test_nobody_can_be_told_by_true(outcome):
    assert outcome["error"] == "deployWithProxy: notify takes a URL or a closure, not true"

"""Each step in Groovy 2.4: what it refuses, what it hands on, what it returns. All cases share one JVM."""

from __future__ import annotations

import json
import re

import pytest

CASES: dict[str, dict] = {}
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
BOOKS = {"service": "books-ms", "path": "/api/v1/books"}


def case(step: str, config: dict, **world):
    """The call whose outcome the test gets. ``world``: answer, agent, shell, absent, report, description, block."""

    def keep(test):
        CASES[test.__name__] = {"step": step, "config": config, **world}
        return test

    return keep


@pytest.fixture(scope="module")
def outcomes(steps):
    return dict(zip(CASES, steps(list(CASES.values()))))


@pytest.fixture
def outcome(outcomes, request):
    return outcomes[request.node.originalname]


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


# What a step refuses: everything at once, before anything is done.

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


NULL = "takes true or false, not null, which params gives for a name that it does not have"
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


# What it hands on.


@case(
    "deployWithProxy",
    {
        "service": {"gstring": "books-ms"},
        "path": ["/a b", {"gstring": "/b'$(id)\n`\"%0a"}],
        "pull": True,
        "scale": 3,
        "domain": None,
        "probePath": "",
        "timeout": 0,
        "keepOld": False,
    },
)
def test_values_travel_as_json_in_the_environment(outcome):
    # Neither null nor what equals a default is sent: the command line has its own.
    assert options(outcome) == {"service": "books-ms", "path": ["/a b", "/b'$(id)\n`\"%0a"], "pull": True, "scale": "3"}
    environment = call(outcome, "sh")["environment"]
    assert environment["JENKINS_PROXY_COMMAND"] == "deploy"
    assert environment["JENKINS_PROXY_PYTHON"] == "python3"


@case(
    "deployWithProxy",
    {
        "serviceName": "books-ms",
        "servicePath": "/api",
        "serviceDomain": ["a.com"],
        "composeFile": "x.yml",
        "timeoutSeconds": 30,
    },
)
def test_the_articles_words_are_taken(outcome):
    assert options(outcome) == {
        "service": "books-ms",
        "path": "/api",
        "domain": ["a.com"],
        "file": "x.yml",
        "timeout": "30",
    }


@case("scaleWithProxy", {"service": "books-ms", "scale": -1})
def test_scale_is_a_word_for_amount(outcome):
    assert options(outcome) == {"service": "books-ms", "amount": "-1"}
    assert call(outcome, "sh")["environment"]["JENKINS_PROXY_COMMAND"] == "scale"


@case("scaleWithProxy", {"service": "books-ms", "instances": 0, "allowEmpty": True})
def test_zero_is_an_amount(outcome):
    assert options(outcome) == {"service": "books-ms", "amount": "0", "allowEmpty": True}


@case("reconfigureProxy", BOOKS)
def test_reconfigure(outcome):
    assert options(outcome) == BOOKS
    assert call(outcome, "sh")["arguments"][0]["label"] == "jenkins-proxy reconfigure books-ms"


@case("removeFromProxy", {"service": "books-ms", "proxy": "http://proxy:8081"})
def test_remove(outcome):
    assert options(outcome) == {"service": "books-ms", "proxy": "http://proxy:8081"}
    assert call(outcome, "sh")["arguments"][0]["label"] == "jenkins-proxy remove books-ms"


@case(
    "undeployWithProxy",
    {
        "service": "books-ms",
        "project": "books-ms-x",
        "volumes": True,
        "withSides": False,
        "side": ["db"],
        "stage": True,
    },
    answer="exit=0\nservice=books-ms\nstatus=done\nleft=service web; network x\ndescription=books-ms: undeployed\n",
)
def test_undeploy(outcome):
    assert options(outcome) == {"service": "books-ms", "project": "books-ms-x", "volumes": True, "side": ["db"]}
    assert call(outcome, "sh")["arguments"][0]["label"] == "jenkins-proxy undeploy books-ms"
    assert outcome["result"]["left"] == "service web; network x"
    assert outcome["description"] == "books-ms: undeployed"


@case("undeployWithProxy", {"service": None, "volumes": None, "path": "/", "drain": {}})
def test_what_an_undeploy_refuses(outcome):
    first, *others = outcome["error"].split("; ")
    assert first.startswith("undeployWithProxy: unknown parameter(s) path (known: ")
    assert sorted(others) == ["drain takes a text, not [:]", "missing parameter(s) service", f"volumes {NULL}"]


@case("undeployWithProxy", {"service": "books-ms"}, block="passes")
def test_an_undeploy_takes_no_block(outcome):
    assert outcome["error"].startswith("undeployWithProxy takes no block: undeployWithProxy(service: 'books-ms')")


@case(
    "deployWithProxy",
    {
        **BOOKS,
        "image": "tools/jp:1",
        "pipSpec": "./dist",
        "python": "python3.12",
        "imageRegistry": "registry.example.com",
    },
)
def test_the_way_to_the_agent_is_not_the_commands_business(outcome):
    assert options(outcome) == BOOKS
    environment = call(outcome, "sh")["environment"]
    assert [environment[f"JENKINS_PROXY_{name}"] for name in ("IMAGE", "PIP_SPEC", "PYTHON", "IMAGE_REGISTRY")] == [
        "tools/jp:1",
        "./dist",
        "python3.12",
        "registry.example.com",
    ]


@case(
    "deployWithProxy",
    {
        **BOOKS,
        "consulTokenCredentialsId": "consul",
        "proxyTokenCredentialsId": "proxy",
        "imageRegistryCredentialsId": "hub",
        "dockerCredentialsId": "tls",
    },
)
def test_credentials_are_bound_and_not_sent(outcome):
    assert call(outcome, "withCredentials")["arguments"][0] == [
        {"kind": "string", "credentialsId": "consul", "variable": "CONSUL_HTTP_TOKEN"},
        {"kind": "string", "credentialsId": "proxy", "variable": "JENKINS_PROXY_TOKEN"},
        {
            "kind": "usernamePassword",
            "credentialsId": "hub",
            "usernameVariable": "JENKINS_PROXY_IMAGE_REGISTRY_USER",
            "passwordVariable": "JENKINS_PROXY_IMAGE_REGISTRY_PASSWORD",
        },
        {"kind": "dockerCert", "credentialsId": "tls", "variable": "DOCKER_CERT_PATH"},
    ]
    assert call(outcome, "sh")["environment"]["DOCKER_TLS_VERIFY"] == "1"
    assert options(outcome) == BOOKS


@case("deployWithProxy", {**BOOKS, "registry": "registry.example.com", "registryCredentialsId": "hub"})
def test_the_old_keys_of_the_image_registry_still_work_and_one_line_names_the_new(outcome):
    assert call(outcome, "echo")["arguments"] == [
        "deployWithProxy: registry is deprecated: use imageRegistry; "
        "registryCredentialsId is deprecated: use imageRegistryCredentialsId"
    ]
    (binding,) = call(outcome, "withCredentials")["arguments"][0]
    assert (binding["credentialsId"], binding["usernameVariable"]) == ("hub", "JENKINS_PROXY_IMAGE_REGISTRY_USER")
    assert call(outcome, "sh")["environment"]["JENKINS_PROXY_IMAGE_REGISTRY"] == "registry.example.com"
    assert options(outcome) == BOOKS


@case("deployWithProxy", {**BOOKS, "registry": "a", "imageRegistry": "b"})
def test_an_old_key_beside_its_new_one(outcome):
    assert outcome["error"] == "deployWithProxy: registry is another word for imageRegistry: give one of them"


@case("reconfigureProxy", {**BOOKS, "slowStart": 0, "pathType": ""})
def test_what_is_given_of_a_route_is_handed_on_also_when_it_is_the_default(outcome):
    """It wins over a label of the compose file, of which the step knows nothing."""
    assert options(outcome) == {**BOOKS, "slowStart": "0", "pathType": ""}


@case("removeFromProxy", {"service": "books-ms", "slowStart": 5})
def test_a_step_without_a_path_takes_no_options_of_a_route(outcome):
    assert outcome["error"].startswith("removeFromProxy: unknown parameter(s) slowStart (known: ")


@case("deployWithProxy", {**BOOKS, "dockerCredentialsId": "tls"}, absent=["dockerCert"])
def test_without_docker_commons_the_certificate_is_a_zip(outcome):
    assert call(outcome, "withCredentials")["arguments"][0] == [
        {"kind": "zip", "credentialsId": "tls", "variable": "DOCKER_CERT_PATH"}
    ]


@case("deployWithProxy", BOOKS)
def test_only_what_is_asked_for_surrounds_it(outcome):
    assert steps(outcome) == [
        "isUnix",
        "pwd",
        "withEnv",
        "libraryResource",
        "sh",
        "fileExists",
        "dir",
        "archiveArtifacts",
    ]
    assert "DOCKER_TLS_VERIFY" not in call(outcome, "sh")["environment"]


@case("deployWithProxy", {**BOOKS, "stage": True, "lock": True, "consulTokenCredentialsId": "consul"})
def test_stage_and_lock_have_names_of_their_own(outcome):
    assert steps(outcome)[:6] == ["isUnix", "stage", "lock", "withCredentials", "pwd", "withEnv"]
    assert call(outcome, "stage")["arguments"] == ["jenkins-proxy deploy books-ms"]
    assert call(outcome, "lock")["arguments"] == [{"resource": "jenkins-proxy books-ms"}]


@case("deployWithProxy", {**BOOKS, "stage": "Ship it", "lock": {"gstring": "production"}})
def test_stage_and_lock_take_names(outcome):
    assert call(outcome, "stage")["arguments"] == ["Ship it"]
    assert call(outcome, "lock")["arguments"] == [{"resource": "production"}]


@case("deployWithProxy", {**BOOKS, "lock": True}, absent=["lock"])
def test_without_the_plugin_there_is_no_lock(outcome):
    assert outcome["error"] == (
        "deployWithProxy: lock needs the plugin Lockable Resources, which this Jenkins does not have"
    )
    assert "sh" not in steps(outcome)


# What it returns and leaves.


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
    assert outcome["error"] == "script returned exit code 143"
    assert steps(outcome)[-1] == "archiveArtifacts"


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


@case("deployWithProxy", BOOKS, agent="gone")
def test_an_agent_that_is_gone_is_what_the_build_ends_with(outcome):
    assert outcome["error"] == "the agent was removed"
    assert call(outcome, "echo")["arguments"][0].endswith("is not kept: cannot connect to the agent")


# Who is told.


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
    assert outcome["error"] == "script returned exit code 143"


@case("deployWithProxy", {**BOOKS, "notify": True}, agent="none")
def test_nobody_can_be_told_by_true(outcome):
    assert outcome["error"] == "deployWithProxy: notify takes a URL or a closure, not true"


# A test in between: held, tested, promoted; or aborted.

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


# The key of the candidates.


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


def test_reports_of_parallel_branches_differ(outcomes):
    names = [
        one["arguments"][0]
        for name, outcome in outcomes.items()
        for one in outcome["calls"]
        if one["step"] == "fileExists" and name != "test_a_report_of_the_callers_own"
    ]
    assert len(names) == len(set(names)) > 10


def test_every_shell_is_the_constant_script_with_a_label(outcomes, repository):
    script = (repository / "resources/jenkins_proxy/jenkins/step.sh").read_text(encoding="utf-8")
    shells = [
        one["arguments"][0]
        for outcome in outcomes.values()
        for one in outcome["calls"]
        if one["step"] == "sh" and command(one) != "test"
    ]
    assert len(shells) > 10
    for shell in shells:
        assert shell == {"label": shell["label"], "script": script, "returnStdout": True, "encoding": "UTF-8"}
        assert shell["label"].startswith("jenkins-proxy ")


def test_jenkins_finds_no_interpolated_string_to_warn_of(outcomes):
    for outcome in outcomes.values():
        for one in outcome["calls"]:
            if one["step"] in ("sh", "withEnv", "withCredentials"):
                assert one["interpolated"] == []

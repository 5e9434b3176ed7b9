"""What a step hands on to the command line."""

from __future__ import annotations

from tests.vars.calls import BOOKS, NULL, call, case, command, options, steps


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


@case("deployWithProxy", {"service": "books-ms", "path": {"split": "/a,/b"}, "file": {"split": "x.yml"}})
def test_an_array_of_texts_is_a_list(outcome):
    """path: params.PATHS.split(',')"""
    assert options(outcome) == {"service": "books-ms", "path": ["/a", "/b"], "file": ["x.yml"]}


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


def test_reports_of_parallel_branches_differ(outcomes):
    names = [
        one["arguments"][0]
        for name, outcome in outcomes.items()
        for one in outcome["calls"]
        if one["step"] == "fileExists" and not name.endswith("::test_a_report_of_the_callers_own")
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

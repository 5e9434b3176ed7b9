"""The steps in a real Jenkins on this machine: sandboxed from a folder's library, and trusted from a global one.

JENKINS_URL, JENKINS_USER and JENKINS_TOKEN give it and its administrator. It must take libraries from local
repositories (-Dhudson.plugins.git.GitSCM.ALLOW_LOCAL_CHECKOUT=true), and its built-in node runs the builds.
What is deployed is real, too: Docker, and a `serve` with its embedded registry.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from pathlib import Path


def test_scripted(any_job, services):
    books = services()
    done = any_job.build(f"""node {{
        def deploy = {books.deploy()}
        echo "RESULT ${{groovy.json.JsonOutput.toJson(deploy)}}"
        def scaled = {books.scale("'+2'")}
        echo "SCALED ${{scaled.instances.size()}} ${{scaled.timings.total > 0}}"
        sh 'curl -sf {books.machine["entry"]}/{books.name}/'
        removeFromProxy({books.arguments()})
    }}""")
    assert done.result == "SUCCESS", "\n".join(done.lines)
    result = json.loads(done.value("RESULT"))
    assert (result["service"], result["status"], len(result["instances"])) == (books.name, "done", 1)
    assert result["url"].startswith(books.machine["entry"]) and result["timings"]["total"] > 0
    assert done.value("SCALED") == "3 true", "\n".join(done.lines)
    assert "hello" in done.lines
    assert books.get() in (404, 503)
    # One entry a service: the last.
    assert done.about["description"] == f"{books.name}: not routed"
    assert len(done.reports) == 3
    assert done.artifact(result["report"])["status"] == "done"


def test_declarative_without_a_script_block(any_job, services, secret, told):
    books = services()
    call = books.deploy(stage="true", notify=f"'{told.url}/{secret}'")
    closure = """{ report -> echo "TOLD ${report.service} ${report.status}"; error('no channel') }"""
    done = any_job.build(f"""pipeline {{
        agent any
        environment {{ VERSION = '2' }}
        stages {{ stage('Deploy') {{ steps {{
            {call.replace("deployWithProxy(", "deployWithProxy ")[:-1]}
            reconfigureProxy {
        books.arguments(
            path=f"'/{books.name}'",
            probePath=f"'/{books.name}/'",
            notify=closure,
        )
    }
        }} }} }}
        post {{ always {{ echo "POST ${{currentBuild.currentResult}}" }} }}
    }}""")
    assert done.result == "SUCCESS", "\n".join(done.lines)
    assert done.value("POST") == "SUCCESS"
    assert done.value("TOLD") == f"{books.name} done"
    assert "reconfigureProxy: notify failed: no channel" in done.lines
    # The page for people, as Jenkins serves it: in a sandbox without scripts and styles.
    (page,) = [one for one in done.pages if "deploy: start the containers" in one.text]
    assert f"<h1>{books.name}: done</h1>" in page.text
    assert f'<a href="{books.machine["entry"]}/{books.name}">' in page.text
    assert not re.search("<(script|style|img)|style=| on[a-z]+=", page.text)
    assert [line for line in done.lines if line.endswith(f"/{page.name}") and "* summary: http" in line]
    assert books.get() == 200
    (container,) = books.containers()
    environment = subprocess.run(
        [books.docker, "inspect", "-f", "{{.Config.Env}}", container], capture_output=True, text=True, check=True
    ).stdout
    assert "VERSION=2" in environment
    assert [(path, report["status"]) for path, report in told.reports] == [(f"/{secret}", "done")]
    assert secret not in environment


def test_parallel_branches_in_one_workspace(any_job, services):
    books, users = services(), services()
    done = any_job.build(f"""node {{
        def results = [:]
        parallel(
            books: {{ results.books = {books.deploy()} }},
            users: {{ results.users = {users.deploy()} }})
        echo "BOTH ${{results.books.service}} ${{results.users.service}}"
        echo "WORKSPACE ${{sh(script: 'ls -A', returnStdout: true).trim().tokenize('\\n')}}"
        echo "REPORTS ${{results.values()*.report.toSet().size()}}"
    }}""")
    assert done.result == "SUCCESS", "\n".join(done.lines)
    assert done.value("BOTH") == f"{books.name} {users.name}"
    assert done.value("REPORTS") == "2"
    assert (books.get(), users.get()) == (200, 200)
    assert {part.split(":")[0] for part in done.about["description"].split("; ")} == {books.name, users.name}
    assert len(done.reports) == 2
    # Whose line is whose.
    for service in (books, users):
        assert f"[jenkins-proxy] [{service.name}] * jenkins-proxy 1.0.0: deploy {service.name}" in done.lines
    assert not [line for line in done.lines if line.startswith("[jenkins-proxy] *")]
    assert done.value("WORKSPACE") == "[]", "reports are in the build, not in the workspace"


def test_branches_that_end_at_the_same_moment_each_have_their_entry(job, tmp_path: Path):
    stand_in = tmp_path / "python"
    stand_in.write_text("""#!/bin/sh
[ "$3" != --version ] || { echo 1.0.0; exit; }
printf 'exit=0\\ndescription=%s: not routed\\n' "$JENKINS_PROXY_SERVICE"
""")
    stand_in.chmod(0o755)
    done = job.build(f"""node {{
        def branches = [:]
        for (int each = 0; each < 10; each++) {{
            String service = "s${{each}}"
            branches[service] = {{ removeFromProxy(service: service, python: '{stand_in}', archive: false) }}
        }}
        parallel branches
    }}""")
    assert done.result == "SUCCESS", "\n".join(done.lines)
    assert sorted(done.about["description"].split("; ")) == [f"s{each}: not routed" for each in range(10)]


def test_credentials_reach_the_command_and_nobody_else(any_job, folder: str, secret: str, tmp_path: Path):
    """Into the environment of a stand-in for Python, which says too much, and from there nowhere."""
    seen = tmp_path / "environment"
    stand_in = tmp_path / "python"
    stand_in.write_text(f"""#!/bin/sh
[ "$3" != --version ] || {{ echo 1.0.0; exit; }}
cat "$DOCKER_CERT_PATH/key.pem" >"{tmp_path}/key"
env >"{seen}"
env >&2
echo 'exit=0'
""")
    stand_in.chmod(0o755)
    done = any_job.build(f"""node {{
        removeFromProxy(service: 'books-ms', python: '{stand_in}', imageRegistry: 'registry.example.com',
            consulTokenCredentialsId: '{folder}', proxyTokenCredentialsId: '{folder}',
            imageRegistryCredentialsId: '{folder}-login', dockerCredentialsId: '{folder}-tls')
        sh 'env'
    }}""")
    assert done.result == "SUCCESS", "\n".join(done.lines)
    environment = dict(line.split("=", 1) for line in seen.read_text().splitlines() if "=" in line)
    assert environment["CONSUL_HTTP_TOKEN"] == environment["JENKINS_PROXY_TOKEN"] == secret
    assert environment["JENKINS_PROXY_IMAGE_REGISTRY_USER"] == "deployer"
    assert environment["JENKINS_PROXY_IMAGE_REGISTRY_PASSWORD"] == f"{secret}-login"
    assert environment["JENKINS_PROXY_IMAGE_REGISTRY"] == "registry.example.com"
    assert environment["DOCKER_TLS_VERIFY"] == "1"
    assert (tmp_path / "key").read_text() == "the key.pem"
    assert not Path(environment["DOCKER_CERT_PATH"]).exists()
    # What the next step of the build has.
    later = done.lines[done.lines.index("+ env") + 1 :]
    assert not [line for line in later if line.startswith(("JENKINS_PROXY", "CONSUL", "DOCKER"))]


FORM = "removeFromProxy takes names with values: removeFromProxy(service: 'books-ms')"
WRONG = {
    "removeFromProxy('books-ms')": FORM,
    "removeFromProxy(null)": FORM,
    "removeFromProxy('books-ms', '/api')": FORM,
    "removeFromProxy('books-ms', '/api', 'docker-compose.yml')": FORM,
    "removeFromProxy('books-ms', 'docker-compose.yml', proxies: 'any')": FORM,
    "deployWithProxy(service: 'books-ms', path: '/', dryRun: params.TYPO)": (
        "deployWithProxy: dryRun takes true or false, not null"
    ),
    "deployWithProxy(service: 'books-ms', path: '/', dryrun: params.TYPO)": (
        "deployWithProxy: unknown parameter(s) dryrun (known: "
    ),
    "undeployWithProxy(service: 'books-ms', volumes: 'null', projet: 'x')": (
        "undeployWithProxy: unknown parameter(s) projet (known: "
    ),
    "removeFromProxy(service: 'a,b'.split(','))": "removeFromProxy: service takes a text, not [a, b]",
    "deployWithProxy(service: 'books-ms', path: '/', dryRun: { true })": (
        "deployWithProxy: dryRun takes true or false, not a closure"
    ),
    "removeFromProxy(service: 'books-ms')": (
        "removeFromProxy needs an agent: call it inside node { } or in a stage with an agent"
    ),
}
"""Calls outside of a node, with how each error begins."""


def test_everything_wrong_is_told_before_an_agent_is_needed(any_job):
    """Jenkins itself would say of some that scripts are not permitted to use a method, and send to an administrator."""
    tried = [f"try {{ {call} }} catch (wrong) {{ echo 'WRONG ' + wrong.message }}" for call in WRONG]
    done = any_job.build("\n".join([*tried, "deployWithProxy(sevice: 'books-ms', pull: 'yes')"]))
    assert done.result == "FAILURE"
    said = [line.removeprefix("WRONG ") for line in done.lines if line.startswith("WRONG ")]
    assert [text[: len(begin)] for text, begin in zip(said, WRONG.values())] == list(WRONG.values())
    assert "; volumes takes true or false, not 'null'" in said[7]
    assert done.error.startswith("ERROR: deployWithProxy: unknown parameter(s) sevice (known: ")
    assert done.error.endswith(
        "; missing parameter(s) service, path or domain or noProxy; pull takes true or false, not 'yes'"
    )


def test_wrong_keys_and_wrong_values_are_told_in_one_build(job):
    done = job.build(f"""node {{
        try {{
            undeployWithProxy(service: '-x', projet: 'y', drain: 'long', orchestrator: 'k8s',
                python: '{sys.executable}')
        }} catch (wrong) {{ echo 'WRONG ' + wrong.message }}
        deployWithProxy(sevice: 'books-ms', pull: 'yes', strategy: 'bluegreen', checkTimeout: 0.0001,
            python: '{sys.executable}')
    }}""")
    assert done.result == "FAILURE"
    assert done.error.startswith("ERROR: deployWithProxy: unknown parameter(s) sevice (known: ")
    for told in ("pull takes true or false, not 'yes'", "strategy takes auto, ", "checkTimeout: '0.0001'"):
        assert told in done.error
    for told in (
        "unknown parameter(s) projet",
        "drain: 'long' is not a number of seconds",
        "orchestrator takes auto, ",
    ):
        assert told in done.value("WRONG")


def test_a_lock_is_held_meanwhile_or_its_plugin_asked_for(server, any_job):
    plugins = server.run_script("println Jenkins.get().pluginManager.plugins*.shortName")
    done = any_job.build(
        "node { removeFromProxy(service: 'books-ms', lock: true, proxy: 'http://127.0.0.1:9',"
        f" python: '{sys.executable}') }}"
    )
    assert done.result == "FAILURE"
    if "lockable-resources" in plugins:
        first = done.lines.index("Lock acquired on [jenkins-proxy books-ms]")
        last = done.lines.index("Lock released on resource [jenkins-proxy books-ms]")
        assert [line for line in done.lines[first:last] if "no proxy daemon answers at http://127.0.0.1:9" in line]
    else:
        assert done.error == (
            "ERROR: removeFromProxy: lock needs the plugin Lockable Resources, which this Jenkins does not have"
        )


def test_a_failed_deploy_fails_the_build_with_one_line(any_job, services):
    books = services()
    done = any_job.build(f"node {{ {books.deploy(passes=False, timeoutSeconds='8')} }}")
    assert done.result == "FAILURE"
    assert re.fullmatch(rf"ERROR: deployWithProxy: .*{books.name}.* \(exit code 3\)", done.error), done.lines
    # The same line as the command's own, with the reasons above it.
    said = done.error.removeprefix("ERROR: deployWithProxy: ").removesuffix(" (exit code 3)")
    assert f"[jenkins-proxy] [{books.name}] ERROR: {said}" in done.lines
    (report,) = done.reports
    assert report["error"]["message"] == said
    assert done.about["description"] is None


def test_an_aborted_deploy_cleans_up_and_the_next_one_converges(any_job, services):
    books = services()
    stopped = threading.Event()

    def abort(line: str) -> None:
        if "waiting for" in line and not stopped.is_set():
            stopped.set()
            any_job.stop()

    done = any_job.build(f"node {{ {books.deploy(passes=False)} }}", abort)
    assert done.result == "ABORTED", "\n".join(done.lines)
    text = "\n".join(done.lines)
    assert re.search(r"ERROR: stopped by SIGTERM during \w+; ", text)
    # The report was kept after the command had ended: Jenkins waited for it.
    (report,) = done.reports
    assert report["status"] == "stopped"
    assert books.get() in (404, 503)
    again = any_job.build(f"node {{ {books.deploy()} }}")
    assert again.result == "SUCCESS", "\n".join(again.lines)
    assert books.get() == 200

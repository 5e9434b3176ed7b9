"""Messages in the words of a Jenkinsfile."""

from __future__ import annotations

import pytest

from jenkins_proxy.cli.jenkins_step import words as step_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("add --scale 1, or let the engine pick the port", "add scale: 1, or let the engine pick the port"),
        ("give it with -f, relative to where this runs", "give it with file:, relative to where this runs"),
        ("no -f is given, and here: no such file", "no file: is given, and here: no such file"),
        ("-p is empty", "project: is empty"),
        ("if that is meant, add --allow-empty", "if that is meant, add allowEmpty: true"),
        ("wait for it with --lock-timeout SECONDS; the", "wait for it with lockTimeout: SECONDS; the"),
        ("use --strategy rolling or recreate", "use strategy: 'rolling' or recreate"),
        (
            "deploy with --strategy blue-green --keep-old to have one",
            "deploy with strategy: 'blue-green', keepOld: true to have one",
        ),
        ("deploy --hold leaves candidates", "deployWithProxy hold: true leaves candidates"),
        ("raise --timeout, or lower --settle", "raise timeout:, or lower settle:"),
        ("more failed than --max-errors 0 allows", "more failed than maxErrors: 0 allows"),
        ("--consul: 'ftp://x' is not an address", "consul: 'ftp://x' is not an address"),
        ("give it with -f: relative", "give it with file: relative"),
        ("add --allow-empty: it is meant", "add allowEmpty: true: it is meant"),
        ("--report r.json: cannot be written", "report: r.json: cannot be written"),
        (
            "set JENKINS_PROXY_TOKEN to the token that the daemon was started with",
            "let proxyTokenCredentialsId: name a Secret text with the token that the daemon was started with",
        ),
        (
            "give a token that may do this in CONSUL_HTTP_TOKEN",
            "give a token that may do this by consulTokenCredentialsId:, a Secret text",
        ),
        (
            "set --proxy or JENKINS_PROXY_URL to the address that `jenkins-proxy serve` names",
            "set proxy: to the address that `jenkins-proxy serve` names",
        ),
        ("does --entry (JENKINS_PROXY_ENTRY) name it?", "does entry: name it?"),
        ("set DOCKER_HOST to a manager, or use compose", "set dockerHost: to a manager, or use compose"),
        (
            "install docker-compose 1.x and add --orchestrator compose-v1",
            "install docker-compose 1.x and add orchestrator: 'compose-v1'",
        ),
        # Commands, values, other programs' options and what Jenkins cannot give stay.
        ("docker compose -p books -f a.yml config shows it", "docker compose -p books -f a.yml config shows it"),
        ("docker compose up --scale app=2 failed: no", "docker compose up --scale app=2 failed: no"),
        ("docker compose build and push, without --build", "docker compose build and push, without build: true"),
        ("docker network create --driver overlay x", "docker network create --driver overlay x"),
        ("path: '--scale' is not a path", "path: '--scale' is not a path"),
        ("books-f ran --unknown", "books-f ran --unknown"),
        ("(DOCKER_HOST says so)", "(DOCKER_HOST says so)"),
        ("set JENKINS_PROXY_CACERT to the file", "set JENKINS_PROXY_CACERT to the file"),
    ],
)
def test_a_message_speaks_the_jenkinsfiles_words(text: str, words: str) -> None:
    assert step_words.translate(text, step_words.keys("scale")) == words
    assert words == text or step_words.MAY_NEED.search(text)

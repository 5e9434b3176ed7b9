"""What seeding asks of a Jenkins, and python-jenkins made to answer it in one manner.

python-jenkins raises its own exceptions for some statuses and those of requests for others, has no time limit, guesses
the encoding of a config.xml, keeps a crumb past a restart, and hides what a refused request was refused for. All of
that ends here: bytes in, bytes out, and ``JenkinsServerError`` with one line.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import jenkins
import requests

from jenkins_proxy.errors import JenkinsServerError, root_cause
from jenkins_proxy.seeding.items import FOLDER, JOB, VIEW, Present, owner

_FOLDER_CLASS = "com.cloudbees.hudson.plugins.folder.Folder"
# One request for a whole tree, as deep as a seed file's folders may be.
_DEPTH = 10
_XML = {"Content-Type": "text/xml; charset=utf-8"}
_HINTS = {
    401: "check JENKINS_USER, and JENKINS_TOKEN or JENKINS_TOKEN_FILE",
    403: "seeding needs Overall/Read, Job/Read, ExtendedRead, Create and Configure, View/Read, Create and Configure; "
    "--prune also Delete of both, --agent Agent/Create, --build Job/Build",
    503: "Jenkins is starting, or stopping: try again when it is up",
}

_SILENCE = logging.NullHandler()


class Refused(JenkinsServerError):
    """Jenkins answered, with an error.

    :ivar status: the HTTP status.
    """

    def __init__(self, message: str, hint: str, status: int) -> None:
        super().__init__(message, hint)
        self.status = status


class JenkinsServer:
    """A Jenkins, through python-jenkins. Not for use from several threads at once.

    :param url: where it answers, as its users enter it.
    :param token: an API token; a password works too, with a crumb that is fetched again after a restart.
    :param timeout: seconds for each request to connect, and between two parts of an answer.
    """

    def __init__(self, url: str, user: str, token: str, *, timeout: float = 30.0) -> None:
        self.url = url.rstrip("/")
        # python-jenkins logs JENKINS_API_EXTRA_HEADERS with their values, which may be secrets.
        logging.getLogger().addHandler(_SILENCE)
        self._client = jenkins.Jenkins(self.url, user, token, timeout=timeout)
        # With requests_kerberos installed it would first try a login that nobody asked for.
        del self._client._auths[1:]

    def connect(self) -> str:
        """Log in, before anything else is asked: other calls send no credentials when they come first.

        :return: Jenkins' version.
        :raises JenkinsServerError: when it is no Jenkins, is elsewhere, or does not know the user.
        """
        try:
            answer = self.call("GET", "me/api/json", doing="log in to")
        except Refused as error:
            if error.status != 404:
                raise
            raise JenkinsServerError(
                f"what answers at {self.url} is no Jenkins: it has no page {urlsplit(self.url).path}/me",
                f"where Jenkins' address has a prefix, give that, too: --jenkins {self.url}/jenkins",
            ) from error
        if "X-Jenkins" not in answer.headers:
            raise JenkinsServerError(f"what answers at {self.url} is no Jenkins", "check --jenkins or JENKINS_URL")
        if answer.history:
            # A redirected POST becomes a GET: nothing would be written, and nothing would fail.
            there = answer.url.partition("/me/api/json")[0]
            raise JenkinsServerError(f"{self.url} only redirects to {there}", f"use --jenkins {there}")
        return answer.headers["X-Jenkins"]

    def call(
        self,
        method: str,
        path: str,
        *,
        doing: str,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """One request.

        :param path: below Jenkins' own address, quoted.
        :param doing: for the error: ``create the job a/b in``.
        :raises Refused: for any status from 400 on.
        :raises JenkinsServerError: when there is no answer.
        """

        def send() -> requests.Response:
            url = f"{self.url}/{path}"
            request = requests.Request(method, url, data=data, headers=dict(headers or {}), params=params)
            answer: requests.Response = self._client.jenkins_request(request, add_crumb=method == "POST")
            return answer

        try:
            try:
                return send()
            except (jenkins.JenkinsException, requests.RequestException) as error:
                if not _stale_crumb(error):
                    raise
            # Crumbs of a password login end with Jenkins' own session: at a restart.
            self._client.crumb = None
            return send()
        except (jenkins.JenkinsException, requests.RequestException) as error:
            raise self._explained(error, doing) from error

    def listing(self) -> list[Present]:
        level = "name,description,views[name,description]"
        tree = level
        for _ in range(_DEPTH):
            tree = f"{level},jobs[{tree}]"
        answer = self.call("GET", "api/json", params={"tree": tree}, doing="list the jobs of")
        return list(_present(self.json(answer), ""))

    def config(self, kind: str, path: str) -> bytes:
        return self.call("GET", f"{item_path(kind, path)}/config.xml", doing=f"read the {kind} {path} from").content

    def create(self, kind: str, path: str, xml: str) -> None:
        parent, _, name = path.rpartition("/")
        action = "createView" if kind == VIEW else "createItem"
        where = f"{item_path(FOLDER, parent)}/{action}".lstrip("/")
        self.call(
            "POST",
            where,
            params={"name": name},
            data=xml.encode("utf-8"),
            headers=_XML,
            doing=f"create the {kind} {path} in",
        )

    def update(self, kind: str, path: str, xml: str) -> None:
        self.call(
            "POST",
            f"{item_path(kind, path)}/config.xml",
            data=xml.encode("utf-8"),
            headers=_XML,
            doing=f"change the {kind} {path} in",
        )

    def delete(self, kind: str, path: str) -> None:
        self.call("POST", f"{item_path(kind, path)}/doDelete", doing=f"delete the {kind} {path} from")

    def check_script(self, script: str) -> list[str]:
        try:
            answer = self.call(
                "POST",
                "pipeline-model-converter/validateJenkinsfile",
                data={"jenkinsfile": script},
                doing="check a pipeline in",
            )
        except Refused:
            return []  # without the Declarative plugin there is nobody to ask
        outcome = self.json(answer)["data"]
        return [text for error in outcome.get("errors", ()) for text in _texts(error)]

    def credential_ids(self, folder: str) -> set[str] | None:
        """The ids of the credentials that Jenkins keeps for a folder, or with an empty one for everybody.

        :return: None when this user may not see them.
        """
        store = f"{item_path(FOLDER, folder)}/credentials/store/{'folder' if folder else 'system'}/api/json".lstrip("/")
        try:
            answer = self.call("GET", store, params={"depth": "2"}, doing="list the credentials of")
        except Refused:
            return None
        return {
            credentials["id"]
            for domain in self.json(answer)["domains"].values()
            for credentials in domain["credentials"]
        }

    def run_script(self, script: str) -> str:
        """Run Groovy in Jenkins itself, which needs Overall/Administer.

        :return: what it printed: for a script that fails, the exception.
        """
        # Not python-jenkins' own call for it, which drops what follows the last line end.
        answer = self.call("POST", "scriptText", data={"script": script}, doing="run a script in")
        return answer.content.decode("utf-8", "replace").strip()

    def create_agent(self, name: str, home: str) -> None:
        """Make a node that an inbound agent connects as.

        :param name: its name and its label.
        :param home: its directory on the agent's machine.
        """
        try:
            # By WebSocket, since the port that agents otherwise connect to is closed in a new Jenkins. A dict of our
            # own in any case: python-jenkins writes into its default argument.
            self._client.create_node(
                name,
                numExecutors=2,
                remoteFS=home,
                labels=name,
                exclusive=True,
                launcher=jenkins.LAUNCHER_JNLP,
                launcher_params={"webSocket": True},
            )
        except (jenkins.JenkinsException, requests.RequestException) as error:
            raise self._explained(error, f"create the node {name} in") from error

    def json(self, answer: requests.Response) -> Any:
        """A JSON answer's data.

        :raises JenkinsServerError: when it is none: a login page of something in between.
        """
        try:
            return json.loads(answer.content)
        except ValueError as error:
            raise JenkinsServerError(
                f"{self.url} did not answer with JSON at {urlsplit(answer.url).path}",
                "is there a login page in front of Jenkins?",
            ) from error

    def _explained(self, error: Exception, doing: str) -> JenkinsServerError:
        response = _response(error)
        if response is None:
            return JenkinsServerError(
                f"cannot {doing} Jenkins at {self.url}: {root_cause(error)}",
                "check --jenkins or JENKINS_URL, and that Jenkins is up",
            )
        status = response.status_code
        message = f"cannot {doing} Jenkins at {self.url}: {status} {_reason(response)}"
        return Refused(message, _HINTS.get(status, ""), status)


def item_path(kind: str, path: str) -> str:
    """The address of an item below Jenkins' own: ``job/teams/job/books``; empty for the top."""
    folders, _, name = path.rpartition("/")
    steps = [f"job/{quote(part, safe='')}" for part in folders.split("/") if part]
    if name:
        steps.append(f"{'view' if kind == VIEW else 'job'}/{quote(name, safe='')}")
    return "/".join(steps)


def environment_warnings(environ: Mapping[str, str]) -> list[str]:
    """What python-jenkins takes from the environment without a word."""
    warnings = []
    if environ.get("PYTHONHTTPSVERIFY") == "0":
        warnings.append("PYTHONHTTPSVERIFY=0: Jenkins' certificate is not checked")
    extra = [line.partition(":")[0] for line in environ.get("JENKINS_API_EXTRA_HEADERS", "").split("\n") if ":" in line]
    if extra:
        warnings.append(f"JENKINS_API_EXTRA_HEADERS adds to every request: {', '.join(extra)}")
    return warnings


def _present(node: Mapping[str, Any], folder: str) -> Iterator[Present]:
    for view in node.get("views", ()):
        yield Present(VIEW, f"{folder}{view['name']}", owner(view.get("description") or ""))
    for job in node.get("jobs", ()):
        kind = FOLDER if job.get("_class") == _FOLDER_CLASS else JOB
        yield Present(kind, f"{folder}{job['name']}", owner(job.get("description") or ""))
        yield from _present(job, f"{folder}{job['name']}/")


def _stale_crumb(error: Exception) -> bool:
    response = _response(error)
    return response is not None and response.status_code == 403 and "No valid crumb" in response.text


def _response(error: Exception) -> requests.Response | None:
    """The answer behind an exception: python-jenkins raises its own while it handles the one that has it."""
    for raised in (error, error.__context__):
        response = getattr(raised, "response", None)
        if isinstance(response, requests.Response):
            return response
    return None


def _reason(response: requests.Response) -> str:
    permission = response.headers.get("X-Required-Permission", "")
    if permission:
        return f"{response.reason}: the permission {permission.replace('hudson.model.', '')} is missing"
    title = re.search(r"<(?:title|h1)[^>]*>([^<]+)<", response.text)
    text = response.headers.get("X-Error") or (title and title.group(1)) or response.reason
    return " ".join(text.split())[:300]


def _texts(error: Any) -> list[str]:
    texts = error.get("error", ()) if isinstance(error, dict) else ()
    return [texts] if isinstance(texts, str) else [str(text) for text in texts]

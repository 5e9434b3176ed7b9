"""A service is taken away while its users ask; its neighbours and their users notice nothing."""

from __future__ import annotations

import http.client
import json
import subprocess

import pytest

from jenkins_proxy.model import Route
from tests.fixtures.traffic import asking


def docker(project, *words: str) -> list[str]:
    argv = [project.docker, *words]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()


def ask(project, name: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(project.machine.entry.partition("//")[2], timeout=10)
    try:
        connection.request("GET", f"/{name}/")
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.fixture
def shop(project):
    """Its app needs db and cache; its neighbour web, which has users of its own, needs db. All of it runs."""
    web = f"{project.name}-web"
    service = {"image": project.image(1), "ports": ["8080"]}
    need = {"image": project.image(1), "command": ["/bin/busybox", "sleep", "1000"]}
    services = {
        "app": {
            **service,
            "environment": {"SERVICE_NAME": project.name, "BOOKS": project.name},
            "depends_on": ["db", "cache"],
            "volumes": ["data:/data"],
        },
        "web": {**service, "environment": {"SERVICE_NAME": web, "BOOKS": web}, "depends_on": ["db"]},
        "db": need,
        "cache": need,
    }
    document = {"services": services, "volumes": {"data": {}}}
    (project.folder / "docker-compose.yml").write_text(json.dumps(document))
    project.plain_up()
    for name in (project.name, web):
        project.machine.client.put_route(Route(name, paths=(f"/{name}",)))
    yield project
    project.machine.client.remove_route(web)
    project.remove()
    for volume in volumes(project):
        docker(project, "volume", "rm", volume)


def volumes(project) -> list[str]:
    return docker(project, "volume", "ls", "-q", "--filter", f"label=com.docker.compose.project={project.name}")


def services(project) -> set[str]:
    label = "com.docker.compose"
    words = ["ps", "-a", "--filter", f"label={label}.project={project.name}"]
    return set(docker(project, *words, "--format", f'{{{{.Label "{label}.service"}}}}'))


def test_a_service_goes_and_its_neighbours_users_lose_nothing(shop, wait_for):
    web, met, lost = f"{shop.name}-web", [], []

    def mine() -> None:
        met.append(shop.get()[0])

    def theirs() -> None:
        try:
            answer = ask(shop, web)
        except (OSError, http.client.HTTPException) as error:
            answer = (0, repr(error))
        if answer[0] != 200:
            lost.append(answer)

    with asking(mine, theirs):
        wait_for(lambda: len(met) > 5, "users to ask")
        # No compose file: the branch is gone.
        gone = shop.run("undeploy", "-p", shop.name, compose=False)
        wait_for(lambda: met[-1] == 503, "users to be told that it is gone")

    assert gone.code == 0, gone.text
    assert lost == []
    # Whoever was let in got an answer; afterwards nobody is.
    assert set(met) == {200, 503}
    assert met == sorted(met)
    assert services(shop) == {"web", "db"}
    assert gone.report["status"] == "done"
    assert {"service web", "service db, which web needs", f"network {shop.name}_default"} < set(gone.report["left"])
    assert f"volume {shop.name}_data" in gone.report["left"]
    assert volumes(shop) == [f"{shop.name}_data"]
    assert shop.machine.registry.instances(shop.name)[0] == []
    for folder in ("", ".notes/", ".releases/"):
        assert shop.machine.registry.kv_list(f"jenkins-proxy/deploys/{folder}{shop.name}") == []
    again = shop.run("undeploy", "-p", shop.name, compose=False)
    assert again.code == 0, again.text
    assert f"nothing of {shop.name} is there" in again.text


def test_both_colors_go_with_what_they_need_and_volumes_when_asked(project):
    project.compose(1, volumes=["data:/data"])
    file = project.folder / "docker-compose.yml"
    file.write_text(json.dumps({**json.loads(file.read_text()), "volumes": {"data": {}}}))
    deployed = project.deploy("--strategy", "blue-green")
    assert deployed.code == 0, deployed.text
    assert project.containers(project=f"{project.name}-blue")
    file.unlink()

    planned = project.run("undeploy", "--volumes", "--dry-run", compose=False)
    assert planned.report["status"] == "planned", planned.text
    assert planned.report["plan"]["volumes"] == [f"{project.name}_data"]
    assert project.get()[0] == 200
    gone = project.run("undeploy", "--volumes", compose=False)

    assert gone.code == 0, gone.text
    assert gone.report["left"] == [], gone.text
    for name in (project.name, f"{project.name}-blue"):
        for words in (["ps", "-aq"], ["network", "ls", "-q"], ["volume", "ls", "-q"]):
            assert docker(project, *words, "--filter", f"label=com.docker.compose.project={name}") == []
    assert project.get()[0] == 503

"""The article's four machines as Vagrant and Ansible have them. The playbook itself is run by `tests/run machines`."""

from __future__ import annotations

import argparse
import configparser
import re
from collections.abc import Iterator
from pathlib import Path

import jinja2
import jinja2.meta
import pytest
import yaml

from jenkins_proxy.cli import registrator
from jenkins_proxy.seeding.needs import node

ARTICLE = {
    "swarm-master": "10.100.192.200",
    "swarm-node-1": "10.100.192.201",
    "swarm-node-2": "10.100.192.202",
    "jenkins": "10.100.199.200",
}
# What Ansible itself gives, what the inventory says of a host, and the lookup of templates and secrets.
GIVEN = {
    "inventory_hostname",
    "ansible_check_mode",
    "hostvars",
    "groups",
    "playbook_dir",
    "ansible_facts",
    "lookup",
    "omit",
    "address",
}


@pytest.fixture(scope="module")
def environments(repository: Path) -> Path:
    return repository / "resources/environments"


@pytest.fixture(scope="module")
def tasks(environments: Path) -> list[dict]:
    files = environments.glob("ansible/roles/*/tasks/*.yml")
    return [task for file in files for task in flat(yaml.safe_load(file.read_text()))]


@pytest.fixture(scope="module")
def handlers(environments: Path) -> list[dict]:
    files = environments.glob("ansible/roles/*/handlers/*.yml")
    return [handler for file in files for handler in yaml.safe_load(file.read_text())]


def flat(tasks: list[dict]) -> Iterator[dict]:
    for task in tasks:
        yield task
        yield from flat(task.get("block", []))


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


def names(texts: list[str]) -> set[str]:
    """The variables that templates use."""
    environment = jinja2.Environment(autoescape=True)
    # Ansible's own filters and tests are no names of variables.
    environment.filters |= dict.fromkeys(re.findall(r"\|\s*(\w+)", " ".join(texts)), str)
    environment.tests |= dict.fromkeys(re.findall(r"\bis (?:not )?(\w+)", " ".join(texts)), bool)
    found: set[str] = set()
    for text in texts:
        found |= jinja2.meta.find_undeclared_variables(environment.parse(text))
    return found


def used(environments: Path, tasks: list[dict], handlers: list[dict]) -> set[str]:
    texts = [file.read_text() for file in environments.glob("ansible/roles/*/templates/*")]
    for task in [*tasks, *handlers]:
        conditions = [task[key] for key in ("when", "until", "changed_when") if isinstance(task.get(key), str)]
        texts += [*strings(task), *("{{ " + condition + " }}" for condition in conditions)]
    texts += [f"{{{{ {condition} }}}}" for condition in re.findall(r"when: (\w+)", site(environments))]
    made = {task["register"] for task in tasks if "register" in task}
    made |= {name for task in tasks for key in ("vars", "ansible.builtin.set_fact") for name in task.get(key, {})}
    made |= {task["loop_control"]["index_var"] for task in tasks if "index_var" in task.get("loop_control", {})}
    return names(texts) - made - GIVEN - {"item"}


def site(environments: Path) -> str:
    return (environments / "ansible/site.yml").read_text()


def settings(environments: Path) -> str:
    return (environments / "ansible/group_vars/all.yml").read_text()


def test_the_machines_have_the_articles_names_and_addresses(environments: Path) -> None:
    vagrant = re.findall(r'^  "([\w-]+)" => "([\d.]+)",$', (environments / "vagrant/Vagrantfile").read_text(), re.M)
    inventory = re.findall(r"^([\w-]+) address=([\d.]+)$", (environments / "ansible/inventory.ini").read_text(), re.M)
    assert dict(vagrant) == dict(inventory) == ARTICLE
    # Vagrant brings them up in this order, and the last has all of them set up.
    assert [name for name, _ in vagrant] == list(ARTICLE)


def test_the_page_has_lines_for_each_cluster_that_is_typed_on(environments: Path, repository: Path) -> None:
    """`machines_typed` finds them by a word of the heading above."""
    page = (repository / "docs/four-machines.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", page, re.M | re.S))
    words = re.findall(r'^  machines_typed "\$top" (\w+)', (environments / "machines.sh").read_text(), re.M)
    assert words == ["Jenkins", "classic"]
    for word in words:
        (text,) = [text for heading, text in sections.items() if word in heading]
        assert "```console\n$ " in text
        assert "\n$ curl -I " in text


def test_vagrant_and_the_inventory_have_the_same_groups(environments: Path) -> None:
    inventory = configparser.ConfigParser(allow_no_value=True, delimiters=("=",))
    inventory.read(environments / "ansible/inventory.ini")
    del inventory["machines:vars"]
    ours = {name: [key.split()[0] for key in inventory[name]] for name in inventory.sections()}
    text = (environments / "vagrant/Vagrantfile").read_text()
    vagrant = {
        name: re.findall(r'"([\w-]+)"', members) for name, members in re.findall(r'"([\w:]+)" => \[(.*)\]', text)
    }
    del vagrant["docker_users"]
    assert vagrant == ours
    plays = {play["hosts"] for play in yaml.safe_load(site(environments))}
    assert plays - {"all"} <= {name.partition(":")[0] for name in ours}


def test_one_file_has_every_variable_that_the_roles_use_and_no_other(
    environments: Path, tasks: list[dict], handlers: list[dict]
) -> None:
    given = yaml.safe_load(settings(environments))
    among_themselves = names(list(strings(list(given.values())))) - GIVEN
    assert used(environments, tasks, handlers) | among_themselves == given.keys()


def test_every_variable_is_explained(environments: Path) -> None:
    explained: list[str] = []
    bare: list[str] = []
    comment = False
    for line in settings(environments).splitlines():
        name = re.match(r"(\w+):", line)
        if line.startswith("#") and not line.startswith("# ---"):
            comment = True
        elif name:
            (explained if comment else bare).append(name[1])
        elif not line.startswith(" "):
            comment = False
    assert not bare
    assert explained == list(yaml.safe_load(settings(environments)))


def test_only_what_ansible_itself_has_is_used(tasks: list[dict], handlers: list[dict]) -> None:
    modules = {key for task in [*tasks, *handlers] for key in task if "." in key}
    assert modules
    assert {module.rpartition(".")[0] for module in modules} == {"ansible.builtin"}


def test_what_a_task_notifies_is_there(tasks: list[dict], handlers: list[dict]) -> None:
    notified = {task["notify"] for task in tasks if "notify" in task}
    assert notified == {handler["name"] for handler in handlers}


def test_a_command_says_when_it_changes_something(tasks: list[dict]) -> None:
    commands = [(task, task.get(f"ansible.builtin.{kind}")) for task in tasks for kind in ("command", "shell")]
    silent = [task["name"] for task, command in commands if command and "creates" not in command]
    assert silent
    assert not [task["name"] for task in tasks if task["name"] in silent and "changed_when" not in task]


def test_what_only_asks_is_asked_in_a_dry_run_too(tasks: list[dict]) -> None:
    """`--check` says what a run would change: what a task decides by has to be known then."""
    asking = [
        task
        for task in tasks
        if "ansible.builtin.uri" in task or ("ansible.builtin.command" in task and task.get("changed_when") is False)
    ]
    assert len(asking) > 8
    assert [task["name"] for task in asking if task.get("check_mode") is not False] == []
    # What is fetched without a checksum counts as changed then.
    fetching = [task for task in tasks if task.get("ansible.builtin.get_url", {}).get("force")]
    assert [task["when"] for task in fetching] == ["not ansible_check_mode"]


@pytest.mark.parametrize(
    ("said", "changed"),
    [
        ("[jenkins-proxy] * + node docker\n", True),
        ("[jenkins-proxy] * ~ deploy\n", True),
        ("[jenkins-proxy] * = deploy\n[jenkins-proxy] * 0 to create, 0 to change, 3 unchanged, 0 to delete", False),
        ("", False),
    ],
)
def test_seeding_counts_as_a_change_where_the_tool_says_so(tasks: list[dict], said: str, changed: bool) -> None:
    (condition,) = [task["changed_when"] for task in tasks if task.get("register") == "jenkins_seeded"]
    environment = jinja2.Environment(autoescape=True)
    environment.tests["search"] = lambda text, pattern: bool(re.search(pattern, text))
    seeded = {"stdout": "{}", "stderr": said}
    assert environment.compile_expression(condition)(jenkins_seeded=seeded) is changed


def test_the_agent_works_where_the_seeded_node_says(environments: Path, tasks: list[dict]) -> None:
    unit = (environments / "ansible/roles/jenkins/templates/jenkins-agent.service.j2").read_text()
    assert re.findall(r"(?:WorkingDirectory=|-workDir )(\S+)", unit) == [node.HOME, node.HOME]
    (user,) = re.findall(r"^User=(.*)$", unit, re.M)
    folders = {item["path"]: item["owner"] for task in tasks for item in task.get("loop", []) if "path" in item}
    assert folders[node.HOME] == user


def test_no_secret_is_shown(environments: Path, tasks: list[dict]) -> None:
    secrets = {"jenkins_password", "proxy_token", "swarm_join"}
    holding = {
        file.name for file in environments.glob("ansible/roles/*/templates/*") if secrets & names([file.read_text()])
    }
    assert holding == {"environment.j2", "agent-environment.j2"}
    shown = []
    for task in tasks:
        # Ansible shows no environment of a task.
        texts = list(strings({key: value for key, value in task.items() if key != "environment"}))
        if secrets & names(texts) or holding & set(texts):
            shown.append((task["name"], task.get("no_log")))
    assert len(shown) == 5
    assert all(hidden for _, hidden in shown), shown


def test_the_registrators_unit_starts_it_for_one_engine(environments: Path) -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str
    unit.read(environments / "systemd/jenkins-proxy-registrator.service")
    role = (environments / "ansible/roles/registrator/tasks/main.yml").read_text()
    (given,) = re.findall(r"REGISTRATOR_ARGUMENTS=(.*)", role)
    words = unit["Service"]["ExecStart"].replace("$REGISTRATOR_ARGUMENTS", given.replace("{{ address }}", "10.0.0.1"))
    program, command, *arguments = words.removeprefix("/usr/bin/env ").split()
    parser = argparse.ArgumentParser()
    registrator.add_arguments(parser)
    assert (program, command, parser.parse_args(arguments).ip) == ("jenkins-proxy", "registrator", "10.0.0.1")

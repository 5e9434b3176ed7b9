"""The roles of the machines with inventories that are not the article's, as Ansible renders them.

`HOSTS_INVENTORY=tests/environments/other.ini bash tests/run machines` runs the playbook on such machines.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import jinja2
import pytest
import yaml

from tests.environments.test_machines import ARTICLE

Groups = dict[str, list[str]]


class Inventory:
    """What Ansible knows of an inventory's machines, and how it renders a template of the roles for one of them."""

    def __init__(self, ansible: Path, text: str, **changed: object) -> None:
        self._ansible = ansible
        self.groups: Groups = {}
        self._children: Groups = {}
        self.hosts: dict[str, dict[str, str]] = {}
        self._read(text)
        self._settings = yaml.safe_load((ansible / "group_vars/all.yml").read_text()) | changed
        self._jinja = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined)  # noqa: S701 - no HTML
        self._jinja.tests["match"] = lambda value, pattern: bool(re.match(pattern, value))
        self._jinja.filters |= {
            "combine": lambda one, other: one | other,
            "regex_replace": lambda value, pattern, new: re.sub(pattern, new, value),
            "regex_search": lambda value, pattern: found[0] if (found := re.search(pattern, value)) else "",
        }
        self._jinja.filters["to_nice_json"] = lambda value, sort_keys: json.dumps(value, sort_keys=sort_keys)

    def _read(self, text: str) -> None:
        name = ""
        for line in filter(None, (line.partition("#")[0].strip() for line in text.splitlines())):
            if line.startswith("["):
                name = line.strip("[]")
                if ":" not in name:
                    self.groups.setdefault(name, [])
            elif name.endswith(":children"):
                self._children.setdefault(name.partition(":")[0], []).append(line)
            elif ":" not in name:
                host, *words = line.split()
                self.groups[name].append(host)
                self.hosts.setdefault(host, {}).update(word.split("=") for word in words)
        self.groups["all"] = list(self.hosts)
        for name in self._children:
            self.groups[name] = list(dict.fromkeys(self._members(name)))

    def _members(self, name: str) -> list[str]:
        if name not in self._children:
            return self.groups.get(name, [])
        return [host for child in self._children[name] for host in self._members(child)]

    def render(self, host: str, template: str) -> str:
        known = {
            **self.hosts[host],
            "inventory_hostname": host,
            "playbook_dir": "/ansible",
            "omit": "",
            "groups": self.groups,
            "hostvars": self.hosts,
            "lookup": lambda *_, **__: "secret",
        }
        # A setting may be made of others, and of the host.
        for name, value in self._settings.items():
            known[name] = self._jinja.from_string(value).render(known) if isinstance(value, str) else value
        return self._jinja.from_string((self._ansible / "roles" / template).read_text()).render(known)

    @property
    def problems(self) -> list[str]:
        return self.render(next(iter(self.hosts)), "inventory/templates/problems.j2").split("\n")[:-1]


@pytest.fixture(scope="module")
def ansible(repository: Path) -> Path:
    return repository / "resources/environments/ansible"


@pytest.fixture(scope="module")
def other(repository: Path) -> str:
    return (repository / "tests/environments/other.ini").read_text()


def test_the_articles_names_and_addresses_stand_in_its_inventory_alone(ansible: Path) -> None:
    articles = re.compile(r"10\.100\.|swarm-(master|node-\d)")
    files = [file for file in [ansible / "site.yml", *ansible.glob("*/**/*")] if file.is_file()]
    assert len(files) > 30
    assert [file.name for file in files if articles.search(file.read_text())] == []
    assert articles.search((ansible / "inventory.ini").read_text())


def test_every_template_is_rendered_for_machines_of_other_names(ansible: Path, other: str) -> None:
    machines = Inventory(ansible, other)
    assert machines.problems == []
    assert not {*machines.hosts} & {*ARTICLE}
    texts = {}
    for host in machines.hosts:
        for file in ansible.glob("roles/*/templates/*"):
            template = str(file.relative_to(ansible / "roles"))
            texts[host, template] = machines.render(host, template)
    assert not [key for key, text in texts.items() if any(address in text for address in ARTICLE.values())]
    assert json.loads(texts["node-a", "docker/templates/daemon.json.j2"])["hosts"][1] == "tcp://10.100.7.11:2375"
    assert json.loads(texts["node-a", "consul/templates/consul.json.j2"])["bind_addr"] == "10.100.7.11"
    assert "consul://10.100.7.11:8500" in texts["node-b", "swarm/templates/swarm-join.service.j2"]
    assert "DOCKER_HOST=tcp://10.100.7.11:2375" in texts["ci1", "tool/templates/profile.sh.j2"]


# A name's address, on a machine: `proxy` is the machine's own where it has one.
@pytest.mark.parametrize(
    ("host", "listen", "proxy"),
    [
        ("ci1", "127.0.0.1:8081", "127.0.0.1"),
        ("node-c", "127.0.0.1:8081", "127.0.0.1"),
        ("node-b", "127.0.0.1:8081", "10.100.9.20"),
        ("node-c", "0.0.0.0:8081", "127.0.0.1"),
        ("node-c", "*:8081", "127.0.0.1"),
        ("node-c", "localhost:8081", "127.0.0.1"),
        ("node-c", "{{ address }}:8081", "10.100.8.13"),
        ("node-b", "{{ address }}:8081", "10.100.9.20"),
    ],
)
def test_proxy_is_the_machines_own_where_it_has_one(
    ansible: Path, other: str, host: str, listen: str, proxy: str
) -> None:
    stranger = "\n[printers]\nprinter address=10.9.9.9\n"
    said = Inventory(ansible, other + stranger, proxy_listen=listen).render(host, "machine/templates/hosts.j2")
    names = {name: address for address, name in map(str.split, said.splitlines())}
    assert names == {
        "ci1": "10.100.9.20",
        "node-a": "10.100.7.11",
        "node-b": "10.100.7.12",
        "node-c": "10.100.8.13",
        "consul": "10.100.7.11",
        "proxy": proxy,
    }


@pytest.mark.parametrize(
    ("bind", "entry"), [("*:80", "http://proxy"), ("*:8000", "http://proxy:8000"), ("10.1.1.1:80", "http://proxy")]
)
def test_the_entry_is_at_the_port_that_the_proxy_takes(ansible: Path, other: str, bind: str, entry: str) -> None:
    said = Inventory(ansible, other, proxy_bind=bind).render("ci1", "tool/templates/profile.sh.j2")
    assert re.findall(r"JENKINS_PROXY_ENTRY=(\S+)", said) == [entry]


@pytest.mark.parametrize(("nodes", "availability"), [("", "active"), ("node-b address=10.100.7.12", "drain")])
def test_a_swarm_without_nodes_has_a_master_that_takes_containers(ansible: Path, nodes: str, availability: str) -> None:
    text = (ansible / "group_vars/all.yml").read_text()
    template = yaml.safe_load(text)["swarm_master_availability"]
    groups = Inventory(ansible, f"[swarm_nodes]\n{nodes}\n").groups
    assert jinja2.Template(template, autoescape=True).render(groups=groups) == availability


LACKING = [
    ("[proxy_server]\nci1 address=10.100.9.20\nnode-c", "[proxy_server]", ["[proxy_server] has no machine"]),
    ("[consul_server]\nnode-a", "[consul_server]\nnode-a\nnode-b", ["[consul_server] has 2 machines: name one"]),
    ("[swarm_nodes]\n", "[workers]\n", ["[swarm_nodes] is not there"]),
    ("node-b address=10.100.7.12", "node-b", ["node-b has no address: add address="]),
    ("node-b address", "ca address", ["ca is what the certificates' authority is called"]),
    ("node-b address=10.100.7.12", "node-b address=127.0.0.1", ["node-b has the address 127.0.0.1: give the IPv4"]),
    ("node-b address=10.100.7.12", "node-b address=node-b.lan", ["node-b has the address node-b.lan: give the IPv4"]),
    ("10.100.8.13", "10.100.7.12", ["node-b and node-c have the same address 10.100.7.12: give each its own"]),
    ("node-b address", "node/b address", ["node/b is no name for a machine"]),
    ("node-b address", "consul address", ["consul is what the first machine of [consul_server] is called"]),
    ("node-b address", "proxy address", ["proxy is what the first machine of [proxy_server] is called"]),
    (
        "[jenkins_server]\nci1",
        "[jenkins_server]\nnode-b",
        ["proxy_listen is 127.0.0.1:8081, and node-b, where jobs run, has no proxy: say proxy_listen: 0.0.0.0:8081"],
    ),
    ("\nswarm_nodes\n\n", "\n\n", ["[machines] lacks node-b of [swarm_nodes]", "[swarm] lacks node-b"]),
    ("[machines:children]", "[others:children]", [f"[machines] lacks {name}" for name in ("node-a", "node-b", "ci1")]),
]


@pytest.mark.parametrize(("there", "instead", "said"), LACKING)
def test_all_that_an_inventory_lacks_is_said_at_once(
    ansible: Path, other: str, there: str, instead: str, said: list[str]
) -> None:
    assert there in other
    problems = Inventory(ansible, other.replace(there, instead)).problems
    for one in said:
        assert [problem for problem in problems if problem.startswith(one)], problems


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"swarm_kind": "compose"}, "swarm_kind is compose: say mode or classic"),
        ({"jenkins_jobs": "all"}, "jenkins_jobs is all: say steps or article or none"),
        ({"swarm_master_availability": "off"}, "swarm_master_availability is off: say active or pause or drain"),
        ({"docker_port": 0}, "docker_port has the port 0: give a number from 1 to 65535"),
        ({"jenkins_port": "http"}, "jenkins_port has the port http: give a number from 1 to 65535"),
        ({"proxy_bind": "*:70000"}, "proxy_bind has the port 70000: give a number from 1 to 65535"),
        ({"proxy_listen": 8081}, "proxy_listen is 8081: give ADDRESS:PORT"),
    ],
)
def test_a_setting_that_has_no_such_value_is_said_before_anything_is_changed(
    ansible: Path, other: str, setting: dict[str, object], said: str
) -> None:
    assert Inventory(ansible, other, **setting).problems == [said]
    (fitting,) = [{name: known} for name, known in FITTING.items() if name in setting]
    assert Inventory(ansible, other, **fitting).problems == []


FITTING: dict[str, object] = {
    "swarm_kind": "classic",
    "jenkins_jobs": "article",
    "swarm_master_availability": "pause",
    "docker_port": 2376,
    "jenkins_port": "9090",
    "proxy_bind": "*:8000",
    "proxy_listen": "{{ address }}:9081",
}


def test_machines_that_are_called_what_they_do_have_that_name_once(ansible: Path, other: str) -> None:
    machines = Inventory(ansible, other.replace("node-a", "consul").replace("ci1", "proxy"))
    assert machines.problems == []
    for host, own in (("proxy", "127.0.0.1"), ("node-c", "127.0.0.1"), ("node-b", "10.100.9.20")):
        lines = machines.render(host, "machine/templates/hosts.j2").splitlines()
        assert [line for line in lines if line.endswith((" proxy", " consul"))] == [
            "10.100.7.11 consul",
            f"{own} proxy",
        ]

"""Which registry entry stands for which container: a table of Registrator's habits."""

from __future__ import annotations

import pytest

from jenkins_proxy.deployment import matching
from jenkins_proxy.model import Binding
from jenkins_proxy.validation import few

ONE = "node-1:books_app_1:8080"
TWO = "node-1:books_app_2:8080"


def summary(found: matching.Matching) -> dict:
    """A matching in names, to compare with."""
    return {
        "ready": [match.container.name for match in found.ready],
        "unready": [match.container.name for match in found.matches if not match.ready],
        "missing": [container.name for container in found.missing],
        "stale": [(instance.id, instance.address.port) for instance in found.stale],
        "unexpected": [match.container.name for match in found.matches if match.unexpected],
        "complete": found.complete,
    }


def expected(**given) -> dict:
    nothing = {"ready": [], "unready": [], "missing": [], "stale": [], "unexpected": [], "complete": True}
    return {**nothing, **given}


APP = "books_app_1"
v4_and_v6 = (Binding("0.0.0.0", 32768, 8080), Binding("::", 32768, 8080))
other_v6 = (Binding("0.0.0.0", 32768, 8080), Binding("::", 32769, 8080))
two_ports = (Binding("0.0.0.0", 32768, 8080), Binding("0.0.0.0", 32770, 9090))
loopback = (Binding("127.0.0.1", 32768, 8080),)
udp = (Binding("0.0.0.0", 32768, 8080, "udp"),)

# name, bindings of the container, more about it, entries (keyword arguments each), what is expected
CASES = [
    ("not there yet", (), {}, [], expected(missing=[APP], complete=False)),
    ("at its binding", (), {}, [{}], expected(ready=[APP])),
    ("under another address of the node", (), {}, [{"host": "127.0.0.1"}], expected(ready=[APP])),
    ("with an ID of the user's own", (), {}, [{"id": "books"}], expected(ready=[APP])),
    ("critical", (), {}, [{"status": "critical"}], expected(unready=[APP], complete=False)),
    ("warning is not passing", (), {}, [{"status": "warning"}], expected(unready=[APP], complete=False)),
    ("its HEALTHCHECK still starting", (), {"health": "starting"}, [{}], expected(unready=[APP], complete=False)),
    ("its HEALTHCHECK healthy", (), {"health": "healthy"}, [{}], expected(ready=[APP])),
    (
        "the predecessor's entry alone: same ID, old port",
        (),
        {},
        [{"port": 32760}],
        expected(missing=[APP], stale=[(ONE, 32760)], complete=False),
    ),
    (
        "a stale twin beside the true entry",
        (),
        {},
        [{"port": 32760, "id": "old"}, {}],
        expected(ready=[APP], stale=[("old", 32760)]),
    ),
    (
        "another project's entry on another node is not ours to judge",
        (),
        {},
        [{}, {"host": "10.0.0.9", "id": "node-9:other_app_1:8080"}],
        expected(ready=[APP]),
    ),
    ("IPv4 and IPv6 on the same port", v4_and_v6, {}, [{}], expected(ready=[APP])),
    ("IPv6 on a port of its own, IPv4 registered", other_v6, {}, [{}], expected(ready=[APP])),
    (
        "IPv6 on a port of its own, IPv6 registered",
        other_v6,
        {"node_addresses": ("10.0.0.1", "fd00::1")},
        [{"host": "fd00::1", "port": 32769}],
        expected(ready=[APP]),
    ),
    (
        "IPv6 on a port of its own, registered at an IPv4 address",
        other_v6,
        {},
        [{"port": 32769}],
        expected(ready=[APP], unexpected=[APP]),
    ),
    ("two ports, one of them under the service's name", two_ports, {}, [{"port": 32770}], expected(ready=[APP])),
    (
        "two ports, both under the service's name, one critical",
        two_ports,
        {},
        [{}, {"port": 32770, "status": "critical"}],
        expected(unready=[APP], complete=False),
    ),
    ("bound to one address, registered there", loopback, {}, [{"host": "127.0.0.1"}], expected(ready=[APP])),
    (
        "bound to one address, registered at another by -ip: its ID says whose it is",
        loopback,
        {},
        [{}],
        expected(ready=[APP], unexpected=[APP]),
    ),
    ("UDP serves no HTTP", udp, {}, [{}], expected(missing=[APP], stale=[(ONE, 32768)], complete=False)),
    (
        "an address that the node is not known by, with our ID",
        (),
        {},
        [{"host": "192.168.7.7"}],
        expected(ready=[APP], unexpected=[APP]),
    ),
    (
        "an address that the node is not known by, with an ID that tells nothing",
        (),
        {},
        [{"host": "192.168.7.7", "id": "books"}],
        expected(missing=[APP], complete=False),
    ),
    (
        "an unknown address twice: nobody can tell which",
        (),
        {},
        [{"host": "192.168.7.7"}, {"host": "192.168.7.8"}],
        expected(missing=[APP], stale=[(ONE, 32768), (ONE, 32768)], complete=False),
    ),
    (
        "an unknown address, and an exposed port that is not the published one's",
        (),
        {},
        [{"host": "192.168.7.7", "id": "node-1:books_app_1:9090"}],
        expected(missing=[APP], stale=[("node-1:books_app_1:9090", 32768)], complete=False),
    ),
    (
        "an unknown address, from the container's node",
        (),
        {"node": "node-1"},
        [{"host": "192.168.7.7"}],
        expected(ready=[APP], unexpected=[APP]),
    ),
    (
        "an unknown address, from another node: its predecessor there",
        (),
        {"node": "node-2"},
        [{"host": "192.168.7.7"}],
        expected(missing=[APP], stale=[(ONE, 32768)], complete=False),
    ),
    ("nothing published", (Binding("", 0, 8080),), {}, [], expected(missing=[APP], complete=False)),
]


@pytest.mark.parametrize(
    ("bindings", "more", "entries", "wanted"), [pytest.param(*case[1:], id=case[0]) for case in CASES]
)
def test_one_container(a_container, an_instance, bindings, more, entries, wanted):
    container = a_container(APP, 32768, bindings=bindings, **more)

    found = matching.match([container], [an_instance(**entry) for entry in entries])

    assert summary(found) == wanted


def test_each_of_several_needs_an_entry_of_its_own(a_container, an_instance):
    containers = [a_container("books_app_1", 32768), a_container("books_app_2", 32769)]

    found = matching.match(containers, [an_instance(32768)])

    assert summary(found) == expected(ready=["books_app_1"], missing=["books_app_2"], complete=False)


def test_one_containers_ipv6_port_may_be_anothers_ipv4_port(a_container, an_instance):
    first = a_container("books_app_1", bindings=(Binding("0.0.0.0", 32768, 8080), Binding("::", 32769, 8080)))
    second = a_container("books_app_2", bindings=(Binding("0.0.0.0", 32769, 8080), Binding("::", 32770, 8080)))

    found = matching.match([first, second], [an_instance(32768), an_instance(32769, id=TWO)])

    assert [(match.container.name, [i.id for i in match.instances]) for match in found.matches] == [
        ("books_app_1", [ONE]),
        ("books_app_2", [TWO]),
    ]


def test_an_entry_that_names_another_container_is_not_taken_by_its_address(a_container, an_instance):
    old = a_container("books_app_1", 32768)
    new = a_container("books_app_2", bindings=(Binding("", 32768, 8080),))

    assert summary(matching.match([new], [an_instance(32768)], keep_running=[old])) == expected(
        missing=["books_app_2"], complete=False
    )


def test_the_old_ones_beside_keep_their_entries_and_are_not_waited_for(a_container, an_instance):
    old, new = a_container("books_app_1", 32768), a_container("books_app_2", 32769)
    entries = [an_instance(32768, status="critical"), an_instance(32769, id=TWO)]

    assert summary(matching.match([new], entries, keep_running=[old])) == expected(ready=["books_app_2"])
    assert summary(matching.match([new], entries)) == expected(ready=["books_app_2"], stale=[(ONE, 32768)])


def test_the_same_port_on_two_nodes_is_two_addresses(a_container, an_instance):
    first = a_container("books_app_1", 32768, node="node-1", node_addresses=("10.0.0.1",))
    second = a_container("books_app_2", 32768, node="node-2", node_addresses=("10.0.0.2",))

    found = matching.match([first, second], [an_instance(host="10.0.0.1")])

    assert summary(found) == expected(ready=["books_app_1"], missing=["books_app_2"], complete=False)


def test_an_entry_at_another_nodes_address_is_never_taken(a_container, an_instance):
    moved = a_container("books_app_1", 32768, node="node-2", node_addresses=("10.0.0.2",))
    stays = a_container("books_app_2", 32769, node="node-1", node_addresses=("10.0.0.1",))
    entry = an_instance(host="10.0.0.1", id="node-2:books_app_1:8080")

    found = matching.match([moved], [entry], keep_running=[stays])

    assert summary(found) == expected(
        missing=["books_app_1"], stale=[("node-2:books_app_1:8080", 32768)], complete=False
    )


def test_the_same_id_on_two_consul_nodes_is_two_entries(a_container, an_instance):
    container = a_container("books_app_1", 32768)

    found = matching.match([container], [an_instance(32768), an_instance(32760)])

    assert summary(found) == expected(ready=["books_app_1"], stale=[(ONE, 32760)])


def test_addresses_are_every_place_where_an_entry_may_stand(a_container):
    container = a_container(APP, bindings=(*v4_and_v6, Binding("172.17.0.1", 32771, 9090), *udp))

    assert [str(address) for address in matching.addresses(container)] == [
        "10.0.0.1:32768",
        "127.0.0.1:32768",
        "172.17.0.1:32771",
    ]


@pytest.mark.parametrize(
    ("items", "text"),
    [([], ""), (["a"], "a"), (["a", "b", "c"], "a, b, c"), (["a", "b", "c", "d"], "a, b, c and 1 more")],
)
def test_a_message_names_three_at_most(items, text):
    assert few(items) == text
    assert few(range(85), separator="; ") == "0; 1; 2 and 82 more"

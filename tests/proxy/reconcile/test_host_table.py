"""Host names as numeric addresses: tables."""

from __future__ import annotations

import pytest

from jenkins_proxy.model import Address
from jenkins_proxy.proxy.reconcile.host_table import HostTable


@pytest.mark.parametrize("host", ["10.0.0.1", "::1", "2001:db8::1"])
def test_a_number_is_itself(host):
    assert HostTable().resolve(Address(host, 80)) == (Address(host, 80),)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_what_has_no_port_is_nowhere(port):
    assert HostTable().resolve(Address("10.0.0.1", port)) == ()


def test_a_name_has_the_addresses_of_its_last_look_up_that_worked():
    table = HostTable()
    assert table.unknown([Address("a.local", 80), Address("10.0.0.1", 80)]) == {"a.local"}
    assert table.put("a.local", ["10.0.0.2", "10.0.0.1"])
    assert not table.put("a.local", ["10.0.0.1", "10.0.0.2"])
    assert table.unknown([Address("a.local", 80)]) == set()
    table.put_unresolved("a.local")
    table.put_unresolved("b.local")
    assert table.resolve(Address("a.local", 80)) == (Address("10.0.0.1", 80), Address("10.0.0.2", 80))
    assert table.unknown([Address("b.local", 80)]) == {"b.local"}
    assert table.names == ("a.local", "b.local")

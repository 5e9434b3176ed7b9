"""The entries that lead a key to candidates, and the commands from one state to the next."""

from __future__ import annotations

import random

from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.haproxy.backend import Backend, KeyedAccess
from jenkins_proxy.proxy.haproxy.config import candidate_map

BOOKS = Route("books", ("/books",))
KEY = "ab" * 32
A, B, C = (Address("10.0.0.1", port) for port in (1, 2, 3))


def access(*servers: Address) -> KeyedAccess:
    return KeyedAccess("0123abcd", KEY, BOOKS, {server: server for server in servers})


def test_entries():
    keyed = KeyedAccess("0123abcd", KEY, BOOKS, {Address("a.local", 80): B, Address("::1", 80): Address("::1", 80)})
    assert candidate_map.entries(keyed) == {
        KEY: "books-be",
        f"{KEY}.id": "0123abcd",
        **{f"{KEY}@{slot}": ("10.0.0.1:2", "::1:80")[slot % 2] for slot in range(60)},
        f"{KEY}@a.local:80": "10.0.0.1:2",
        f"{KEY}@10.0.0.1:2": "10.0.0.1:2",
        f"{KEY}@[::1]:80": "::1:80",
    }
    assert candidate_map.entries(None) == {}
    lines = candidate_map.text([Backend(BOOKS, keyed=keyed), Backend(Route("other", ("/",)))]).splitlines()
    assert dict(line.split(" ") for line in lines) == candidate_map.entries(keyed)


def test_any_walk_of_commands_ends_at_the_entries_and_a_known_key_is_whole():
    chance = random.Random(7)
    running: dict[str, str] = {}
    before = None
    for _ in range(200):
        after = None if chance.random() < 0.2 else access(*chance.sample([A, B, C], chance.randint(0, 3)))
        for command in candidate_map.commands(before, after):
            verb, _map, file, key, *value = command.split(" ")
            assert (file, (key in running)) == (candidate_map.FILE, verb != "add")
            if verb == "del":
                del running[key]
            else:
                running[key] = value[0]
            # Whoever bears a key that is known finds the hold's ID.
            assert KEY not in running or f"{KEY}.id" in running, command
        assert running == candidate_map.entries(after)
        before = after

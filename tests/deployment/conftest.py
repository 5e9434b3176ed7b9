"""Containers and instances as data for the tables."""

from __future__ import annotations

import hashlib

import pytest

from jenkins_proxy.model import Address, Binding, Container, Instance

NODE = ("10.0.0.1", "127.0.0.1")


@pytest.fixture(scope="session")
def a_container():
    """``a_container("app_1", 32768)`` runs and publishes 8080 there on every address of its node."""

    def make(name: str = "books_app_1", *ports: int, bindings: tuple[Binding, ...] = (), **more) -> Container:
        found = bindings or tuple(Binding("0.0.0.0", port, 8080) for port in ports)
        facts = {
            "service": "app",
            "project": "books",
            "image": "vfarcic/books-ms:1.2",
            "state": "running",
            "node_addresses": NODE,
            **more,
        }
        return Container(id=hashlib.sha256(name.encode()).hexdigest(), name=name, bindings=found, **facts)

    return make


@pytest.fixture(scope="session")
def an_instance():
    """``an_instance(32768)`` is a passing entry of books-ms there, with the ID that Registrator gives books_app_1."""

    def make(
        port: int = 32768,
        host: str = "10.0.0.1",
        id: str = "node-1:books_app_1:8080",
        service: str = "books-ms",
        **more,
    ) -> Instance:
        return Instance(service=service, id=id, address=Address(host, port), node="consul", **more)

    return make

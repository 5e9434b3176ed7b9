"""What is deployed, as lines and as data."""

from __future__ import annotations

from jenkins_proxy.deployment import status
from jenkins_proxy.model import Route


def test_the_table(an_instance):
    services = [
        status.Service(
            "books-ms",
            (an_instance(32768), an_instance(32769, status="critical", id="two")),
            Route("books-ms", ("/api/v1/books",), color="blue"),
            3,
        ),
        status.Service("consul", (), None, None),
    ]

    assert status.table(services) == [
        "SERVICE   COLOR  PASSING  ROUTE                          VERSION",
        "books-ms  blue   1/2      /api/v1/books (books-ms-blue)  3",
        "  10.0.0.1:32768  passing  node-1:books_app_1:8080",
        "  10.0.0.1:32769  critical  two",
        "consul    -      0/0      -                              -",
    ]


def test_the_data(an_instance):
    service = status.Service("books-ms", (an_instance(32768),), Route("books-ms", ("/a",)), 1)

    assert service.as_dict() == {
        "service": "books-ms",
        "color": "",
        "instances": [
            {
                "address": "10.0.0.1",
                "port": 32768,
                "id": "node-1:books_app_1:8080",
                "node": "consul",
                "status": "passing",
            }
        ],
        "route": Route("books-ms", ("/a",)).as_dict(),
        "version": 1,
    }

"""The files of the corpus, and what a deploy of each is to do."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent


@dataclass(frozen=True)
class Shape:
    """A file of the corpus, and what a deploy of its service ``web`` is to do.

    :ivar over: files over it.
    :ivar target: whose containers are the instances.
    :ivar strategy: that is chosen.
    :ivar needs: what is started where it does not run.
    :ivar once: what runs to its end.
    :ivar refused: by compose, what it says to the file.
    """

    name: str
    over: tuple[str, ...] = ()
    target: str = "web"
    asked_for: str = "web"
    strategy: str = "rolling"
    needs: tuple[str, ...] = ()
    once: tuple[str, ...] = ()
    refused: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def files(self) -> tuple[str, ...]:
        return (f"{self.name}.yml", *self.over)


SHAPES = (
    Shape("anchors", needs=("cache", "db")),
    Shape("base", over=("parts/production.yml",), needs=("db",)),
    Shape("build", needs=("worker",)),
    Shape("commands", needs=("cron", "shell")),
    Shape("configs-secrets", needs=("db",)),
    Shape("container-names", strategy="recreate", needs=("db",)),
    Shape("env-file", needs=("db",)),
    Shape("extends", needs=("db",)),
    Shape("external-network"),
    Shape(
        "first-version",
        needs=("data", "db"),
        refused={"compose-v2": "the form of compose's first version, without services:"},
    ),
    Shape("hardened"),
    Shape("health", needs=("cache", "db")),
    Shape("include", needs=("database",), refused={"compose-v1": "'include' does not match any of the regexes"}),
    Shape("labels"),
    Shape("links", needs=("cache", "db")),
    Shape("migrations", needs=("db",), once=("migrate",)),
    Shape("namespaces"),
    Shape("networks", needs=("db",)),
    Shape("ports"),
    Shape("profile-of-target", needs=("db",)),
    Shape("profiles", needs=("db",)),
    Shape("reverse-proxy", target="proxy", asked_for="proxy", strategy="recreate", needs=("db", "web")),
    Shape("scale"),
    Shape("swarm", needs=("db",)),
    Shape("tuned"),
    Shape("unnamed-volume", strategy="recreate"),
    Shape("volumes", needs=("db",)),
    Shape("volumes-from", needs=("data",)),
    Shape("vpn", target="vpn", strategy="recreate"),
    Shape("web-db-cache-worker", needs=("cache", "db")),
)
BY_NAME = {shape.name: shape for shape in SHAPES}


def variables(image, name: str, version: int = 1) -> dict[str, str]:
    """What the files of the corpus leave open."""
    return {"IMAGE": image(version), "SIDE": image(1), "NAME": name}

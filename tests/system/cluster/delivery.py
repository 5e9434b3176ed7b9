"""Our commands for one service, as Jenkins runs them."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from tests.system.cluster.processes import MODULE


@dataclass(frozen=True)
class Ended:
    """How a command of ours ended."""

    code: int
    report: dict
    text: str

    @property
    def nodes(self) -> set[str]:
        return {instance["address"] for instance in self.report["instances"]}


class Delivery:
    """Our commands for one service, as Jenkins runs them: the compose file in a folder, all else in the environment."""

    def __init__(self, service: str, image, folder: Path, **environment: str) -> None:
        self.service, self._image, self._folder, self.environment = service, image, folder, environment
        self.file = folder / "docker-compose.yml"

    def write(self, version: int, **app: object) -> None:
        """Write the compose file: its app runs this version, with more keys or others than usual."""
        service = {
            "image": self._image(version),
            "ports": ["8080"],
            "environment": {"SERVICE_NAME": self.service, "BOOKS": self.service},
            **app,
        }
        self.file.write_text(json.dumps({"version": "3.8", "services": {"app": service}}))

    def run(self, command: str, *arguments: str, **environment: str) -> Ended:
        report = self._folder / f"{uuid.uuid4().hex}.json"
        argv = [
            *MODULE,
            command,
            self.service,
            "-f",
            str(self.file),
            "--timeout",
            "40",
            *arguments,
            "--report",
            str(report),
        ]
        done = subprocess.run(
            argv,
            env={**os.environ, **self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        return Ended(done.returncode, json.loads(report.read_text()) if report.exists() else {}, done.stderr)

    def compose(self, *arguments: str) -> str:
        """What a person would type."""
        argv = ["docker", "compose", "-p", self.service, "-f", str(self.file), *arguments]
        return subprocess.run(
            argv, env={**os.environ, **self.environment}, capture_output=True, text=True, check=True
        ).stdout

    def deploy(self, *arguments: str, **environment: str) -> Ended:
        path = f"/{self.service}"
        return self.run("deploy", "--path", path, "--probe-path", f"{path}/", *arguments, **environment)

"""Engines in network namespaces of their own."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cluster:
    """Engines in network namespaces of their own, all on one bridge."""

    network: str
    name: str = ""
    folder: str = ""
    run: Callable[[str], None] | None = None

    def kill(self, node: int) -> None:
        """Pull its plug: engine and containers are gone without a word."""
        os.kill(int(Path(self.folder, str(node), "leader").read_text()), signal.SIGKILL)

    def mend(self, node: int) -> None:
        """Whatever a test before has done to it, it is up and reached."""
        if Path("/proc", Path(self.folder, str(node), "leader").read_text().strip()).exists():
            self.cut_off(node, off=False)
        else:
            self.start_again(node)

    def start_again(self, node: int) -> None:
        """Power is back: it starts with what it had, and nothing of it runs."""
        self.run(f"cluster_again {node}")

    def cut_off(self, node: int, *, off: bool = True) -> None:
        """Its containers run on, and nobody reaches them."""
        argv = ["ip", "-n", f"{self.name}-{node}", "link", "set", "eth0", "down" if off else "up"]
        subprocess.run(argv, check=True)

    def inside(self, node: int) -> list[str]:
        """What a command line begins with that is run on the node: its name, files and engine, and our network."""
        leader = Path(self.folder, str(node), "leader").read_text().strip()
        return ["nsenter", "--target", leader, "--mount", "--uts"]

    def address(self, node: int) -> str:
        return f"{self.network}.{10 + node}"

    def host(self, node: int) -> str:
        return f"tcp://{self.address(node)}:2375"

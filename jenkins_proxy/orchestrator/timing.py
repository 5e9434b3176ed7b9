"""How long orchestrators may take for what has no deadline of its own: one value, passed in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Limits and pauses, all in seconds.

    :ivar version: for a program to print its version.
    :ivar config: for rendering compose files: one may include others from a Git repository.
    :ivar poll_min: the first pause between two looks at a Swarm's tasks; each next one is longer, up to ``poll_max``.
    :ivar networks: for an engine or a Swarm to let the networks of ended containers go.
    """

    version: float = 20.0
    config: float = 60.0
    poll_min: float = 0.1
    poll_max: float = 0.5
    networks: float = 10.0

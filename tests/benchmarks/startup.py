"""``python -m jenkins_proxy --version``, cold, against ``python -c pass``: what a Jenkins step pays before anything."""

from __future__ import annotations

import subprocess
import sys
import time

from figures import against

RUNS = 40


def seconds(*arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    ours, limit = [], []
    for _ in range(RUNS):
        # In turn, so that a machine that slows down slows both.
        ours.append(seconds("-m", "jenkins_proxy", "--version"))
        limit.append(seconds("-c", "pass"))
    against("--version, cold", ours, "python -c pass", limit, "<= 2")


if __name__ == "__main__":
    main()

"""The same deploys under the same load, done in other ways. One table: lost of sent.

python peers.py [--short] [--ways 'ours,kamal-proxy']

A good release, one that answers 500, and one that is ready a second after it listens. Who lets a bad release in puts a
good one in its place at once, in the same way: what users meet until then counts.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import time
from collections.abc import Iterator

import service
from load import Count, Load
from rows import RATE
from ways import Article, Follower, Kamal, Ours, Plain, Rollout, Way

DEPLOYS = 10
SCALES = (3, 1, 2, 5, 1, 2)
RELEASES = {"good": "good", "answers 500": "bad-500", "ready after 1 s": "ready-1s"}
WAYS = ("ours", "kamal-proxy", "docker-rollout's way", "docker compose up -d", "the article's lines")


@contextlib.contextmanager
def way(name: str) -> Iterator[tuple[Way, int]]:
    """One way to deploy, and the port where its users enter."""
    with service.stage() as (bench, daemon), contextlib.ExitStack() as stack:
        if name == "ours":
            yield Ours(bench), daemon.entry
        elif name == "kamal-proxy":
            kamal = stack.enter_context(Kamal(daemon.folder, bench).running())
            yield kamal, kamal.port
        elif name == "the article's lines":
            article = Article(daemon.folder, daemon.registry)
            article.reconfigure()
            stack.callback(article.stop)
            yield Plain(bench.file, ("docker-compose",), article.reconfigure), article.port
        else:
            follower = stack.enter_context(Follower(daemon.folder, daemon.registry).running())
            plain = Plain(bench.file, ("docker", "compose"))
            yield (Rollout(bench.file) if "rollout" in name else plain), follower.port


def measure(name: str, deploys: int) -> dict[str, Count]:
    """What this way lost, by kind of release, and by scaling where it can."""
    with way(name) as (tool, port), Load(port, service.SERVICE_PATH, rate=RATE) as load:
        time.sleep(1)
        for text, release in RELEASES.items():
            load.phase(text)
            for _ in range(deploys):
                if tool.deploy(release) and release == "bad-500":
                    tool.deploy("good")
            load.phase("between")
            print(f"  {name}: {deploys} x {text}", file=sys.stderr, flush=True)
        if hasattr(tool, "scale"):
            load.phase("scalings")
            for count in SCALES:
                tool.scale(count)
        return load.stop()


def table(found: dict[str, dict[str, Count]]) -> str:
    """A line a way: lost of sent for each kind of release."""
    columns = [*RELEASES, "scalings"]
    lines = [f"{'lost of sent':24}" + "".join(f"{text:>20}" for text in columns)]
    for name, counts in found.items():
        shown = [counts[text] for text in columns if text in counts]
        lines.append(f"{name:24}" + "".join(f"{f'{count.failed} of {count.sent}':>20}" for count in shown))
        lost = sum((count.lost for text, count in counts.items() if text in columns), start=Count().lost)
        if lost:
            lines.append("    " + ", ".join(f"{number} x {reason}" for reason, number in lost.most_common()))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--ways", default=",".join(WAYS))
    args = parser.parse_args()
    names = args.ways.split(",")
    if "kamal-proxy" in names and not shutil.which("kamal-proxy"):
        print("kamal-proxy is not on PATH: left out", file=sys.stderr)
        names.remove("kamal-proxy")
    print(table({name: measure(name, 2 if args.short else DEPLOYS) for name in names}), flush=True)


if __name__ == "__main__":
    sys.exit(main())

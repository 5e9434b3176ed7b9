"""Generated calls of the daemon's API and of the embedded registry, against a daemon with its HAProxy.

No answer of a bug (500), none that does not come, no line in the configuration that the templates cannot make, and
nothing accepted that ``haproxy -c`` refuses.

Then as many routes without a daemon, in batches that HAProxy reads together: of these most options are good.

The daemon serves users by https, too: certificates are among the calls of its API.

python fuzz.py [--calls 100000] [--seed N] [--only api registry routes]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import shutil
import sys
from collections.abc import Collection
from pathlib import Path

from world import Daemon, folder, free_port

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.fixtures import fuzz, fuzz_batches  # noqa: E402 - the checkout is no package that is installed
from tests.fixtures.fuzz_routes import Ports  # noqa: E402

_NAMES = ("api", "registry", "routes")
_SHOWN = 20


async def all_of(target: fuzz.Target, seed: int, calls: int, names: Collection[str]) -> bool:
    """Whether nothing was wrong with any of them."""
    good = True
    for name, generated in (("api", fuzz.api_calls), ("registry", fuzz.registry_calls)):
        if name not in names:
            continue
        made = itertools.islice(generated(seed, calls, target.ports), calls)
        result = await fuzz.run(name, made, target, seed)
        print(result.line(), flush=True)
        for wrong in result.wrong[:_SHOWN]:
            print(f"  {wrong}", flush=True)
        good = good and not result.wrong
    if "routes" not in names:
        return good
    result = await asyncio.to_thread(fuzz_batches.run, seed, calls, target.haproxy)
    print(result.line(), *result.wrong[:_SHOWN], sep="\n  ", flush=True)
    return good and not result.wrong


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=100_000, help="of each")
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    parser.add_argument("--only", nargs="+", choices=_NAMES, default=_NAMES, help="these of them (default: all)")
    args = parser.parse_args()
    print(f"fuzz: --seed {args.seed} --calls {args.calls}", flush=True)
    with folder() as place:
        tcp = str(free_port())
        tls = str(free_port())
        https = ("--tls-bind", f"127.0.0.1:{tls}", "--trusted", "127.0.0.2,::1", "--hsts", "60", "--access-log", "json")
        daemon = Daemon(
            *(place, "", "--docker-host", "tcp://127.0.0.1:1", "--tcp-bind", f"127.0.0.1:{tcp}"), *https,
            *("--access-log-to", str(place / "access.log")),
        )  # fmt: skip
        ports = Ports((str(daemon.entry),), (tcp,), (tls,))
        with daemon.running() as process:
            target = fuzz.Target(
                daemon.api, daemon.registry, daemon.state / "haproxy", shutil.which("haproxy") or "", ports
            )
            good = asyncio.run(all_of(target, args.seed, args.calls, args.only)) and process.poll() is None
        # Nobody else touches HAProxy: what was found to be drift was none.
        bugs = [line for line in daemon.log.read_text().splitlines() if "Traceback" in line or "drift repaired" in line]
    print(f"{len(bugs)} bugs in the log", *bugs[:_SHOWN], sep="\n  ")
    return 0 if good and not bugs else 1


if __name__ == "__main__":
    sys.exit(main())

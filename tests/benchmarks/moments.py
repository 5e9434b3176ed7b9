"""A deploy killed, told to stop and paused for 30 s at 30 random moments each, with users: the tests of it, many times.

python moments.py [--count 30] [--pause 30] [--seed SEED]
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys

from service import TOP


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=30, help="moments for each signal")
    parser.add_argument("--pause", type=float, default=30.0, help="seconds for which a deploy is paused")
    parser.add_argument("--seed", default=secrets.token_hex(4))
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    # Each signal strikes three kinds of deploys: of a good release, of a bad one, and held for its tests.
    environment = {
        **os.environ,
        "MOMENTS": str(-(-args.count // 3)),
        "MOMENTS_PAUSE": str(args.pause),
        "MOMENTS_SEED": args.seed,
    }
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/system/deployment/test_moments.py"]
    return subprocess.run(argv, cwd=TOP, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

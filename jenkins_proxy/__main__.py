"""``python -m jenkins_proxy``: the same as the console script ``jenkins-proxy``."""

import os
import sys

from jenkins_proxy import __version__


def main() -> int:
    """Run the command line and return its exit code.

    ``--version`` is answered before anything else is imported: every Jenkins step asks it first, on every build.
    """
    if sys.argv[1:] == ["--version"]:
        print(__version__)
        return 0
    if "JENKINS_PROXY_STEP" in os.environ:
        from jenkins_proxy.cli.jenkins_step.run import main as run
    else:
        from jenkins_proxy.cli import main as run
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

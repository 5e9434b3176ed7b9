"""Which tests go to one worker together: those of a file, as what a file starts for its tests is started once.

The files that take longest are spread over the workers, test by test: with them in one piece, one worker would be idle
while the other ends them. Nothing in them is shared by a module.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

SPREAD = (
    "tests/orchestrator/compose/test_compose.py",
    "tests/orchestrator/compose/test_needs.py",
    "tests/orchestrator/compose/test_restore.py",
    "tests/system/deployment/test_candidates.py",
    "tests/system/deployment/test_deploy.py",
    "tests/system/deployment/test_faults.py",
    "tests/system/deployment/test_moments.py",
    "tests/system/deployment/test_scaling.py",
    "tests/system/deployment/test_which_project.py",
    "tests/system/jenkins_steps/test_candidates.py",
    "tests/system/jenkins_steps/test_on_jenkins.py",
    "tests/system/jenkins_steps/test_undeploy.py",
    "tests/vars/delivery/test_delivery.py",
)


def scope_of(nodeid: str) -> str:
    """The test's file, or the test itself where its file is spread."""
    file = nodeid.partition("::")[0]
    return nodeid if file in SPREAD else file


class _Spreading(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _Spreading:
    return _Spreading(config, log)

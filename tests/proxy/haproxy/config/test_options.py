"""What holds for the whole of HAProxy, from the environment."""

from __future__ import annotations

import pytest

from jenkins_proxy.errors import UsageError
from jenkins_proxy.proxy.haproxy.config.options import Timeouts
from tests.fixtures.poison import NO_NUMBERS


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_a_timeout_that_is_none_is_refused(value):
    with pytest.raises(UsageError, match="TIMEOUT_HTTP_REQUEST"):
        Timeouts.from_environ({"TIMEOUT_HTTP_REQUEST": value})


def test_timeouts_have_docker_flow_proxys_names():
    assert Timeouts.from_environ({"TIMEOUT_CONNECT": "1.5", "TIMEOUT_SERVER": ""}) == Timeouts(connect=1.5)

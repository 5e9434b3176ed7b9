"""A HAProxy that really runs. Servers and requests for it are in the room's conftest."""

from __future__ import annotations

import subprocess
import time

import pytest

from jenkins_proxy.proxy.certificates.certificate import self_signed


@pytest.fixture
def haproxy_says(haproxy, tmp_path):
    """``haproxy_says(rendered)`` is what ``haproxy -c`` answers: exit code and output."""

    def check(rendered) -> tuple[int, str]:
        (tmp_path / "haproxy.cfg").write_text(rendered.config)
        (tmp_path / "probe.key").write_text("key\n")
        (tmp_path / "counted.map").write_text("")
        if "certs.list" in rendered.config:
            (tmp_path / "own.pem").write_text(self_signed("own", time.time()).pem)
            (tmp_path / "certs.list").write_text("own.pem !*\n")
        for name, text in (*rendered.maps.items(), *rendered.runtime_maps.items()):
            (tmp_path / name).write_bytes(text.encode())
        answer = subprocess.run(
            [haproxy, "-c", "-f", "haproxy.cfg"], check=False, cwd=tmp_path, capture_output=True, text=True
        )
        return answer.returncode, answer.stdout + answer.stderr

    return check

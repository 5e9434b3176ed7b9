"""A real Docker Flow: Proxy of its last version, for comparison: where its program is on ``PATH``, in its clone.

    git clone https://github.com/docker-flow/docker-flow-proxy && cd docker-flow-proxy && go build && PATH=$PWD:$PATH

It writes to ``/cfg`` and ``/var/run``, and so it gets a root of its own: what its container would be. Its HAProxy is
this machine's, which wants a line end at the end of its files, as that of 2018 did not.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import world

PROGRAM = "docker-flow-proxy"
# Of its Dockerfile: what its container has without being told.
_ENVIRONMENT = {
    "CONNECTION_MODE": "http-keep-alive",
    "DEFAULT_REQ_MODE": "http",
    "ENABLE_H2": "true",
    "MODE": "default",
    "PROXY_INSTANCE_NAME": "docker-flow",
    "RECONFIGURE_ATTEMPTS": "1",
    "SEPARATOR": ",",
    "SERVICE_DOMAIN_ALGO": "hdr_beg(host)",
    "SERVICE_NAME": "proxy",
    "SKIP_ADDRESS_VALIDATION": "true",
    "SSL_BIND_OPTIONS": "no-sslv3",
    "STATS_USER_ENV": "STATS_USER",
    "STATS_PASS_ENV": "STATS_PASS",
    "STATS_URI_ENV": "STATS_URI",
}
_ROOT = """\
set -e
clone=$1 first=$2 hosts=$3 certificates=$4
root=$(mktemp -d)
mount -t tmpfs none "$root"
cd "$root"
mkdir -p usr etc proc dev tmp var/run run/secrets cfg/tmpl certs errorfiles templates opt
for name in bin sbin lib lib64; do
  if [ -L "/$name" ]; then cp -P "/$name" .; else mkdir "$name" && mount --rbind "/$name" "$name"; fi
done
mount --rbind -o ro /usr usr
mount --rbind /dev dev
mount -t proc none proc
cp -r /etc/ssl /etc/passwd /etc/group /etc/nsswitch.conf etc/
echo "127.0.0.1 localhost $hosts" > etc/hosts
cp "$clone"/errorfiles/* errorfiles/
cp "$clone/haproxy.tmpl" cfg/tmpl/
sed "s/bind \\*:80$/bind 127.0.0.1:$first/; /bind \\*:443/d" "$clone/haproxy.cfg" > cfg/haproxy.cfg
[ -z "$certificates" ] || cp "$certificates"/* certs/
cp "$clone/docker-flow-proxy" opt/
cat > opt/haproxy <<'END'
#!/bin/sh
for file in /cfg/haproxy.cfg /cfg/crt-list.txt; do
  [ ! -f $file ] || [ -z "$(tail -c 1 $file)" ] || echo >> $file
done
exec /usr/sbin/haproxy "$@"
END
chmod +x opt/haproxy
PATH=/opt:$PATH exec chroot . /opt/docker-flow-proxy server
"""


class DockerFlow:
    """It, while :meth:`running`.

    :ivar api: its API's address. :ivar entry: the port where users enter.
    :param hosts: names of services, which Swarm would resolve; each is this machine.
    :param certificates: a folder of them; with it users enter by https, too, at ``tls_entry``.
    """

    def __init__(self, folder: Path, *hosts: str, certificates: Path | None = None) -> None:
        self.entry, self.tls_entry = world.free_port(), world.free_port()
        self._port = world.free_port()
        self.api = f"http://127.0.0.1:{self._port}"
        self._hosts = hosts
        self._certificates = certificates
        self._log = folder / f"{PROGRAM}.log"

    @contextlib.contextmanager
    def running(self) -> Iterator[subprocess.Popen]:
        clone = Path(shutil.which(PROGRAM) or PROGRAM).resolve().parent
        environment = {**world.ENVIRONMENT, **_ENVIRONMENT, "IP": "127.0.0.1", "PORT": str(self._port)}
        environment["DEFAULT_PORTS"] = f"{self.entry},{self.tls_entry}:ssl" if self._certificates else str(self.entry)
        # With its processes: who ends the first of a namespace ends all.
        argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _ROOT, "sh"]
        argv += [str(clone), str(world.free_port()), " ".join(f"{host} tasks.{host}" for host in self._hosts)]
        argv += [str(self._certificates or "")]
        with self._log.open("ab") as stream:
            process = subprocess.Popen(argv, stdout=stream, stderr=stream, env=environment)
        try:
            world.wait_until(lambda: world.answers(f"{self.api}/v1/docker-flow-proxy/ping"), process, self._log)
            yield process
        finally:
            process.kill()
            process.wait()

    def haproxies(self, process: subprocess.Popen) -> list[int]:
        """The ids of its HAProxy's processes."""
        listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
        rows = [
            (int(pid), int(parent), words)
            for pid, parent, words in (line.split(None, 2) for line in listed.splitlines())
        ]
        known = {process.pid}
        while more := {pid for pid, parent, _ in rows if parent in known} - known:
            known |= more
        return [pid for pid, _, words in rows if pid in known and words.startswith("/usr/sbin/haproxy")]

    def end_softly(self, process: subprocess.Popen) -> None:
        """As its container's stop by SIGUSR1: no new connections, and the last requests end."""
        for pid in self.haproxies(process):
            os.kill(pid, signal.SIGUSR1)


def is_there() -> bool:
    return shutil.which(PROGRAM) is not None

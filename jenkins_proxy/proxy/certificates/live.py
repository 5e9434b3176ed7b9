"""The certificates that HAProxy serves: its own copies of them, so that a bad file elsewhere keeps it from nothing."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from jenkins_proxy import tls
from jenkins_proxy.errors import ProxyError, UsageError
from jenkins_proxy.files import atomic_write
from jenkins_proxy.proxy.certificates.certificate import Certificate, parse, ranked
from jenkins_proxy.proxy.certificates.commands import file_of, list_text
from jenkins_proxy.proxy.haproxy.entry.options import CERTIFICATE_LIST, CERTIFICATES

DEFAULT = "_default"
"""The name of the copy that stands first in the list. No certificate can be called so: see ``validation.NAME``."""


class LiveFiles:
    """The files within the folder that HAProxy runs in.

    :param folder: that one; it is made when it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self) -> None:
        """Make the folders. :raises ProxyError: when they cannot be made."""
        with _reporting(self._folder / CERTIFICATES):
            (self._folder / CERTIFICATES).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.chmod(0o700)

    def read(self, name: str) -> Certificate | None:
        """What HAProxy serves by this name since an earlier start; None without it."""
        try:
            return parse(name, [(self._folder / file_of(name)).read_bytes()])
        except (OSError, UsageError):
            return None

    def check(self, certificate: Certificate) -> None:
        """Let OpenSSL read it, which refuses more than its form: keys that are too short, for example.

        :raises UsageError: when it refuses. ProxyError: when the disk does.
        """
        with (
            _reporting(self._folder / CERTIFICATES),
            tempfile.NamedTemporaryFile(dir=self._folder / CERTIFICATES, prefix=".") as file,
        ):
            file.write(certificate.pem.encode())
            file.flush()
            try:
                tls.server_context(file.name, "")
            except UsageError as error:
                raise UsageError(f"OpenSSL refuses it: {error.__cause__}") from error

    def write(self, certificates: Iterable[Certificate]) -> None:
        """Write copies under the names that they have. :raises ProxyError: when the disk refuses."""
        for certificate in certificates:
            path = self._folder / file_of(certificate.name)
            with _reporting(path):
                atomic_write(path, certificate.pem, mode=0o600, fsync=True)

    def write_list(self, certificates: Mapping[str, Certificate]) -> None:
        """Write the list, and remove the copies that are not in it. :raises ProxyError: when the disk refuses."""
        path = self._folder / CERTIFICATE_LIST
        with _reporting(path):
            atomic_write(path, list_text(DEFAULT, ranked(certificates)), mode=0o600, fsync=True)
            listed = {self._folder / file_of(name) for name in (DEFAULT, *certificates)}
            for copy in (self._folder / CERTIFICATES).iterdir():
                if copy not in listed:
                    copy.unlink()


@contextlib.contextmanager
def _reporting(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ProxyError(
            f"cannot write {path}: {error.strerror}", "HAProxy serves on with the certificates of before"
        ) from error

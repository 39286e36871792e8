"""Reads from the API server by one `kubectl proxy`: a kubectl for each look takes a fifth of a second of a core, and tests
look all the time. Which cluster it is, and as whom, is kubectl's business here too.
"""

import http.client
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

#: Kinds that tests wait for, by the names that kubectl takes, and where they are below the server's root.
_KINDS = {
    "pod": ("api/v1", "pods"),
    "pods": ("api/v1", "pods"),
    "events": ("api/v1", "events"),
    "pvc": ("api/v1", "persistentvolumeclaims"),
    "persistentvolumeclaims": ("api/v1", "persistentvolumeclaims"),
    "job": ("apis/batch/v1", "jobs"),
}
DEADLINE = 60.0


class NotAnsweredError(Exception):
    """The API server refused; the message is its own."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A way to the API server.

    Attributes:
        port: Of the proxy, on the loopback interface.
    """

    port: int

    def path(self, namespace: str, kind: str, name: str = "") -> str | None:
        """Where an object or all of a kind are; None for a kind that is not known here."""
        if kind not in _KINDS:
            return None
        group, plural = _KINDS[kind]
        return f"/{group}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")

    def read(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """What the server has there.

        Raises:
            NotAnsweredError: Another status than 200.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request("GET", f"{path}?{urlencode(query or {})}")
            answer = connection.getresponse()
            body = answer.read().decode()
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise NotAnsweredError(f"GET {path}: status {answer.status}: {body.strip()}")
        return body


@contextmanager
def reader(program: str, kubeconfig: Path) -> Iterator[Reader]:
    """Runs the proxy."""
    words = (program, "proxy", "--port=0")
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            # The one line that it prints ends in the port.
            yield Reader(int(process.stdout.readline().rpartition(":")[2]))
        finally:
            process.terminate()

"""kubectl on one cluster and namespace. What is asked of it, and what the answers mean, is the tests' business."""

import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.cluster.api import NotAnsweredError, Reader

Object = dict[str, Any]
_OPTIONS = {"labelSelector": "selector", "fieldSelector": "field-selector"}


class KubectlError(AssertionError):
    """kubectl ended with another status than 0."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl, bound to a kubeconfig and a namespace."""

    program: str
    kubeconfig: Path
    reader: Reader
    namespace: str = "default"

    def within(self, namespace: str) -> "Kubectl":
        """The same for another namespace."""
        return replace(self, namespace=namespace)

    @property
    def environment(self) -> dict[str, str]:
        """For a process that runs kubectl itself."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def attempt(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Runs it, however it ends."""
        return subprocess.run(
            [self.program, f"--namespace={self.namespace}", *words],
            check=False, input=stdin, capture_output=True, text=True, timeout=300,
            env=self.environment,
        )  # fmt: skip

    def __call__(self, *words: str, stdin: str = "") -> str:
        """Runs it, and returns its standard output.

        Raises:
            KubectlError: It failed; quotes what it said.
        """
        done = self.attempt(*words, stdin=stdin)
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(words)}: status {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, *objects: Object) -> None:
        """Applies objects."""
        self("apply", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def get(self, kind: str, name: str) -> Object:
        """One object as the API server has it."""
        answer: Object = json.loads(self._read(kind, name) or self("get", kind, name, "--output=json"))
        return answer

    def every(self, kind: str, **selectors: str) -> list[Object]:
        """The objects of a kind, by labelSelector or fieldSelector."""
        options = [f"--{_OPTIONS[name]}={value}" for name, value in selectors.items()]
        read = self._read(kind, **selectors) or self("get", kind, *options, "--output=json")
        answer: list[Object] = json.loads(read)["items"]
        return answer

    def _read(self, kind: str, name: str = "", **query: str) -> str:
        """JSON of what tests ask for again and again; empty for other kinds."""
        path = self.reader.path(self.namespace, kind, name)
        try:
            return self.reader.read(path, query) if path else ""
        except NotAnsweredError as error:
            raise KubectlError(str(error)) from error

    def execute(self, pod: str, container: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in a container, however it ends."""
        return self.attempt("exec", pod, f"--container={container}", "--", *command)

    def log(self, pod: str, container: str) -> str:
        """What a container has printed; empty while it has not started."""
        try:
            return self.reader.read(f"{self.reader.path(self.namespace, 'pod', pod)}/log", {"container": container})
        except NotAnsweredError:
            return ""

    def events(self, pod: str, container: str) -> list[Object]:
        """The guard's log lines."""
        return [json.loads(line) for line in self.log(pod, container).splitlines() if line.startswith("{")]

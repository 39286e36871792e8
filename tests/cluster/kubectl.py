"""kubectl on one cluster and namespace. What is asked of it, and what the answers mean, is the tests' business."""

import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

Object = dict[str, Any]


class KubectlError(AssertionError):
    """kubectl ended with another status than 0."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl, bound to a kubeconfig and a namespace."""

    program: str
    kubeconfig: Path
    namespace: str = "default"

    def within(self, namespace: str) -> "Kubectl":
        """The same for another namespace."""
        return replace(self, namespace=namespace)

    def attempt(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Runs it, however it ends."""
        return subprocess.run(
            [self.program, f"--namespace={self.namespace}", *words],
            check=False, input=stdin, capture_output=True, text=True, timeout=180,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
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
        answer: Object = json.loads(self("get", kind, name, "--output=json"))
        return answer

    def every(self, kind: str, *options: str) -> list[Object]:
        """The objects of a kind."""
        answer: list[Object] = json.loads(self("get", kind, *options, "--output=json"))["items"]
        return answer

    def execute(self, pod: str, container: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in a container, however it ends."""
        return self.attempt("exec", pod, f"--container={container}", "--", *command)

    def log(self, pod: str, container: str, *options: str) -> str:
        """What a container has printed; empty while it has not started."""
        return self.attempt("logs", pod, f"--container={container}", *options).stdout

    def events(self, pod: str, container: str, *options: str) -> list[Object]:
        """The guard's log lines."""
        return [json.loads(line) for line in self.log(pod, container, *options).splitlines() if line.startswith("{")]

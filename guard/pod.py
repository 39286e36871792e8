"""The pod that a guard runs in, and the lines that a person runs against it. Pure."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PodInfo:
    """Where this guard runs, from the downward API; None where that is not known.

    Attributes:
        pod: The pod's name.
        node: The node's name.
        namespace: The pod's namespace.
        container: Where commands are run, if it is another container than the one that was found.
    """

    pod: str | None = None
    node: str | None = None
    namespace: str | None = None
    container: str | None = None

    def fields(self) -> dict[str, Any]:
        """Returns the fields of a log line."""
        return {"pod": self.pod, "node": self.node, "namespace": self.namespace}

    def exists(self, found: str | None) -> bool:
        """Returns whether the guard runs in a pod, as far as that can be known; `found` is as for `guard`."""
        return bool(self.pod or self.namespace or found)

    def guard(self, command: str, found: str | None) -> str:
        """Returns a line that can be pasted.

        Args:
            command: Of the guard, with its arguments.
            found: This container's name in its pod; None outside Kubernetes.
        """
        if not self.exists(found):
            return f"guard {command}"
        container = self.container or found
        return f"{self.kubectl('exec', self.pod or 'POD')}{f' -c {container}' if container else ''} -- guard {command}"

    @property
    def delete(self) -> str:
        """The line that deletes this pod."""
        return self.kubectl("delete pod", self.pod or "POD")

    def kubectl(self, verb: str, name: str) -> str:
        """Returns a line about an object of this pod's namespace."""
        return f"kubectl {verb} {f'-n {self.namespace} ' if self.namespace else ''}{name}"

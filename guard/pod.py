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
        return f"kubectl exec {self._namespace}{self.pod or 'POD'}{f' -c {container}' if container else ''} -- guard {command}"

    @property
    def delete(self) -> str:
        """The line that deletes this pod."""
        return f"kubectl delete pod {self._namespace}{self.pod or 'POD'}"

    @property
    def get_applied(self) -> str:
        """The line that prints what was applied."""
        return f"kubectl get deploy {self._namespace}NAME -o yaml"

    @property
    def _namespace(self) -> str:
        return f"-n {self.namespace} " if self.namespace else ""

"""The alert rules in the objects of Google's and the operator's Prometheus: made from the plain rule file, by this.

python -m tests.monitoring.wrapping
"""

from pathlib import Path
from textwrap import indent

MONITORING = Path(__file__).parents[2] / "k8s" / "monitoring"
RULES = MONITORING / "prometheus" / "alerts.yaml"

_HEAD = """\
---
# The rules of ../prometheus/alerts.yaml, wrapped by `python -m tests.monitoring.wrapping`: change them there.
apiVersion: {version}
kind: {kind}
metadata:
  name: volume-guard
{place}  labels:
    app.kubernetes.io/name: volume-guard
spec:
"""

#: Each wrapped file with the head of its object. Google's is of the cluster: alerts name their namespaces themselves.
WRAPPED = {
    MONITORING / "google" / "rules.yaml": _HEAD.format(
        version="monitoring.googleapis.com/v1", kind="ClusterRules", place=""
    ),
    MONITORING / "operator" / "rules.yaml": _HEAD.format(
        version="monitoring.coreos.com/v1", kind="PrometheusRule", place="  namespace: dev\n"
    ),
}


def wrapped(head: str) -> str:
    """The object with this head; the comments of the rules stay with them."""
    text = RULES.read_text()
    return head + indent(text[text.index("groups:\n") :], "  ")


if __name__ == "__main__":
    for path, head in WRAPPED.items():
        path.write_text(wrapped(head))

"""kube-state-metrics of one namespace, as a process beside the cluster. What its numbers mean is the tests' business."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.kubectl import Kubectl
from tests.cluster.kubernetes import build
from tests.cluster.kubernetes.layout import Layout
from tests.monitoring.server import Target, free_port

#: What the alerts ask of it.
RESOURCES = "pods,persistentvolumeclaims,cronjobs,jobs"


@contextmanager
def kube_state_metrics(layout: Layout, kubectl: Kubectl, folder: Path) -> Iterator[Target]:
    """Runs it, built from its Go module, for the namespace of this kubectl."""
    program = build.kube_state_metrics(layout, print)
    port = free_port()
    words = [
        f"--kubeconfig={kubectl.kubeconfig}", f"--namespaces={kubectl.namespace}", f"--resources={RESOURCES}",
        "--host=127.0.0.1", f"--port={port}", "--telemetry-host=127.0.0.1", f"--telemetry-port={free_port()}",
    ]  # fmt: skip
    with (
        (folder / "kube-state-metrics.log").open("w") as log,
        subprocess.Popen([program, *words], stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        try:
            yield Target("kube-state-metrics", f"127.0.0.1:{port}", {})
        finally:
            process.terminate()

"""The files of the Helm chart that are other files of this repository: made from those, by this.

python -m tests.chart
"""

import os
import shutil
import subprocess
from pathlib import Path

MANIFESTS = Path(__file__).parents[1] / "k8s"
CHART = MANIFESTS / "helm" / "volume-guard"
POLICY, MONITORING = MANIFESTS / "policy", MANIFESTS / "monitoring"

#: Files of the chart that are copies.
_COPIES = (
    "operator/podmonitor.yaml",
    "operator/rules.yaml",
    "google/podmonitoring.yaml",
    "google/rules.yaml",
    "grafana/volume-guard.json",
)


def program(name: str) -> str | None:
    """A program on PATH, or the test cluster's own; None where there is neither."""
    cache = Path(os.environ.get("VOLUME_GUARD_CACHE") or Path.home() / ".cache" / "volume-guard")
    built = sorted(cache.glob(f"programs/*[0-9a-f]/{name}"))
    return shutil.which(name) or (str(built[-1]) if built else None)


def render(folder: Path) -> subprocess.CompletedProcess[str]:
    """What kustomize makes of a folder.

    Raises:
        FileNotFoundError: There is no kubectl.
    """
    kubectl = program("kubectl")
    if kubectl is None:
        raise FileNotFoundError("no kubectl: neither on PATH nor built by `python -m tests.cluster.kubernetes up`")
    return subprocess.run([kubectl, "kustomize", folder], check=False, capture_output=True, text=True)


def files() -> dict[Path, str]:
    """The text of each made file of the chart."""
    require = render(POLICY / "require" / "deny")
    require.check_returncode()
    return {
        CHART / "files" / "policy" / "inject.yaml": _together(POLICY / "inject"),
        CHART / "files" / "policy" / "keep.yaml": _together(POLICY / "keep"),
        CHART / "files" / "policy" / "require.yaml": f"---\n{require.stdout}",
        **{CHART / "files" / name: (MONITORING / name).read_text() for name in _COPIES},
    }


def _together(folder: Path) -> str:
    return "".join(path.read_text() for path in sorted(folder.glob("*.yaml")))


if __name__ == "__main__":
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

"""What the doctor costs on 2,000 objects, beside a plain load of the same text. Prints ratios of one run; judges nothing.

CPU of a whole process, median of several runs. The objects are 400 applications: Deployment, pod, claim, volume, event.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

RUNS = 5
PYTHON = sys.executable
MANIFEST = Path(__file__).parents[2] / "k8s" / "deployment.yaml"
APPLICATIONS = 400

#: The least that anything which reads this text has to do.
PLAIN_YAML = "import sys, yaml; sum(1 for _ in yaml.load_all(open(sys.argv[1], 'rb'), yaml.CSafeLoader))"
PLAIN_JSON = "import sys, json; json.load(open(sys.argv[1], 'rb'))"

Object = dict[str, Any]


def objects() -> Iterator[Object]:
    """A namespace's worth of healthy and broken applications: every tenth has lost its volume."""
    template = yaml.safe_load(MANIFEST.read_text())
    for number in range(APPLICATIONS):
        name, claim = f"application-{number}", f"claim-{number}"
        spec = json.loads(json.dumps(template["spec"]))
        pod = spec["template"]["spec"]
        pod["volumes"] = [{"name": "skills-storage", "persistentVolumeClaim": {"claimName": claim}}]
        if number % 10 == 0:
            pod["volumes"], pod["initContainers"], pod["containers"][0]["volumeMounts"] = [], [], []
        labels = {"app": name}
        spec["selector"], spec["template"]["metadata"] = {"matchLabels": labels}, {"labels": labels}
        yield _object("apps/v1", "Deployment", name, number, spec=spec, status={"replicas": 1})
        yield _object("v1", "Pod", f"{name}-0", number, spec=pod, status={"phase": "Running"})
        yield _object(
            "v1", "PersistentVolumeClaim", claim, number,
            spec={"accessModes": ["ReadWriteOnce"], "storageClassName": "standard-rwo", "volumeName": f"pv-{number}"},
            status={"phase": "Bound"},
        )  # fmt: skip
        yield _object(
            "v1", "PersistentVolume", f"pv-{number}", number,
            spec={"claimRef": {"namespace": "dev", "name": claim}, "persistentVolumeReclaimPolicy": "Delete"},
            status={"phase": "Bound"},
        )  # fmt: skip
        involved = {"kind": "Pod", "namespace": "dev", "name": f"{name}-0"}
        yield _object("v1", "Event", f"{name}.1", number, involvedObject=involved, reason="Started", message="Started")


def _object(version: str, kind: str, name: str, number: int, **more: Any) -> Object:
    metadata = {"name": name, "namespace": "dev", "uid": f"{kind.lower()}-{number}"}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def cpu(command: Sequence[str | Path]) -> float:
    """CPU seconds of one run. The doctor ends with 40: it has findings."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in {0, 40}:
        raise SystemExit(f"bench: {command} ended with {child.returncode}")
    return usage.ru_utime + usage.ru_stime


def compare(name: str, one: Sequence[str | Path], other: Sequence[str | Path]) -> None:
    """Prints medians of two commands run in turn, and the median of their ratios."""
    pairs = [(cpu(one), cpu(other)) for _ in range(RUNS + 1)][1:]
    left, right = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    sys.stdout.write(f"{name:48} {left:6.2f} s {right:6.2f} s   ratio {ratio:.2f}\n")


def main() -> None:
    """Measures YAML of many documents, and the JSON List that kubectl writes."""
    if not yaml.__with_libyaml__:
        raise SystemExit("bench: this yaml has no C loader: the figures would say nothing")
    made = list(objects())
    with tempfile.TemporaryDirectory() as work:
        as_yaml, as_json = Path(work, "objects.yaml"), Path(work, "objects.json")
        as_yaml.write_text(yaml.dump_all(made, Dumper=yaml.CSafeDumper))
        as_json.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": made}, indent=4))
        size = f"{as_yaml.stat().st_size >> 10} KiB of YAML, {as_json.stat().st_size >> 10} KiB of JSON"
        sys.stdout.write(f"{len(made)} objects, {size}; CPU of the doctor, of a plain load\n")
        doctor = (PYTHON, "-m", "guard", "doctor", "--output", "json")
        compare("YAML, against yaml.CSafeLoader", (*doctor, as_yaml), (PYTHON, "-c", PLAIN_YAML, as_yaml))
        compare("JSON, against json.load", (*doctor, as_json), (PYTHON, "-c", PLAIN_JSON, as_json))


if __name__ == "__main__":
    main()

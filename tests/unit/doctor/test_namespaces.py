"""One name in several namespaces: each is judged for itself, and a file that names none goes with the only one there is."""

import io
import json
from pathlib import Path
from typing import Any

from guard.doctor.command import Options, run

CLAIM = "claude-skills-storage"


def objects(namespace: str, strategy: str, uid: str = "") -> list[dict[str, Any]]:
    box = {"name": "app", "volumeMounts": [{"name": "v", "mountPath": "/app/skills"}]}
    spec = {"containers": [box], "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": CLAIM}}]}
    metadata = {"namespace": namespace, "uid": uid} if namespace else {}
    return [
        {
            "kind": "Deployment",
            "metadata": {**metadata, "name": "claude-skills"},
            "spec": {"strategy": {"type": strategy}, "template": {"spec": spec}},
        },
        {
            "kind": "PersistentVolumeClaim",
            "metadata": {**metadata, "name": CLAIM},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "a"},
        },
    ]


def report(folder: Path, files: list[dict[str, Any]], live: list[dict[str, Any]]) -> dict[str, Any]:
    path = folder / "a.json"
    path.write_text(json.dumps(files))
    _, said = run(Options((str(path),), ("-",), output="json"), io.BytesIO(json.dumps(live).encode()))
    found: dict[str, Any] = json.loads(said)
    return found


def rolling(said: dict[str, Any]) -> tuple[list[tuple[str, str]], int]:
    """Namespace and side of each object of VG221, and the number of its places."""
    (found,) = (one for one in said["findings"] if one["rule"] == "VG221")
    objects = sorted((one["namespace"], one["side"]) for one in (found["object"], *found["alike"]))
    return objects, 1 + len(found["also"])


def test_a_finding_in_one_namespace_is_not_merged_with_the_file_of_another(tmp_path: Path) -> None:
    live = [*objects("dev", "Recreate", "a"), *objects("prod", "RollingUpdate", "b")]
    said = report(tmp_path, objects("dev", "RollingUpdate"), live)
    assert rolling(said) == ([("dev", "file"), ("prod", "live")], 2)


def test_a_finding_in_both_namespaces_is_merged_with_its_own_file(tmp_path: Path) -> None:
    live = [*objects("dev", "RollingUpdate", "a"), *objects("prod", "RollingUpdate", "b")]
    files = [*objects("prod", "RollingUpdate"), *objects("dev", "RollingUpdate")]
    assert rolling(report(tmp_path, files, live)) == ([("dev", "live"), ("prod", "live")], 3)


def test_a_file_without_a_namespace_goes_with_the_only_one_there_is(tmp_path: Path) -> None:
    said = report(tmp_path, objects("", "RollingUpdate"), objects("dev", "RollingUpdate", "a"))
    assert rolling(said) == ([("dev", "live")], 2)
    assert [one["subject"] for one in said["checklist"]] == ["Deployment dev/claude-skills"]


def test_each_namespace_has_its_checklist_and_its_unknowns(tmp_path: Path) -> None:
    live = [*objects("dev", "Recreate", "a"), *objects("prod", "Recreate", "b")]
    for files in (objects("", "Recreate"), objects("prod", "Recreate")):
        said = report(tmp_path, files, live)
        assert [one["subject"] for one in said["checklist"]] == [
            "Deployment dev/claude-skills",
            "Deployment prod/claude-skills",
        ]
        commands = [one["command"] for one in said["unknown"] if one["rule"] == "VG601"]
        assert [command.split()[4] for command in commands] == ["dev", "prod"]

"""The incident's two states: the file has the volume, the applied Deployment has not, and Argo CD owns it."""

import io
import json
from pathlib import Path

import pytest

from guard.doctor.command import Options, run
from guard.outcome import Outcome

FILE = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: claude-skills
  namespace: dev
spec:
  replicas: 1
  template:
    spec:
      nodeSelector:
        cloud.google.com/gke-spot: "true"
      containers:
        - name: app
          image: example/claude-skills:1
          volumeMounts:
            - name: skills-storage
              mountPath: /app/skills
      volumes:
        - name: skills-storage
          persistentVolumeClaim:
            claimName: claude-skills-storage
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: claude-skills-storage, namespace: dev}
spec:
  accessModes: [ReadWriteOnce]
"""
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "claude-skills",
        "namespace": "dev",
        "uid": "d1",
        "labels": {"app.kubernetes.io/instance": "skills"},
        "annotations": {"argocd.argoproj.io/tracking-id": "skills:apps/Deployment:dev/claude-skills"},
        "managedFields": [
            {"manager": "kubectl-client-side-apply", "operation": "Update", "time": "2026-11-01T00:00:00Z"},
            {"manager": "argocd-controller", "operation": "Apply", "time": "2026-11-20T00:00:00Z"},
        ],
    },
    "spec": {
        "replicas": 1,
        "strategy": {"type": "RollingUpdate"},
        "template": {
            "spec": {
                "nodeSelector": {"cloud.google.com/gke-spot": "true"},
                "containers": [{"name": "app", "image": "example/claude-skills:2"}],
            }
        },
    },
}
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "claude-skills-storage", "namespace": "dev", "uid": "c1"},
    "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "standard-rwo", "volumeName": "pvc-c1"},
    "status": {"phase": "Bound"},
}


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "deployment.yaml"
    path.write_text(FILE)
    return str(path)


def live(*objects: object) -> io.BytesIO:
    return io.BytesIO(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}, indent=4).encode())


def test_file_and_cluster_together_name_the_missing_mount_first_and_its_owner_with_it(file: str) -> None:
    outcome, said = run(Options((file,), ("-",), output="json"), live(DEPLOYMENT, CLAIM))
    first = json.loads(said)["findings"][0]
    assert outcome is Outcome.FINDINGS
    assert (first["rule"], first["object"]["side"]) == ("VG101", "live")
    assert f"{file}:16 mounts claim claude-skills-storage there" in first["message"]
    assert 'Argo CD Application "skills" owns it' in first["owner"]
    assert "argocd-controller, 2026-11-20T00:00:00Z" in first["owner"]
    assert "source that Argo CD" in first["fix"]


def test_the_pods_of_the_applied_object_are_not_taken_for_late_ones_of_the_file_s(file: str) -> None:
    owner = {"kind": "ReplicaSet", "name": "claude-skills-7d9f", "controller": True}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "claude-skills-7d9f-x", "namespace": "dev", "uid": "p1",
            "labels": {"pod-template-hash": "7d9f"}, "ownerReferences": [owner],
        },
        "spec": {"containers": [{"name": "app", "image": "example/claude-skills:2"}]},
    }  # fmt: skip
    _, said = run(Options((file,), ("-",), output="json"), live(DEPLOYMENT, CLAIM, pod))
    missing = [found["object"]["kind"] for found in json.loads(said)["findings"] if found["rule"] == "VG101"]
    assert missing == ["Deployment"]


def test_the_cluster_alone_names_the_missing_mount_first() -> None:
    outcome, said = run(Options(("-",), output="json"), live(DEPLOYMENT, CLAIM))
    first = json.loads(said)["findings"][0]
    assert outcome is Outcome.FINDINGS
    assert first["rule"] == "VG101"
    assert "kubectl apply will be undone at its next sync" in first["owner"]


def test_the_file_alone_names_what_will_bite_and_no_error(file: str) -> None:
    outcome, said = run(Options((file,), output="json"), io.BytesIO())
    assert outcome is Outcome.OK
    assert [found["rule"] for found in json.loads(said)["findings"]] == ["VG207", "VG221", "VG223", "VG501"]


def test_a_warning_counts_where_it_is_asked_to(file: str) -> None:
    assert run(Options((file,), fail_on="warning"), io.BytesIO())[0] is Outcome.FINDINGS


def test_never_reports_and_ends_well(file: str) -> None:
    outcome, said = run(Options((file,), ("-",), fail_on="never"), live(DEPLOYMENT, CLAIM))
    assert outcome is Outcome.OK
    assert "VG101" in said


def test_an_object_without_an_owner_is_told_to_be_applied(file: str) -> None:
    plain = {**DEPLOYMENT, "metadata": {"name": "claude-skills", "namespace": "dev", "uid": "d1"}}
    _, said = run(Options((file,), ("-",), output="json"), live(plain, CLAIM))
    first = json.loads(said)["findings"][0]
    assert f"kubectl apply -f {file} -n dev" in first["fix"]
    assert first["owner"] == ""


def test_what_both_sides_have_is_said_once_with_both_places(file: str) -> None:
    here = {**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], "template": json.loads(json.dumps(TEMPLATE))}}  # type: ignore[dict-item]
    _, said = run(Options((file,), ("-",), output="json"), live(here, CLAIM))
    spot = [found for found in json.loads(said)["findings"] if found["rule"] == "VG223"]
    assert len(spot) == 1
    assert [place["source"] for place in (spot[0]["place"], *spot[0]["also"])] == ["-", file]


def test_a_backup_of_the_claim_on_both_sides_is_judged_once(file: str) -> None:
    box = {"name": "backup", "image": "alpine", "command": ["tar", "-c", "/skills"]}
    spec = {
        "containers": [box],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "claude-skills-storage"}}],
    }
    job = {"jobTemplate": {"spec": {"template": {"spec": spec}}}}
    body = {"kind": "CronJob", "metadata": {"name": "skills-backup", "namespace": "dev", "uid": "j"}, "spec": job}
    _, said = run(Options((file,), ("-",), output="json"), live(DEPLOYMENT, CLAIM, body))
    assert [found["rule"] for found in json.loads(said)["findings"]].count("VG602") == 1


TEMPLATE = {
    "spec": {
        "nodeSelector": {"cloud.google.com/gke-spot": "true"},
        "containers": [{"name": "app", "volumeMounts": [{"name": "v", "mountPath": "/app/skills"}]}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "claude-skills-storage"}}],
    }
}


class TestChecklist:
    def answers(self, options: Options, stdin: io.BytesIO) -> dict[str, tuple[str, str, str]]:
        _, said = run(options, stdin)
        (checklist,) = json.loads(said)["checklist"]
        return {item["id"]: (item["answer"], item["why"], item["command"]) for item in checklist["items"]}

    def test_it_answers_for_the_cluster_where_that_was_given(self, file: str) -> None:
        answers = self.answers(Options((file,), ("-",), output="json"), live(DEPLOYMENT, CLAIM))
        assert {name: answer for name, (answer, _, _) in answers.items()} == {
            "class": "yes",
            "bound": "yes",
            "mounted": "no",
            "survives": "unknown",
            "off-spot": "no",
        }

    def test_what_a_file_cannot_tell_is_unknown_with_the_command_to_run(self, file: str) -> None:
        answers = self.answers(Options((file,), output="json"), io.BytesIO())
        assert answers["class"][0] == "no"
        assert answers["mounted"][0] == "unknown"
        assert (
            answers["mounted"][2]
            == f"kubectl get deployment claude-skills -n dev -o json | guard doctor {file} --live -"
        )
        assert answers["bound"][::2] == ("unknown", "kubectl get pvc claude-skills-storage -n dev")

    @pytest.mark.parametrize(
        ("line", "answer"),
        [
            ({"event": "volume.ok", "message": "412 files, as before.", "reference_files": 412}, "yes"),
            ({"event": "volume.ok", "message": "0 files, no baseline yet."}, "unknown"),
            (
                {"event": "volume.refused", "message": "data-lost: 0 of 412 files are left.", "outcome": "data-lost"},
                "no",
            ),
            ({"event": "volume.refused", "message": "marker-missing: none.", "outcome": "marker-missing"}, "no"),
            (
                {
                    "event": "volume.refused",
                    "message": "marker-mismatch: b",
                    "outcome": "marker-mismatch",
                    "volume": "b",
                },
                "no",
            ),
            (
                {"event": "volume.refused", "message": "held: by a", "outcome": "held", "also": ["data-lost"]},
                "no",
            ),
            ({"event": "volume.refused", "message": "held: by a", "outcome": "held"}, "unknown"),
            ({"event": "volume.refused", "message": "read-only: ro", "outcome": "read-only"}, "unknown"),
            ({"event": "volume.refused", "message": "unreachable: EIO", "outcome": "unreachable"}, "unknown"),
            (
                {
                    "event": "volume.ok",
                    "message": "30 files; it shrunk from 100 to 30 files.",
                    "reference_files": 100,
                    "outcome": "ok",
                    "warnings": ["it shrunk from 100 to 30 files"],
                },
                "unknown",
            ),
        ],
    )
    def test_the_last_word_of_the_gates_log_says_whether_data_survived(
        self, file: str, tmp_path: Path, line: dict[str, object], answer: str
    ) -> None:
        log = tmp_path / "gate.log"
        earlier = {"event": "volume.waiting", "message": "waits"}
        log.write_text(f"starting {{\n{json.dumps(earlier)}\n2026-11-20T00:00:00Z {json.dumps(line)}\nlast line\n")
        answers = self.answers(Options((file,), logs=(str(log),), output="json"), io.BytesIO())
        assert answers["survives"][0] == answer
        assert str(line["message"]) in answers["survives"][1]

"""What went wrong in real use, each with the right value: paths, joins, owners, inline volumes, upgrades, hostile input."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from guard.doctor.command import Options, run
from guard.outcome import Outcome
from tests.unit.doctor.bodies import (
    CLAIM,
    Body,
    app,
    as_file,
    bare,
    claim,
    deployment,
    diagnosed,
    findings,
    made,
    mount,
    persistent_volume,
    pod_spec,
    storage_class,
    unknown,
    volume,
)

NO_GUARD: Body = {"initContainers": []}


def table(*bodies: Body, **options: Any) -> str:
    return run(Options(("-",), width=300, **options), io.BytesIO(json.dumps(bodies).encode()))[1]


class TestRawDevices:
    POD = pod_spec(
        containers=[app(volumeMounts=[], volumeDevices=[{"name": "skills", "devicePath": "/dev/x"}])], **NO_GUARD
    )

    @pytest.mark.parametrize("path", ["", "/dev/x", "/data"])
    def test_a_raw_block_device_is_attached_and_nothing_is_missing(self, path: str) -> None:
        text = table(deployment(self.POD), claim(), path=path)
        assert "VG101" not in text
        assert "VG103" not in text
        assert "VG204" not in text


class TestJoin:
    """Claim, volume and class find each other by whatever names them."""

    def manual(self, **more: Any) -> tuple[Body, Body]:
        own = claim(phase="Pending")
        own["spec"]["storageClassName"] = "manual"
        spec = {"storageClassName": "manual", "accessModes": ["ReadWriteOnce"], "nfs": {"server": "a"}, **more}
        return own, {"kind": "PersistentVolume", "metadata": {"name": "static"}, "spec": spec}

    @pytest.mark.parametrize(
        "reference", [{"claimRef": {"namespace": "dev", "name": CLAIM}}, {}], ids=["claimRef", "class"]
    )
    def test_a_volume_made_by_hand_without_a_policy_is_kept(self, reference: Body) -> None:
        own, static = self.manual(**reference)
        given = (as_file(deployment()), as_file(own), static)
        assert "VG211" not in unknown(*given)
        assert [one for one in findings(*given) if one.startswith("VG211")] == []

    def test_a_volume_reserved_for_an_earlier_claim_of_the_name_is_not_todays(self) -> None:
        own, static = self.manual(claimRef={"namespace": "dev", "name": CLAIM, "uid": "earlier"})
        assert "VG211" in unknown(deployment(), own, static)

    def test_the_old_annotation_names_the_class(self) -> None:
        own = claim()
        del own["spec"]["storageClassName"], own["spec"]["volumeName"]
        own["metadata"]["annotations"] = {"volume.beta.kubernetes.io/storage-class": "standard-rwo"}
        given = (deployment(), own, storage_class(reclaimPolicy="Delete"))
        assert findings(*given) == [f"VG211 {CLAIM}"]

    def test_a_claim_without_a_class_gets_the_default_one(self) -> None:
        own = claim()
        del own["spec"]["storageClassName"], own["spec"]["volumeName"]
        default = storage_class(reclaimPolicy="Delete")
        default["metadata"]["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
        assert f"VG211 {CLAIM}" in findings(deployment(), own, default)


class TestOwners:
    def test_a_replicaset_of_a_rollout_that_was_not_given_names_it(self) -> None:
        owner = [{"kind": "Rollout", "name": "skills", "controller": True}]
        spec = {"replicas": 1, "template": {"spec": pod_spec(volumes=[{"name": "skills", "emptyDir": {}}])}}
        replicas = made("ReplicaSet", "skills-7d9f", spec, ownerReferences=owner)
        assert "ReplicaSet dev/skills-7d9f (made by Rollout skills)" in table(replicas)
        assert diagnosed(replicas)["findings"][0]["object"]["made_by"] == "Rollout skills"

    def test_a_replicaset_of_a_rollout_that_was_given_is_judged_as_the_rollout(self) -> None:
        owner = [{"kind": "Rollout", "name": "skills", "controller": True}]
        pod = {"template": {"spec": pod_spec(volumes=[{"name": "skills", "emptyDir": {}}])}}
        replicas = made("ReplicaSet", "skills-7d9f", {"replicas": 1, **pod}, ownerReferences=owner)
        assert findings(made("Rollout", "skills", pod), replicas) == ["VG106 skills"]

    @pytest.mark.parametrize("kind", ["Rollout", "DeploymentConfig", "CloneSet"])
    def test_every_kind_with_a_pod_template_is_judged_and_uses_its_claims(self, kind: str) -> None:
        assert "VG101" in table(made(kind, "skills", {"template": {"spec": bare()}}), path="/app/skills")
        given = (made(kind, "skills", {"template": {"spec": pod_spec()}}), claim())
        assert [one for one in findings(*given) if one.startswith("VG204")] == []
        assert "VG204" not in unknown(*given)


class TestInlineVolumes:
    @pytest.mark.parametrize(
        "inline",
        [
            {"nfs": {"server": "a", "path": "/x"}},
            {"iscsi": {"targetPortal": "a"}},
            {"awsElasticBlockStore": {"volumeID": "v"}},
            {"csi": {"driver": "gcsfuse.csi.storage.gke.io"}},
        ],
        ids=["nfs", "iscsi", "ebs", "csi"],
    )
    def test_a_volume_that_lasts_without_a_claim_is_mounted_bound_and_named(self, inline: Body) -> None:
        given = deployment(pod_spec(volumes=[{"name": "skills", **inline}]))
        (checklist,) = diagnosed(given)["checklist"]
        answers = {item["id"]: item["answer"] for item in checklist["items"]}
        assert [answers[name] for name in ("class", "bound", "mounted")] == ["yes", "yes", "yes"]

    def test_secrets_that_a_driver_hands_in_do_not_last(self) -> None:
        given = deployment(pod_spec(volumes=[{"name": "skills", "csi": {"driver": "secrets-store.csi.k8s.io"}}]))
        (checklist,) = diagnosed(given)["checklist"]
        assert next(item["answer"] for item in checklist["items"] if item["id"] == "mounted") == "no"


def test_a_name_keeps_its_case() -> None:
    given = (as_file(deployment(pod_spec(**NO_GUARD))), as_file(claim()))
    text = table(*given, path="/srv")
    assert "Claude-skills-storage" not in text
    assert f"claim {CLAIM} is mounted at /app/skills" in text


class TestEqualObjects:
    def test_what_holds_of_many_objects_is_one_finding_with_their_number(self) -> None:
        volumes = [persistent_volume(f"c{n}", "Delete") for n in range(30)]
        pods = [deployment(pod_spec(volumes=[volume(f"c{n}")]), f"app{n}") for n in range(30)]
        found = diagnosed(*pods, *(claim(f"c{n}") for n in range(30)), *volumes)["findings"]
        (one,) = (found for found in found if found["rule"] == "VG211")
        assert (one["count"], len(one["alike"])) == (30, 20)

    def test_a_missing_guard_is_one_finding_whatever_the_kinds_and_owners(self) -> None:
        owned = deployment(pod_spec(**NO_GUARD))
        owned["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "Helm"}
        other = made("StatefulSet", "db", {"template": {"spec": pod_spec(volumes=[volume("db")], **NO_GUARD)}})
        found = diagnosed(owned, claim(), other, claim("db"))["findings"]
        assert [(one["rule"], one["count"]) for one in found if one["rule"] == "VG501"] == [("VG501", 2)]
        assert found[-1]["rule"] == "VG501"


class TestUpgrade:
    """A rendered chart or overlay against the cluster: what would this upgrade do to the volume?"""

    def judged(self, chart: list[Body], live: list[Body], tmp_path: Path) -> list[tuple[str, str, str]]:
        file = tmp_path / "rendered.json"
        file.write_text(json.dumps(chart))
        _, text = run(Options((str(file),), ("-",), output="json"), io.BytesIO(json.dumps(live).encode()))
        return [(one["rule"], one["severity"], one["object"]["side"]) for one in json.loads(text)["findings"]]

    def test_a_chart_without_the_volume_is_an_error_of_the_file(self, tmp_path: Path) -> None:
        chart = [as_file(deployment(bare())), as_file(claim())]
        assert ("VG101", "error", "file") in self.judged(chart, [deployment(), claim()], tmp_path)

    def test_a_chart_with_another_volume_is_an_error(self, tmp_path: Path) -> None:
        chart = [as_file(deployment(pod_spec(volumes=[volume("other")]))), as_file(claim("other"))]
        assert ("VG301", "error", "live") in self.judged(chart, [deployment(), claim()], tmp_path)

    def test_the_same_chart_again_is_none(self, tmp_path: Path) -> None:
        chart = [as_file(deployment()), as_file(claim())]
        assert self.judged(chart, [deployment(), claim()], tmp_path) == []


class TestHostileInput:
    def ended(self, text: str, output: Any = "json") -> tuple[Outcome, str]:
        return run(Options(("-",), output=output), io.BytesIO(text.encode()))

    @pytest.mark.parametrize(
        "text",
        ["a: 1\n" * 20_000, "a: 1\n---\n" * 5_000, "[\n---\n" * 20_000, "kind: PersistentVolumeClaim\n---\n" * 5_000],
        ids=["one-key", "no-objects", "no-yaml", "one-name"],
    )
    @pytest.mark.parametrize("output", ["table", "json", "sarif", "github"])
    def test_a_report_is_not_longer_than_its_input(self, text: str, output: str) -> None:
        assert len(self.ended(text, output)[1]) < len(text)

    def test_json_that_is_nested_deeper_than_any_object_is_refused_in_its_own_words(self) -> None:
        nested = '{"kind":"Deployment","metadata":{"labels":' + '{"a":' * 400 + "1" + "}" * 400 + "}}"
        outcome, text = self.ended(nested, "table")
        assert outcome is Outcome.USAGE
        assert "nested deeper than 200 levels" in text

    def test_a_script_of_nothing_but_line_ends_costs_no_time(self) -> None:
        script = {"name": "init", "image": "x", "command": ["sh", "-c", "\n" * 20_000 + "A=$A$A\n" * 2_000]}
        assert findings(deployment(pod_spec(initContainers=[script], containers=[app(volumeMounts=[mount()])])))

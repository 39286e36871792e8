"""The applied object against its file: whatever makes a mount another one is told."""

from typing import Any

import pytest

from tests.unit.doctor.bodies import CLAIM, PATH, Body, app, as_file, claim, deployment, diagnosed, env, mount, pod_spec

NFS = {"name": "skills", "nfs": {"server": "a", "path": "/x"}}
HOST = {"name": "skills", "hostPath": {"path": "/x"}}
CSI = {"name": "skills", "csi": {"driver": "gcsfuse.csi.storage.gke.io", "volumeAttributes": {"bucketName": "a"}}}
OWN = {"name": "skills", "persistentVolumeClaim": {"claimName": CLAIM}}


def differing(live: Body, file: Body) -> list[str]:
    both = (as_file(deployment(file)), deployment(live), claim())
    return [one["message"] for one in diagnosed(*both)["findings"] if one["rule"] == "VG301"]


def on(volume: Body, **more: Any) -> Body:
    return pod_spec(volumes=[volume], containers=[app(volumeMounts=[mount(**more)], env=env(TENANT="a"))])


@pytest.mark.parametrize(
    ("live", "file", "said"),
    [
        (on({**NFS, "nfs": {"server": "b", "path": "/x"}}), on(NFS), "nfs b /x, the file nfs a /x"),
        (on({**NFS, "nfs": {"server": "a", "path": "/y"}}), on(NFS), "nfs a /y, the file nfs a /x"),
        (on({**HOST, "hostPath": {"path": "/y"}}), on(HOST), "hostPath /y, the file hostPath /x"),
        (
            on({**CSI, "csi": {**CSI["csi"], "volumeAttributes": {"bucketName": "b"}}}),  # type: ignore[dict-item]
            on(CSI),
            "csi gcsfuse.csi.storage.gke.io bucketName=b, the file csi gcsfuse.csi.storage.gke.io bucketName=a",
        ),
        (on(OWN, subPathExpr="$(TENANT)"), on(OWN), f"claim {CLAIM}, subPathExpr $(TENANT), the file claim {CLAIM}"),
        (on(OWN, readOnly=True), on(OWN), f"claim {CLAIM}, read-only, the file claim {CLAIM}"),
        (
            on({**OWN, "persistentVolumeClaim": {"claimName": CLAIM, "readOnly": True}}),
            on(OWN),
            f"claim {CLAIM}, read-only, the file claim {CLAIM}",
        ),
    ],
    ids=["nfs-server", "nfs-path", "hostpath", "csi", "subpathexpr", "mount-read-only", "claim-read-only"],
)
def test_what_makes_a_mount_another_one_is_a_difference(live: Body, file: Body, said: str) -> None:
    assert differing(live, file) == [f"{PATH} of app: the cluster has {said}"]


@pytest.mark.parametrize("volume", [NFS, HOST, CSI, OWN])
def test_defaults_that_the_cluster_fills_in_are_none(volume: Body) -> None:
    (kind,) = volume.keys() - {"name"}
    filled = {**volume, kind: {**volume[kind], "readOnly": False, "type": ""}}
    assert differing(on(filled, readOnly=False), on(volume)) == []

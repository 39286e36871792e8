"""Whether pods run on spot nodes: what a selector says comes before what a toleration allows."""

import pytest

from tests.unit.doctor.bodies import answers, claim, deployment, findings, pod_spec

KARPENTER = "karpenter.sh/capacity-type"
TOLERATES = [{"key": KARPENTER, "operator": "Exists"}]


@pytest.mark.parametrize(
    "selector",
    [
        {"eks.amazonaws.com/capacityType": "ON_DEMAND"},
        {KARPENTER: "on-demand"},
        {"cloud.google.com/gke-provisioning": "standard"},
        {KARPENTER: "spot", "eks.amazonaws.com/capacityType": "ON_DEMAND"},
    ],
)
def test_a_selector_of_other_nodes_keeps_a_pod_off_spot_nodes_whatever_it_tolerates(selector: dict[str, str]) -> None:
    given = (deployment(pod_spec(nodeSelector=selector, tolerations=TOLERATES)), claim())
    assert findings(*given) == []
    assert answers(*given)["off-spot"] == "yes"


@pytest.mark.parametrize("value", ["spot", "Spot"])
def test_a_selector_of_spot_nodes_is_found(value: str) -> None:
    given = (deployment(pod_spec(nodeSelector={KARPENTER: value, "pool": "a"})), claim())
    assert findings(*given) == ["VG223 claude-skills"]
    assert answers(*given)["off-spot"] == "no"


def test_a_toleration_alone_is_found() -> None:
    assert findings(deployment(pod_spec(tolerations=TOLERATES)), claim()) == ["VG223 claude-skills"]

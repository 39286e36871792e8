"""`guard check -- APP` in the application's own container: there it is the application's own mounts that are judged."""

import pytest

from tests.cluster import objects, observing
from tests.cluster.kubectl import Kubectl, Object


def test_the_application_becomes_the_process_after_a_pass(kubectl: Kubectl, adopted_claim: Object) -> None:
    kubectl.apply(objects.guarding_itself("guarding-itself", adopted_claim))
    observing.wait_ready(kubectl, "guarding-itself")

    words = kubectl.execute("guarding-itself", objects.APPLICATION, "cat", "/proc/1/cmdline").stdout.split("\0")
    assert words[:3] == ["python", "/app/skills.py", "serve"]
    assert [line["event"] for line in kubectl.events("guarding-itself", objects.APPLICATION)] == ["volume.ok"]


@pytest.mark.parametrize(("volume", "status"), [(None, 10), ({"emptyDir": {}}, 11)], ids=["no-volume", "empty-dir"])
def test_the_application_does_not_start_on_what_is_not_its_volume(
    volume: Object | None, status: int, kubectl: Kubectl
) -> None:
    kubectl.apply(objects.guarding_itself("guarding-itself", volume))

    assert observing.ending(kubectl, "guarding-itself", objects.APPLICATION).status == status
    assert "serving" not in kubectl.log("guarding-itself", objects.APPLICATION)

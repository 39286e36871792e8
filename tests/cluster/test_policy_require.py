"""volume-guard-require: what is refused, let through or warned of; each object in policy/require is named for its verdict."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml

from tests.cluster import objects, observing, policies
from tests.cluster.conftest import Cluster, adopt, namespace
from tests.cluster.kubectl import Kubectl, Object
from tests.cluster.waiting import wait_until

REQUIRE = policies.CASES / "require"

pytestmark = pytest.mark.usefixtures("admission_policies")


def _cases(verdict: str) -> pytest.MarkDecorator:
    found = sorted(REQUIRE.glob(f"*/{verdict}-*.yaml"))
    assert found
    return pytest.mark.parametrize("case", found, ids=lambda case: f"{case.parent.name}/{case.stem}")


@pytest.fixture(scope="module")
def protected_namespace(cluster: Cluster) -> Iterator[Callable[[Path], Kubectl]]:
    """A namespace for each folder of cases: what was there before, and then the policies with the folder's parameters."""
    made: dict[Path, Kubectl] = {}
    with ExitStack() as stack:

        def of(folder: Path) -> Kubectl:
            if folder not in made:
                bound = stack.enter_context(namespace(cluster, f"policy-{folder.name}"))
                for before in sorted(folder.glob("before-*.yaml")):
                    bound("apply", "--server-side", "--field-manager=argocd-controller", f"--filename={before}")
                stack.enter_context(policies.protected(bound, *policies.parameters_of(folder)))
                made[folder] = bound
            return made[folder]

        yield of


@_cases("allowed")
def test_what_is_right_is_let_through_without_a_word(
    case: Path, protected_namespace: Callable[[Path], Kubectl]
) -> None:
    done = policies.dry_run(protected_namespace(case.parent), case)
    assert (done.returncode, done.stderr) == (0, "")


@_cases("denied")
def test_what_would_lose_the_data_is_refused_with_what_was_found(
    case: Path, protected_namespace: Callable[[Path], Kubectl]
) -> None:
    done = policies.dry_run(protected_namespace(case.parent), case)
    assert done.returncode != 0
    # A denial, not an expression that could not be evaluated: that one has no sentence.
    assert "ValidatingAdmissionPolicy 'volume-guard-require' with binding 'volume-guard-require' denied" in done.stderr
    assert policies.says(case) in done.stderr
    assert "volume-guard/break-glass with a reason" in done.stderr


@_cases("warned")
def test_what_was_wrong_before_and_what_breaks_the_glass_passes_with_a_warning(
    case: Path, protected_namespace: Callable[[Path], Kubectl]
) -> None:
    done = policies.dry_run(protected_namespace(case.parent), case)
    assert done.returncode == 0, done.stderr
    assert "Warning: Validation failed for ValidatingAdmissionPolicy 'volume-guard-tolerate'" in done.stderr
    assert policies.says(case) in done.stderr


@pytest.mark.parametrize(("first", "last", "status"), [("/tmp", objects.PATH, 0), (objects.PATH, "/tmp", 1)])
def test_of_two_paths_of_a_guard_the_last_one_counts_as_it_does_for_the_runtime(
    first: str, last: str, status: int, protected_namespace: Callable[[Path], Kubectl]
) -> None:
    folder = REQUIRE / "plain"
    deployment = yaml.safe_load((folder / "allowed-guard-without-its-default-path.yaml").read_text())
    deployment["metadata"]["name"] = "two-paths"
    gate = deployment["spec"]["template"]["spec"]["initContainers"][0]
    gate["env"] += [{"name": "GUARD_PATH", "value": path} for path in (first, last)]
    # A server-side apply takes no entry twice.
    done = protected_namespace(folder).attempt(
        "create", "--dry-run=server", "--filename=-", stdin=objects.as_json(deployment)
    )
    assert done.returncode == status, done.stderr
    assert ("volume-guard-gate would look at something else" in done.stderr) == (status != 0)


def test_the_overwrite_that_dropped_the_volume_starts_the_application_empty_without_the_policy_and_is_refused_with_it(
    cluster: Cluster, kubectl: Kubectl
) -> None:
    volume = adopt(cluster, kubectl)
    right = objects.deployment(volume, without=(objects.WATCHER,), wait="0s")
    overwrite = objects.deployment(None, without=(objects.GATE, objects.WATCHER))
    _sync(kubectl, right)
    assert _skills(kubectl) == ["acme", "beta"]

    _sync(kubectl, overwrite)
    kubectl("rollout", "status", "deployment/claude-skills", "--timeout=180s")
    assert _skills(kubectl) == []

    _sync(kubectl, right)
    kubectl("rollout", "status", "deployment/claude-skills", "--timeout=180s")
    with policies.protected(kubectl, policies.parameters(claim="adopted", watch="false")):
        refused = _sync(kubectl, overwrite, expected=1)
        assert "denied request: Deployment" in refused
        assert "at /app/skills its application mounts nothing, and the volumes of its pod are none" in refused
        assert _skills(kubectl) == ["acme", "beta"]


def test_scale_and_restart_of_what_was_wrong_pass_with_a_warning_and_no_new_pod_of_it_starts(kubectl: Kubectl) -> None:
    wrong = objects.deployment(None, without=(objects.GATE, objects.WATCHER))
    kubectl.apply(wrong)
    before = observing.wait_application(kubectl)["metadata"]["uid"]
    with policies.protected(kubectl, policies.parameters()):
        restarted = kubectl.attempt("rollout", "restart", "deployment/claude-skills")
        assert restarted.returncode == 0
        assert "Warning: Validation failed for ValidatingAdmissionPolicy 'volume-guard-tolerate'" in restarted.stderr
        assert kubectl.attempt("scale", "deployment/claude-skills", "--replicas=2").returncode == 0

        refused = wait_until("the refused pod", lambda: _refused_pods(kubectl), observing.START)
        assert "its application mounts nothing, and the volumes of its pod are none" in refused
        assert before not in {pod["metadata"]["uid"] for pod in observing.application_pods(kubectl) if _runs(pod)}


def test_the_first_step_warns_and_refuses_nothing(cluster: Cluster, kubectl: Kubectl) -> None:
    overwrite = objects.deployment(None, without=(objects.GATE, objects.WATCHER))
    policies.apply(cluster.kubectl, policies.WARN)
    try:
        with policies.protected(kubectl, policies.parameters()):
            warned = wait_until(
                "only a warning", lambda: _passed(policies.dry_run(kubectl, overwrite)), policies.IN_FORCE
            )
            assert "Warning: Validation failed for ValidatingAdmissionPolicy 'volume-guard-require'" in warned
            assert "its application mounts nothing, and the volumes of its pod are none" in warned
            # All that is wrong at once, where a refusal names the first.
            assert "has no gate before everything else" in warned
    finally:
        policies.apply(cluster.kubectl, policies.REQUIRE)
        with policies.protected(kubectl, policies.parameters()):
            wait_until("refused again", lambda: policies.dry_run(kubectl, overwrite).returncode, policies.IN_FORCE)


def test_the_command_of_the_page_warns_of_what_was_applied_before_from_the_same_file(
    kubectl: Kubectl, tmp_path: Path
) -> None:
    wrong = objects.deployment(None, without=(objects.GATE, objects.WATCHER))
    wrong["spec"]["replicas"] = 0
    file = tmp_path / "deployment.json"
    file.write_text(objects.as_json(wrong))
    kubectl("apply", f"--filename={file}")
    page = (policies.FOLDER / "README.md").read_text()
    (words,) = re.findall(r"^    kubectl (apply .+ --dry-run=server) -f k8s/$", page, re.MULTILINE)
    with policies.protected(kubectl, policies.parameters()):
        warned = kubectl.attempt(*words.split(), f"--filename={file}")
        assert warned.returncode == 0, warned.stderr
        assert "Warning: Validation failed for ValidatingAdmissionPolicy 'volume-guard-tolerate'" in warned.stderr


def test_the_api_server_finds_nothing_wrong_in_the_types_of_any_expression(cluster: Cluster) -> None:
    found = cluster.kubectl.every("validatingadmissionpolicies", labelSelector="app.kubernetes.io/name=volume-guard")
    assert len(found) >= 7
    for policy in found:
        name = policy["metadata"]["name"]
        status = wait_until(f"{name} checked", partial(_checked, cluster.kubectl, name), observing.START)
        assert status.get("typeChecking", {}).get("expressionWarnings", []) == [], name


def _checked(kubectl: Kubectl, policy: str) -> Object | None:
    """The policy's status once its expressions were checked against the kinds that it matches.

    A policy that was deleted and created again can get the status of the one before, whose generation is higher: the
    controller goes by the same comparison, and checks it no more.
    """
    found = kubectl.get("validatingadmissionpolicy", policy)
    status: Object = found.get("status", {})
    return status if status.get("observedGeneration", 0) >= found["metadata"]["generation"] else None


def _refused_pods(kubectl: Kubectl) -> str:
    """What the ReplicaSet's controller was told when it wanted pods."""
    failed = kubectl.every("events", fieldSelector="reason=FailedCreate")
    return next((event["message"] for event in failed if "volume-guard-require" in event["message"]), "")


def _runs(pod: Object) -> bool:
    return "deletionTimestamp" not in pod["metadata"]


def _passed(done: CompletedProcess[str]) -> str:
    return done.stderr if done.returncode == 0 else ""


def _sync(kubectl: Kubectl, deployment: Object, expected: int = 0) -> str:
    """What Argo CD does: the whole of its repository's object, by server-side apply. Gives what was said."""
    done = kubectl.attempt(
        "apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "--filename=-",
        stdin=objects.as_json(deployment),
    )  # fmt: skip
    assert done.returncode == expected, done.stderr
    return done.stderr


def _skills(kubectl: Kubectl) -> list[str]:
    """What the application sees at its path."""
    pod = observing.wait_application(kubectl)["metadata"]["name"]
    listed = kubectl.execute(pod, objects.APPLICATION, "ls", objects.PATH)
    assert listed.returncode == 0, listed.stderr
    return sorted(name for name in listed.stdout.split() if name != "lost+found")

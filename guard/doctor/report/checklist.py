"""The incident's own checklist, answered for each guarded workload: yes, no, or unknown and what to run to know. Pure."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from guard.doctor.index import ObjectIndex
from guard.doctor.objects.guard_containers import Part, applications, part, volume_name
from guard.doctor.objects.k8s_object import K8sObject, same_namespace
from guard.doctor.objects.workload import TEMPLATE, Workload
from guard.doctor.report.gate_log import GateResult
from guard.doctor.rules.classes import leaves_the_class_open
from guard.doctor.rules.spot import Exposure, exposure
from guard.doctor.source.document import Side

_PVC = "PersistentVolumeClaim"


class Answer(Enum):
    """What is known."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the checklist; `yes` is always the good answer.

    Attributes:
        id: Stable, for scripts.
        question: As a statement that should be true.
        answer: Whether it is.
        why: The fact that tells.
        command: What to run to know; empty where it is known.
    """

    id: str
    question: str
    answer: Answer
    why: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Checklist:
    """The checklist of one workload.

    Attributes:
        subject: The workload.
        path: Where it keeps its data.
        path_from: What says so.
        names: The workload, its pods, claims and volumes.
        items: The questions.
    """

    subject: str
    path: str
    path_from: str
    names: frozenset[str]
    items: tuple[Item, ...]


def checklists(index: ObjectIndex, results: tuple[GateResult, ...]) -> tuple[Checklist, ...]:
    """One checklist for each guarded workload, of the cluster's side where that was given; each with its own gate's result."""
    by_name: dict[tuple[str, str], list[Workload]] = defaultdict(list)
    for workload in index.guarded:
        by_name[workload.object.kind, workload.object.name].append(workload)
    chosen = [workload for alike in by_name.values() for workload in _once_each(alike)]
    return tuple(
        _checklist(index, workload, _result_of(workload, results, alone=not chosen[1:])) for workload in chosen
    )


def _result_of(workload: Workload, results: tuple[GateResult, ...], *, alone: bool) -> GateResult | None:
    """The last word of a workload's gate; one that names no volume is its own where it is alone."""
    names = {volume_name(container) for container in workload.pod.all_containers if part(container) is Part.GATE} - {""}
    own = [one for one in results if (one.volume in names if one.volume and names else alone)]
    return own[-1] if own else None


def _once_each(alike: list[Workload]) -> list[Workload]:
    """Of workloads of one kind and name one for each namespace: the cluster's first, then whichever names its namespace."""
    chosen: list[Workload] = []
    for workload in sorted(
        alike, key=lambda workload: (workload.object.side is not Side.LIVE, not workload.object.namespace)
    ):
        if not any(same_namespace(workload.object.namespace, other.object.namespace) for other in chosen):
            chosen.append(workload)
    return chosen


def _checklist(index: ObjectIndex, workload: Workload, result: GateResult | None) -> Checklist:
    path = index.path_of(workload)
    names = index.claims_meant(workload)
    claims = [index.find(_PVC, workload.object.namespace, name, Side.LIVE) for name in names]
    # One line is for one claim: of a StatefulSet's the first that is not bound.
    open_ones = [claim for claim in claims if claim is not None and claim.text("status", "phase") != "Bound"]
    claim = next(iter((*open_ones, *claims)), None)
    name = claim.name if claim else next(iter(names), "")
    items = (
        _has_class(workload, path, name, claim),
        _is_bound(workload, name, claim),
        _is_mounted(index, workload, path),
        _survives(workload, result),
        _off_spot(index, workload),
    )
    target = index.target_of(workload)
    own = (workload.object, *(pod.object for pod in index.pods_of(workload)), *claims)
    volumes = (volume_of(index, claim) for claim in claims if claim is not None)
    names = frozenset(str(obj) for obj in (*own, *volumes) if obj is not None)
    return Checklist(f"{workload.object}", path, target.reason if target else "", names, items)


def _namespace(workload: Workload) -> str:
    return workload.object.namespace or "NAMESPACE"


def _has_class(workload: Workload, path: str, name: str, claim: K8sObject | None) -> Item:
    question = "the claim names a storage class"
    command = (
        f"kubectl get pvc {name or '-A'} -n {_namespace(workload)} -o yaml"
        if name
        else f"kubectl get pvc -n {_namespace(workload)}"
    )
    claim = _template_at(workload, path) or claim
    if claim is None:
        return Item(
            "class", question, Answer.UNKNOWN, f"claim {name} was not given" if name else "no claim was given", command
        )
    if leaves_the_class_open(claim):
        return Item("class", question, Answer.NO, f"{claim.name} has no storageClassName")
    named = claim.text("spec", "storageClassName")
    if named:
        return Item("class", question, Answer.YES, f"{claim.name}: {named}")
    if claim.text("spec", "volumeName"):
        return Item("class", question, Answer.YES, f"{claim.name} names its volume: {claim.text('spec', 'volumeName')}")
    return Item("class", question, Answer.YES, f"{claim.name} asks for a volume made by hand")


def _template_at(workload: Workload, path: str) -> K8sObject | None:
    """The volumeClaimTemplate that makes the volume at the path; a StatefulSet's only one where none is mounted there."""
    volumes = [volume for container in applications(workload) if (volume := workload.pod.volume_at(container, path))]
    names = {volume.name for volume in volumes if volume.kind == TEMPLATE}
    if not volumes and len(workload.claim_templates) == 1:
        names = set(workload.claim_templates)
    return next((template for _, template in workload.templates if template.name in names), None)


def _is_bound(workload: Workload, name: str, claim: K8sObject | None) -> Item:
    question = "the claim is bound"
    phase = claim.text("status", "phase") if claim else ""
    if claim is not None and phase:
        bound = phase == "Bound"
        why = f"{claim.name}: {phase}" + (f" to {claim.text('spec', 'volumeName')}" if bound else "")
        return Item("bound", question, Answer.YES if bound else Answer.NO, why)
    return Item(
        "bound",
        question,
        Answer.UNKNOWN,
        "the cluster's claim was not given",
        f"kubectl get pvc {name} -n {_namespace(workload)}".replace("  ", " "),
    )


def _is_mounted(index: ObjectIndex, workload: Workload, path: str) -> Item:
    question = f"the pod mounts it at {path}"
    pods = index.pods_of(workload)
    for runner in (workload, *pods):
        volumes = [volume for container in applications(runner) if (volume := runner.pod.volume_at(container, path))]
        if not volumes:
            return Item(
                "mounted", question, Answer.NO, f"{runner.object} ({runner.object.side.value}) has no mount there"
            )
        lasting = [volume for volume in volumes if volume.is_persistent]
        if not lasting:
            return Item(
                "mounted",
                question,
                Answer.NO,
                f"{runner.object} has {volumes[0].kind or 'emptyDir'} there, not a claim",
            )
    if workload.object.side is Side.LIVE or pods:
        return Item(
            "mounted", question, Answer.YES, f"{workload.object}" + (f" and {len(pods)} of its pods" if pods else "")
        )
    kind = workload.object.kind.lower()
    command = f"kubectl get {kind} {workload.object.name} -n {_namespace(workload)} -o json | guard doctor {workload.object.source} --live -"
    return Item("mounted", question, Answer.UNKNOWN, "the file has it; the applied object was not given", command)


def _survives(workload: Workload, result: GateResult | None) -> Item:
    question = "the data survives a restart"
    name = next((container.name for container in workload.pod.all_containers if part(container) is Part.GATE), "GATE")
    gate = f"kubectl logs {workload.object.kind.lower()}/{workload.object.name} -n {_namespace(workload)} -c {name}"
    if result is None:
        return Item(
            "survives",
            question,
            Answer.UNKNOWN,
            "no log of its gate was given",
            f"{gate} > gate.log; guard doctor ... --logs gate.log",
        )
    if result.gone:
        return Item("survives", question, Answer.NO, result.message)
    if not result.passed:
        return Item("survives", question, Answer.UNKNOWN, result.message, gate)
    if not result.compared:
        return Item(
            "survives",
            question,
            Answer.UNKNOWN,
            f"no baseline yet: {result.message}",
            f"{gate} (after the next restart)",
        )
    return Item("survives", question, Answer.YES, result.message)


def _off_spot(index: ObjectIndex, workload: Workload) -> Item:
    question = "the pod is kept off spot nodes"
    verdict, why, _ = exposure(workload, index)
    if verdict is Exposure.UNKNOWN:
        return Item("off-spot", question, Answer.UNKNOWN, why, "kubectl get nodes -L cloud.google.com/gke-spot")
    return Item("off-spot", question, Answer.NO if verdict is Exposure.YES else Answer.YES, why)


def answers(lists: tuple[Checklist, ...]) -> Iterator[Item]:
    """All items of all checklists."""
    for checklist in lists:
        yield from checklist.items

"""The incident's own checklist, answered for each guarded workload: yes, no, or unknown and what to run to know. Pure."""

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum

from guard.doctor.index import ObjectIndex
from guard.doctor.objects.guard_containers import Part, applications, part, volume_name
from guard.doctor.objects.k8s_object import K8sObject
from guard.doctor.objects.workload import TEMPLATE, Volume, Workload
from guard.doctor.report.gate_log import GateResult
from guard.doctor.rules.spot import Exposure, exposure
from guard.doctor.source.document import Side
from guard.doctor.storage import class_name, leaves_class_open, template_of, volume_of

_PVC = "PersistentVolumeClaim"
_CLASS, _BOUND = "the claim names a storage class", "the claim is bound"


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
    chosen: dict[str, Workload] = {}
    for workload in sorted(
        alike, key=lambda workload: (workload.object.side is not Side.LIVE, not workload.object.namespace)
    ):
        namespace = workload.object.namespace
        if namespace not in chosen and "" not in chosen and (namespace or not chosen):
            chosen[namespace] = workload
    return list(chosen.values())


def _checklist(index: ObjectIndex, workload: Workload, result: GateResult | None) -> Checklist:
    path = index.path_of(workload)
    names = index.claims_meant(workload)
    claims = [index.find(_PVC, workload.object.namespace, name, Side.LIVE) for name in names]
    # One line is for one claim: of a StatefulSet's the first that is not bound.
    open_ones = [claim for claim in claims if claim is not None and claim.text("status", "phase") != "Bound"]
    claim = next(iter((*open_ones, *claims)), None)
    name = claim.name if claim else next(iter(names), "")
    inline = _inline_at(workload, path)
    items = (
        _has_class(workload, path, name, claim) if inline is None else _needs_no_claim("class", _CLASS, inline),
        _is_bound(workload, name, claim) if inline is None else _needs_no_claim("bound", _BOUND, inline),
        _is_mounted(index, workload, path),
        _survives(workload, result),
        _off_spot(index, workload),
    )
    target = index.target_of(workload)
    own = (workload.object, *(pod.object for pod in index.pods_of(workload)), *claims)
    volumes = (volume_of(index, claim) for claim in claims if claim is not None)
    about = frozenset(str(obj) for obj in (*own, *volumes) if obj is not None)
    return Checklist(f"{workload.object}", path, target.reason if target else "", about, items)


def _namespace(workload: Workload) -> str:
    return workload.object.namespace or "NAMESPACE"


def _inline_at(workload: Workload, path: str) -> Volume | None:
    """The volume at the path that lasts without a claim: a server or a disk that the pod itself names."""
    volumes = (workload.pod.volume_at(container, path) for container in applications(workload))
    return next((one for one in volumes if one is not None and one.outlasts_pod and not one.is_persistent), None)


def _needs_no_claim(name: str, question: str, volume: Volume) -> Item:
    return Item(name, question, Answer.YES, f"volume {volume.name} ({volume.kind}) lasts without a claim")


def _has_class(workload: Workload, path: str, name: str, claim: K8sObject | None) -> Item:
    claim = _template_at(workload, path) or claim
    if claim is None:
        why = f"claim {name} was not given" if name else "no claim was given"
        command = f"kubectl get pvc {name} -n {_namespace(workload)} -o yaml".replace("  ", " ")
        return Item("class", _CLASS, Answer.UNKNOWN, why, command)
    if leaves_class_open(claim):
        return Item("class", _CLASS, Answer.NO, f"{claim.name} has no storageClassName")
    named, volume = class_name(claim), claim.text("spec", "volumeName")
    why = f"{claim.name}: {named}" if named else f"{claim.name} asks for a volume made by hand"
    return Item(
        "class", _CLASS, Answer.YES, f"{claim.name} names its volume: {volume}" if volume and not named else why
    )


def _template_at(workload: Workload, path: str) -> K8sObject | None:
    """The volumeClaimTemplate that makes the volume at the path; a StatefulSet's only one if none is mounted there."""
    volumes = [volume for container in applications(workload) if (volume := workload.pod.volume_at(container, path))]
    names = [volume.name for volume in volumes if volume.kind == TEMPLATE]
    if not volumes and len(workload.claim_templates) == 1:
        names = list(workload.claim_templates)
    return template_of(workload, names[0]) if names else None


def _is_bound(workload: Workload, name: str, claim: K8sObject | None) -> Item:
    phase = claim.text("status", "phase") if claim else ""
    if claim is not None and phase:
        is_bound = phase == "Bound"
        why = f"{claim.name}: {phase}" + (f" to {claim.text('spec', 'volumeName')}" if is_bound else "")
        return Item("bound", _BOUND, Answer.YES if is_bound else Answer.NO, why)
    command = f"kubectl get pvc {name} -n {_namespace(workload)}".replace("  ", " ")
    return Item("bound", _BOUND, Answer.UNKNOWN, "the cluster's claim was not given", command)


def _is_mounted(index: ObjectIndex, workload: Workload, path: str) -> Item:
    question = f"the pod mounts it at {path}"
    pods = index.pods_of(workload)
    for runner in (workload, *pods):
        volumes = [volume for container in applications(runner) if (volume := runner.pod.volume_at(container, path))]
        what = f"{volumes[0].kind or 'emptyDir'} there, which the pod does not share with the next" if volumes else ""
        if not any(volume.outlasts_pod for volume in volumes):
            why = f"{runner.object} ({runner.object.side.value}) has {what or 'no mount there'}"
            return Item("mounted", question, Answer.NO, why)
    if workload.object.side is Side.LIVE or pods:
        why = f"{workload.object}" + (f" and {len(pods)} of its pods" if pods else "")
        return Item("mounted", question, Answer.YES, why)
    kind = workload.object.kind.lower()
    command = f"kubectl get {kind} {workload.object.name} -n {_namespace(workload)} -o json | guard doctor {workload.object.source} --live -"
    return Item("mounted", question, Answer.UNKNOWN, "the file has it; the applied object was not given", command)


def _survives(workload: Workload, result: GateResult | None) -> Item:
    question = "the data survives a restart"
    name = next((container.name for container in workload.pod.all_containers if part(container) is Part.GATE), "")
    if result is None and not name:
        why = "it has no gate that compares the data at each start"
        return Item("survives", question, Answer.UNKNOWN, why, "guard explain VG501")
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

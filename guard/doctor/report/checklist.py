"""The incident's own checklist, answered for each guarded workload: yes, no, or unknown and what to run to know. Pure."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from guard.doctor.finding import Answer
from guard.doctor.index import ObjectIndex
from guard.doctor.lookup import grouped
from guard.doctor.objects.k8s_object import PVC, K8sObject
from guard.doctor.objects.workload import TEMPLATE, Volume, Workload
from guard.doctor.rules.placement import exposure
from guard.doctor.source.document import Side
from guard.doctor.source.tree import text, texts, whole
from guard.doctor.storage import volume_of

_CLASS, _BOUND = "the claim names a storage class", "the claim is bound"


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the checklist."""

    id: str  # stable, for scripts
    question: str  # as a statement that should be true: `yes` is always the good answer
    answer: Answer
    why: str  # the fact that shows it
    command: str = ""  # what to run to know; empty if it is known


@dataclass(frozen=True, slots=True)
class Checklist:
    """The checklist of one workload."""

    subject: str  # the workload
    path: str  # where it keeps its data
    path_from: str  # what shows that
    names: frozenset[str]  # the workload, its pods, claims and volumes
    items: tuple[Item, ...]

    @property
    def title(self) -> str:
        """Whose it is, and where the data is kept."""
        return f"{self.subject}: {self.path} ({self.path_from})"


#: The name of an injected gate (k8s/policy/inject).
_INJECTED = "volume-guard-gate"
#: Events of the gate that decide, see the event table.
_PASSED, _REFUSED = "volume.ok", "volume.refused"
#: Outcomes in which the data that was there is not, and the one in which a line names a foreign volume.
_GONE = frozenset({"data-lost", "marker-missing", "marker-mismatch", "marker-invalid"})
_MISMATCH = "marker-mismatch"
#: How the gate's warning of a shrunk volume starts.
_SHRUNK = "it shrunk"


@dataclass(frozen=True, slots=True)
class GateResult:
    """What the gate found last."""

    passed: bool  # whether it found the volume right and whole
    gone: bool  # whether it found that the data is not there; what is only unreachable, held or shrunk is neither
    compared: bool  # whether it had something to compare with; without a baseline a pass proves nothing about the data
    volume: str  # the name of the volume that it expects; empty if the line does not name it
    message: str  # its sentence


def checklists(index: ObjectIndex, results: tuple[GateResult, ...]) -> tuple[Checklist, ...]:
    """Returns one checklist for each guarded workload, of the cluster's side if that was given; with its own gate's result."""
    by_name = grouped(((workload.kind, workload.name), workload) for workload in index.guarded)
    chosen = [workload for alike in by_name.values() for workload in _once_each(alike)]
    is_alone = len(chosen) == 1
    return tuple(_checklist(index, workload, _result_of(workload, results, is_alone)) for workload in chosen)


def _result_of(workload: Workload, results: tuple[GateResult, ...], is_alone: bool) -> GateResult | None:
    """Returns the last result of a workload's gate; one that names no volume is its own if it is alone."""
    names = {gate.guard_volume for gate in workload.gates} - {""}
    own = [one for one in results if (one.volume in names if one.volume and names else is_alone)]
    return own[-1] if own else None


def _once_each(alike: Sequence[Workload]) -> list[Workload]:
    """Returns one of each namespace, of workloads of one kind and name: the cluster's first, then whichever names it."""
    chosen: dict[str, Workload] = {}
    for workload in sorted(alike, key=lambda workload: (not workload.is_live, not workload.namespace)):
        namespace = workload.namespace
        if namespace not in chosen and "" not in chosen and (namespace or not chosen):
            chosen[namespace] = workload
    return list(chosen.values())


def _checklist(index: ObjectIndex, workload: Workload, result: GateResult | None) -> Checklist:
    target = index.guarded[workload]
    names = index.claims_meant(workload)
    claims = [claim for name in names if (claim := index.find(PVC, workload.namespace, name, Side.LIVE))]
    # One line is for one claim: of a StatefulSet's the first that is not bound.
    claim = next(iter((*(claim for claim in claims if claim.phase != "Bound"), *claims)), None)
    name = claim.name if claim else next(iter(names), "")
    volumes = [one for app in workload.applications if (one := app.volume_at(target.path))]
    items = (
        *_claim_items(workload, volumes, name, claim),
        _is_mounted(index, workload, target.path),
        _survives(workload, result),
        _off_spot(index, workload),
    )
    bound = (volume_of(index, claim) for claim in claims)
    about = frozenset(str(obj) for obj in (workload, *index.pods_of(workload), *claims, *bound) if obj is not None)
    return Checklist(str(workload), target.path, target.reason, about, items)


def _is_mounted(index: ObjectIndex, workload: Workload, path: str) -> Item:
    question = f"the pod mounts it at {path}"
    pods = index.pods_of(workload)
    for runner in (workload, *pods):
        volumes = [volume for container in runner.applications if (volume := container.volume_at(path))]
        if not any(volume.outlasts_pod for volume in volumes):
            what = (
                f"{volumes[0].kind} there, which the pod does not share with the next" if volumes else "no mount there"
            )
            return Item("mounted", question, Answer.NO, f"{runner} ({runner.side.value}) has {what}")
    if workload.is_live or pods:
        why = f"{workload}" + (f" and {len(pods)} of its pods" if pods else "")
        return Item("mounted", question, Answer.YES, why)
    get = f"kubectl get {workload.kind.lower()} {workload.name} -n {workload.kubectl_namespace} -o json"
    command = f"{get} | guard doctor {workload.source} --live -"
    return Item("mounted", question, Answer.UNKNOWN, "the file has it; the applied object was not given", command)


def _survives(workload: Workload, result: GateResult | None) -> Item:
    injected = _INJECTED if workload.injected_path else ""
    gate = next((gate.name for gate in workload.gates), injected)
    logs = f"kubectl logs {workload.kubectl_name} -c {gate}"
    answer, why, command = Answer.UNKNOWN, result.message if result else "", logs
    if result is None and not gate:
        why, command = "it has no gate that compares the data at each start", "guard explain VG501"
    elif result is None:
        why, command = "no log of its gate was given", f"{logs} > gate.log; guard doctor ... --logs gate.log"
    elif result.gone or (result.passed and result.compared):
        answer, command = Answer.NO if result.gone else Answer.YES, ""
    elif result.passed:
        why, command = f"no baseline yet: {why}", f"{logs} (after the next restart)"
    return Item("survives", "the data survives a restart", answer, why, command)


def _off_spot(index: ObjectIndex, workload: Workload) -> Item:
    runs_on_spot, why, _ = exposure(workload, index)
    answer = {Answer.YES: Answer.NO, Answer.NO: Answer.YES}.get(runs_on_spot, Answer.UNKNOWN)
    command = "kubectl get nodes -L cloud.google.com/gke-spot" if answer is Answer.UNKNOWN else ""
    return Item("off-spot", "the pod is kept off spot nodes", answer, why, command)


def _claim_items(workload: Workload, volumes: list[Volume], name: str, claim: K8sObject | None) -> tuple[Item, Item]:
    inline = next((one for one in volumes if one.outlasts_pod and not one.is_persistent), None)
    if inline is not None:  # a server or a disk that the pod itself names
        why = f"volume {inline.name} ({inline.kind}) lasts without a claim"
        return Item("class", _CLASS, Answer.YES, why), Item("bound", _BOUND, Answer.YES, why)
    get = f"kubectl get pvc {f'{name} ' if name else ''}-n {workload.kubectl_namespace}"
    if claim is not None and claim.phase:
        is_bound = claim.phase == "Bound"
        why = f"{claim.name}: {claim.phase}" + (f" to {claim.text('spec', 'volumeName')}" if is_bound else "")
        bound = Item("bound", _BOUND, Answer.YES if is_bound else Answer.NO, why)
    else:
        bound = Item("bound", _BOUND, Answer.UNKNOWN, "the cluster's claim was not given", get)
    # The volumeClaimTemplate that makes the volume at the path; a StatefulSet's only one if none is mounted there.
    made = {volume.name for volume in volumes if volume.kind == TEMPLATE}
    is_only = not volumes and len(workload.templates) == 1
    source = next((one for one in workload.templates if is_only or one.name in made), claim)
    if source is None:
        why = f"claim {name} was not given" if name else "no claim was given"
        return Item("class", _CLASS, Answer.UNKNOWN, why, f"{get} -o yaml"), bound
    if source.leaves_class_open:
        return Item("class", _CLASS, Answer.NO, f"{source.name} has no storageClassName"), bound
    volume = source.text("spec", "volumeName")
    by_hand = f" names its volume: {volume}" if volume else " asks for a volume made by hand"
    return Item(
        "class", _CLASS, Answer.YES, source.name + (f": {source.class_name}" if source.class_name else by_hand)
    ), bound


def last_result(lines: Iterable[str]) -> GateResult | None:
    """The last verdict of the gate in a log; None where there is none.

    Other lines, of the application or of a runtime (a time stamp before the JSON), are stepped over.
    """
    result = None
    for line in lines:
        start = line.find("{")
        if start < 0 or '"volume.' not in line:
            continue
        try:
            entry = json.loads(line[start:])
        except (ValueError, RecursionError):
            continue
        event = text(entry, "event")
        if event in {_PASSED, _REFUSED}:
            result = _result(entry)
    return result


def _result(entry: Any) -> GateResult:
    outcomes = {text(entry, "outcome"), *texts(entry, "also")}
    shrunk = any(warning.startswith(_SHRUNK) for warning in texts(entry, "warnings"))
    return GateResult(
        passed=text(entry, "event") == _PASSED and not shrunk,
        gone=bool(outcomes & _GONE),
        compared=(whole(entry, "reference_files") or 0) > 0,
        volume="" if _MISMATCH in outcomes else text(entry, "volume"),
        message=text(entry, "message"),
    )

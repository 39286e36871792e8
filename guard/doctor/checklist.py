"""The incident's own checklist, answered for each guarded workload: yes, no, or unknown and what to run to know. Pure."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from guard.doctor.gate_log import GateWord
from guard.doctor.guards import Part, part, volume_name
from guard.doctor.inventory import Inventory, applications
from guard.doctor.kube import TEMPLATE, Kube, Side, Workload, same_namespace
from guard.doctor.rules.classes import leaves_the_class_open
from guard.doctor.spot import Exposure, exposure

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
    """The checklist of one workload."""

    subject: str
    path: str
    items: tuple[Item, ...]


def checklists(inventory: Inventory, words: tuple[GateWord, ...]) -> tuple[Checklist, ...]:
    """One checklist for each guarded workload, of the cluster's side where that was given; each with its own gate's word."""
    by_name: dict[tuple[str, str], list[Workload]] = defaultdict(list)
    for found in inventory.guarded:
        by_name[found.kube.kind, found.kube.name].append(found)
    chosen = [found for alike in by_name.values() for found in _once_each(alike)]
    return tuple(_checklist(inventory, found, _word_of(found, words, alone=not chosen[1:])) for found in chosen)


def _word_of(found: Workload, words: tuple[GateWord, ...], *, alone: bool) -> GateWord | None:
    """The last word of a workload's gate; one that names no volume is its own where it is alone."""
    names = {volume_name(box) for box in found.pod.all_containers if part(box) is Part.GATE} - {""}
    own = [word for word in words if (word.volume in names if word.volume and names else alone)]
    return own[-1] if own else None


def _once_each(alike: list[Workload]) -> list[Workload]:
    """Of workloads of one kind and name one for each namespace: the cluster's first, then whichever names its namespace."""
    chosen: list[Workload] = []
    for found in sorted(alike, key=lambda found: (found.kube.side is not Side.LIVE, not found.kube.namespace)):
        if not any(same_namespace(found.kube.namespace, other.kube.namespace) for other in chosen):
            chosen.append(found)
    return chosen


def _checklist(inventory: Inventory, found: Workload, word: GateWord | None) -> Checklist:
    path = inventory.path_of(found)
    names = inventory.claims_meant(found)
    claims = [inventory.find(_PVC, found.kube.namespace, name, Side.LIVE) for name in names]
    # One line is for one claim: of a StatefulSet's the first that is not bound.
    open_ones = [claim for claim in claims if claim is not None and claim.text("status", "phase") != "Bound"]
    claim = next(iter((*open_ones, *claims)), None)
    name = claim.name if claim else next(iter(names), "")
    items = (
        _has_class(found, path, name, claim),
        _is_bound(found, name, claim),
        _is_mounted(inventory, found, path),
        _survives(found, word),
        _off_spot(inventory, found),
    )
    return Checklist(f"{found.kube}", path, items)


def _namespace(found: Workload) -> str:
    return found.kube.namespace or "NAMESPACE"


def _has_class(found: Workload, path: str, name: str, claim: Kube | None) -> Item:
    question = "the claim names a storage class"
    command = (
        f"kubectl get pvc {name or '-A'} -n {_namespace(found)} -o yaml"
        if name
        else f"kubectl get pvc -n {_namespace(found)}"
    )
    claim = _template_at(found, path) or claim
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


def _template_at(found: Workload, path: str) -> Kube | None:
    """The volumeClaimTemplate that makes the volume at the path; a StatefulSet's only one where none is mounted there."""
    volumes = [volume for box in applications(found) if (volume := found.pod.volume_at(box, path))]
    names = {volume.name for volume in volumes if volume.kind == TEMPLATE}
    if not volumes and len(found.claim_templates) == 1:
        names = set(found.claim_templates)
    return next((template for _, template in found.templates if template.name in names), None)


def _is_bound(found: Workload, name: str, claim: Kube | None) -> Item:
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
        f"kubectl get pvc {name} -n {_namespace(found)}".replace("  ", " "),
    )


def _is_mounted(inventory: Inventory, found: Workload, path: str) -> Item:
    question = f"the pod mounts it at {path}"
    pods = inventory.pods_of(found)
    for runner in (found, *pods):
        volumes = [volume for box in applications(runner) if (volume := runner.pod.volume_at(box, path))]
        if not volumes:
            return Item("mounted", question, Answer.NO, f"{runner.kube} ({runner.kube.side.value}) has no mount there")
        lasting = [volume for volume in volumes if volume.lasts]
        if not lasting:
            return Item(
                "mounted", question, Answer.NO, f"{runner.kube} has {volumes[0].kind or 'emptyDir'} there, not a claim"
            )
    if found.kube.side is Side.LIVE or pods:
        return Item(
            "mounted", question, Answer.YES, f"{found.kube}" + (f" and {len(pods)} of its pods" if pods else "")
        )
    kind = found.kube.kind.lower()
    command = f"kubectl get {kind} {found.kube.name} -n {_namespace(found)} -o json | guard doctor {found.kube.source} --live -"
    return Item("mounted", question, Answer.UNKNOWN, "the file has it; the applied object was not given", command)


def _survives(found: Workload, word: GateWord | None) -> Item:
    question = "the data survives a restart"
    name = next((box.name for box in found.pod.all_containers if part(box) is Part.GATE), "GATE")
    gate = f"kubectl logs {found.kube.kind.lower()}/{found.kube.name} -n {_namespace(found)} -c {name}"
    if word is None:
        return Item(
            "survives",
            question,
            Answer.UNKNOWN,
            "no log of its gate was given",
            f"{gate} > gate.log; guard doctor ... --logs gate.log",
        )
    if word.gone:
        return Item("survives", question, Answer.NO, word.message)
    if not word.passed:
        return Item("survives", question, Answer.UNKNOWN, word.message, gate)
    if not word.compared:
        return Item(
            "survives", question, Answer.UNKNOWN, f"no baseline yet: {word.message}", f"{gate} (after the next restart)"
        )
    return Item("survives", question, Answer.YES, word.message)


def _off_spot(inventory: Inventory, found: Workload) -> Item:
    question = "the pod is kept off spot nodes"
    verdict, why, _ = exposure(found, inventory)
    if verdict is Exposure.UNKNOWN:
        return Item("off-spot", question, Answer.UNKNOWN, why, "kubectl get nodes -L cloud.google.com/gke-spot")
    return Item("off-spot", question, Answer.NO if verdict is Exposure.YES else Answer.YES, why)


def answers(lists: tuple[Checklist, ...]) -> Iterator[Item]:
    """All items of all checklists."""
    for checklist in lists:
        yield from checklist.items

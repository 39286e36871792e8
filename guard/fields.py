"""The fields of a log line about a volume. Pure."""

from collections.abc import Mapping
from typing import Any

from guard.volume.hold import Hold
from guard.volume.loss import Loss, Verdict
from guard.volume.marker import Marker
from guard.volume.observation import InvalidDocument, Look
from guard.volume.verdict import Inspection, usable_ledger

#: Entries that are named in a field.
ENTRIES = 20


def facts(inspection: Inspection) -> Mapping[str, Any]:
    """Returns the fields of a volume: which one, on what, how much, and when it was last seen."""
    look = inspection.look
    found: dict[str, Any] = {"path": look.path}
    if isinstance(look.marker, Marker):
        found |= {"volume": look.marker.volume, "marker_id": look.marker.marker_id}
    if look.mount is not None:
        found |= {
            "kind": look.kind.value,
            "device": look.mount.device,
            "fstype": look.mount.fstype,
            "source": look.mount.source or None,
        }
    if look.nested:
        found["nested_mounts"] = list(look.nested[:ENTRIES])
    found |= _content_facts(inspection) | _ledger_facts(look)
    return found | hold_facts(look.hold)


def hold_facts(hold: Hold | InvalidDocument | None) -> dict[str, Any]:
    """Returns who holds a volume, as fields; none where nobody does or it can't be read."""
    if not isinstance(hold, Hold):
        return {}
    return {"held_by": hold.by, "held_since": hold.since, "hold_reason": hold.reason}


def _content_facts(inspection: Inspection) -> dict[str, Any]:
    count, loss = inspection.count, inspection.judgement.loss
    found: dict[str, Any] = {}
    if count is not None and not count.fault:
        found["files" if count.exact else "files_at_least"] = count.files
        if count.unreadable:
            found |= {"unreadable": list(count.unreadable[:ENTRIES]), "unreadable_folders": count.unreadable_folders}
    if loss and loss.checked:
        found |= {"checked": loss.checked, "kept": loss.kept}
    if loss and loss.verdict is not Verdict.KEPT:
        found |= loss_facts(loss)
    return found


def loss_facts(loss: Loss) -> dict[str, Any]:
    """Returns the fields of a loss."""
    return {
        "before": loss.before,
        "known": loss.known,
        "known_lost": loss.known_lost,
        "lost_files": loss.lost,
        "replaced": loss.replaced,
        "entries": {entry.name: [entry.before, entry.after] for entry in loss.entries[:ENTRIES]},
    }


def _ledger_facts(look: Look) -> dict[str, Any]:
    ledger = usable_ledger(look)
    if ledger is None:
        return {}
    found: dict[str, Any] = {
        "reference_files": ledger.reference.files,
        "generation": ledger.generation,
        "last_seen": ledger.written,
        "last_pod": ledger.pod,
        "last_node": ledger.node,
    }
    if ledger.incident:
        found |= {"incident": ledger.incident.incident_id, "incident_since": ledger.incident.since}
    return found

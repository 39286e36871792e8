"""The ledger: what the volume held when it was last seen, which losses are judged against, and the open incident. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from guard.volume import json_document
from guard.volume.json_document import DocumentError
from guard.volume.paths import is_below
from guard.volume.sample import SIZE, Part, SampledFile

SCHEMA = 1
#: The largest ledger that is read, in bytes.
LIMIT = 1024 * 1024
#: Bytes that the sample's rows may take, and that the entries may; the rest is for what newer guards add.
_SAMPLE_LIMIT = 640 * 1024
_ENTRIES_LIMIT = 128 * 1024

#: The longest reason of an incident, in characters.
_REASON_LIMIT = 1024

_PARTS = {part.value[0]: part for part in Part}
_ROW = ("path", "size", "mtime", "inode", "since", "part")


@dataclass(frozen=True)
class Reference:
    """What is known of the content.

    Attributes:
        files: Names that are not directories and not ignored.
        counted: When they were counted, RFC 3339.
        sample: The files that are remembered by path.
        depth: How many levels down the entries lie; 0 where there are none.
        entry_count: How many entries there are.
        entries: Files of each entry that the sample has files of, by path relative to the volume.
        declared: When a person last declared the content right (adopt, accept, release), RFC 3339; empty where nobody did.
    """

    files: int
    counted: str
    sample: tuple[SampledFile, ...] = ()
    depth: int = 0
    entry_count: int = 0
    entries: Mapping[str, int] = field(default_factory=dict)
    declared: str = ""

    @property
    def complete(self) -> bool:
        """Whether the sample is every file."""
        return self.files <= len(self.sample)


@dataclass(frozen=True)
class LedgerIncident:
    """An open loss.

    Attributes:
        incident_id: The same in every pod.
        event: The event that opened it, `volume.wiped`.
        since: The first sign, RFC 3339.
        before: Files before it.
        reason: What was lost, as a clause.
    """

    incident_id: str
    event: str
    since: str
    before: int
    reason: str


@dataclass(frozen=True)
class Ledger:
    """`.volume-guard/ledger.json`.

    Attributes:
        marker_id: The marker that this ledger belongs to.
        generation: Grows by one with every accept, release and recovery; an incident's ID is made of it.
        reference: What losses are judged against.
        written: RFC 3339.
        pod: The pod that wrote it, where known.
        node: Its node, where known.
        incident: The open loss; None where there is none.
    """

    marker_id: str
    generation: int
    reference: Reference
    written: str
    pod: str | None = None
    node: str | None = None
    incident: LedgerIncident | None = None


@lru_cache(maxsize=1)  # a watcher reads the same one at every look
def parse(text: bytes) -> Ledger:
    """Reads a ledger; fields of newer guards are ignored.

    Raises:
        DocumentError: Anything that is not a ledger of schema 1.
    """
    found = json_document.parse_object(text, limit=LIMIT)
    json_document.schema_of(found, newest=SCHEMA)
    return Ledger(
        marker_id=json_document.string(found, "marker"),
        generation=json_document.integer(found, "generation", least=1),
        reference=_reference(json_document.mapping(found, "reference")),
        written=json_document.timestamp(found, "written"),
        pod=json_document.optional_string(found, "pod"),
        node=json_document.optional_string(found, "node"),
        incident=_incident(found),
    )


def _reference(found: dict[str, Any]) -> Reference:
    entries = json_document.mapping(found, "entries")
    rows = found.get("sample")
    if not isinstance(rows, list) or len(rows) > SIZE:
        raise DocumentError(f'"sample" is not a list of at most {SIZE} files')
    return Reference(
        files=json_document.integer(found, "files"),
        counted=json_document.timestamp(found, "counted"),
        sample=tuple(_file(row) for row in rows),
        depth=json_document.integer(found, "depth"),
        entry_count=json_document.integer(found, "entry_count"),
        entries={name: json_document.integer(entries, name) for name in entries},
        declared=json_document.timestamp(found, "declared") if found.get("declared") else "",
    )


def _file(row: Any) -> SampledFile:
    if not isinstance(row, list) or len(row) != len(_ROW):
        raise DocumentError(f'a row of "sample" is not a list of {len(_ROW)}: {", ".join(_ROW)}')
    fields = dict(zip(_ROW, row, strict=True))
    path, part = fields["path"], _PARTS.get(str(fields["part"]))
    if not isinstance(path, str) or not is_below(path):
        raise DocumentError('a path of "sample" does not lie on the volume')
    if part is None:
        raise DocumentError(f'a part of "sample" is none of {", ".join(_PARTS)}')
    mtime, since = fields["mtime"], fields["since"]
    if type(mtime) is not int or type(since) is not int:
        raise DocumentError('a time of "sample" is not a whole number')
    size, inode = json_document.integer(fields, "size"), json_document.integer(fields, "inode", below=1 << 64)
    return SampledFile(path, size, mtime, inode, since, part)


def _incident(found: dict[str, Any]) -> LedgerIncident | None:
    if found.get("incident") is None:
        return None
    incident = json_document.mapping(found, "incident")
    return LedgerIncident(
        incident_id=json_document.string(incident, "id"),
        event=json_document.string(incident, "event"),
        since=json_document.timestamp(incident, "since"),
        before=json_document.integer(incident, "before"),
        reason=json_document.string(incident, "reason", limit=_REASON_LIMIT),
    )


def render(ledger: Ledger) -> bytes:
    """Returns the ledger's text: never larger than what is read back, which costs the longest names first."""
    reference, incident = ledger.reference, ledger.incident
    rows = [[file.path, file.size, file.mtime, file.inode, file.since, file.part.value[0]] for file in reference.sample]
    return json_document.render_object(
        {
            "schema": SCHEMA,
            "marker": ledger.marker_id,
            "generation": ledger.generation,
            "written": ledger.written,
            "pod": ledger.pod,
            "node": ledger.node,
            "reference": {
                "files": reference.files,
                "counted": reference.counted,
                "declared": reference.declared or None,
                "depth": reference.depth,
                "entry_count": reference.entry_count,
                "entries": dict(_fitting([*reference.entries.items()], _ENTRIES_LIMIT)),
                "sample": _fitting(rows, _SAMPLE_LIMIT),
            },
            "incident": incident
            and {
                "id": incident.incident_id,
                "event": incident.event,
                "since": incident.since,
                "before": incident.before,
                "reason": incident.reason[:_REASON_LIMIT],
            },
        }
    )


def _fitting(rows: list[Any], room: int) -> list[Any]:
    """As many of the shortest rows as fit into so many bytes, in their order."""
    sizes = [len(json.dumps(row)) + len(", ") for row in rows]
    kept = set()
    for place in sorted(range(len(rows)), key=sizes.__getitem__):
        room -= sizes[place]
        if room < 0:
            break
        kept.add(place)
    return [row for place, row in enumerate(rows) if place in kept]

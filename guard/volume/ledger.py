"""The ledger: what the volume held when it was last seen, and what losses are judged against. Pure."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from guard.volume import json_document
from guard.volume.json_document import DocumentError

_Item = TypeVar("_Item")

SCHEMA = 1
#: The largest ledger that is read, in bytes.
LIMIT = 1024 * 1024
#: How many bytes of a ledger its entries may take, and its unreadable folders; the rest is for what newer guards add.
_ENTRIES_LIMIT = 768 * 1024
_UNREADABLE_LIMIT = 64 * 1024


@dataclass(frozen=True)
class Reference:
    """What losses are judged against.

    Attributes:
        files: Names that are not directories.
        entries: Files of each entry (a tenant, or a skill of the only tenant), by path relative to the volume.
        empty: How many of the files were empty.
        recorded: RFC 3339.
        unreadable: Folders that could not be read, and of which no file is among those: they have no count to keep.
    """

    files: int
    entries: Mapping[str, int]
    empty: int
    recorded: str
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ledger:
    """`.volume-guard/ledger.json`.

    Attributes:
        marker_id: The marker that this ledger belongs to.
        generation: Grows by one with every accept and release; an incident's ID is made of it.
        reference: What losses are judged against.
        files: Files when it was written.
        pod: The pod that wrote it, where known.
        node: Its node, where known.
        written: RFC 3339.
    """

    marker_id: str
    generation: int
    reference: Reference
    files: int
    written: str
    pod: str | None = None
    node: str | None = None


def parse(text: bytes) -> Ledger:
    """Reads a ledger; fields of newer guards are ignored.

    Raises:
        DocumentError: Anything that is not a ledger of schema 1.
    """
    found = json_document.parse_object(text, limit=LIMIT)
    json_document.schema_of(found, newest=SCHEMA)
    reference = found.get("reference")
    if not isinstance(reference, dict):
        raise DocumentError('"reference" is not an object')
    entries = reference.get("entries")
    if not isinstance(entries, dict):
        raise DocumentError('"reference.entries" is not an object')
    return Ledger(
        marker_id=json_document.string(found, "marker"),
        generation=json_document.integer(found, "generation", least=1),
        reference=Reference(
            files=json_document.integer(reference, "files"),
            entries={name: json_document.integer(entries, name) for name in entries},
            empty=json_document.integer(reference, "empty"),
            recorded=json_document.timestamp(reference, "recorded"),
            unreadable=json_document.optional_strings(reference, "unreadable"),
        ),
        files=json_document.integer(found, "files"),
        pod=json_document.optional_string(found, "pod"),
        node=json_document.optional_string(found, "node"),
        written=json_document.timestamp(found, "written"),
    )


def render(ledger: Ledger) -> bytes:
    """The ledger as it stands on the volume: never larger than what is read back (the smallest entries go first)."""
    return json_document.render_object(
        {
            "schema": SCHEMA,
            "marker": ledger.marker_id,
            "generation": ledger.generation,
            "reference": {
                "files": ledger.reference.files,
                "entries": _bounded(ledger.reference.entries),
                "empty": ledger.reference.empty,
                "recorded": ledger.reference.recorded,
                **_unreadable(ledger.reference),
            },
            "files": ledger.files,
            "pod": ledger.pod,
            "node": ledger.node,
            "written": ledger.written,
        }
    )


def _unreadable(reference: Reference) -> dict[str, list[str]]:
    """As a field; absent where there are none, and those that would take too much room are left out."""
    kept = _fitting(reference.unreadable, _UNREADABLE_LIMIT, lambda name: len(json.dumps(name)) + len(", "))
    return {"unreadable": kept} if kept else {}


def _bounded(entries: Mapping[str, int]) -> dict[str, int]:
    largest = sorted(entries.items(), key=lambda entry: (-entry[1], entry[0]))
    return dict(
        _fitting(largest, _ENTRIES_LIMIT, lambda entry: len(json.dumps(entry[0])) + len(str(entry[1])) + len(": , "))
    )


def _fitting(items: Iterable[_Item], room: int, size: Callable[[_Item], int]) -> list[_Item]:
    """As many of the first as fit into so many bytes."""
    kept = []
    for item in items:
        room -= size(item)
        if room < 0:
            break
        kept.append(item)
    return kept

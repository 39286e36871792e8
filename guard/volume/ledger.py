"""The ledger: what the volume held when it was last seen, which losses are judged against, and the open incident. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from guard.volume.json_document import (
    OBJECT,
    TIME,
    DocumentError,
    Format,
    Rule,
    must_be,
    number,
    object_of,
    optional,
    text,
)
from guard.volume.paths import is_below
from guard.volume.sample import SIZE, Part, SampledFile
from guard.volume.timestamp import seconds_of

#: A ledger that is older, in seconds, has no watcher: it writes one every 15 minutes at least.
UNWATCHED = 16 * 60
#: Bytes that the sample's rows may take, and that the entries may; the rest is for what newer guards add.
_SAMPLE_LIMIT = 640 * 1024
_ENTRIES_LIMIT = 128 * 1024

#: The longest reason of an incident, in characters.
_REASON_LIMIT = 1024

_PARTS = {part.value[0]: part for part in Part}
_WHOLE = must_be("a whole number", lambda value: type(value) is int)
_LETTER = must_be(f"one of {', '.join(_PARTS)}", lambda value: isinstance(value, str) and value in _PARTS)
#: A sampled file is a row of these.
_ROW = {
    "path": must_be("a path on the volume", lambda value: isinstance(value, str) and is_below(value)),
    "size": number(),
    "mtime": _WHOLE,
    "inode": number(below=1 << 64),
    "since": _WHOLE,
    "part": Rule(lambda value, name: _PARTS[_LETTER.read(value, name)]),
}
_COUNT = number()
_DECLARED = Rule(lambda value, name: TIME.read(value, name) if value else "", lambda value: value or None)


def _read_sample(value: Any, name: str) -> tuple[SampledFile, ...]:
    if not isinstance(value, list) or len(value) > SIZE:
        raise DocumentError(f'"{name}" is not a list of at most {SIZE} files')
    return tuple(map(_read_file, value))


def _read_file(row: Any) -> SampledFile:
    if not isinstance(row, list) or len(row) != len(_ROW):
        raise DocumentError(f'a row of "sample" is not a list of {len(_ROW)}: {", ".join(_ROW)}')
    return SampledFile(**{key: rule.read(value, key) for (key, rule), value in zip(_ROW.items(), row, strict=True)})


def _write_sample(sample: Sequence[SampledFile]) -> list[Any]:
    rows = [[file.path, file.size, file.mtime, file.inode, file.since, file.part.value[0]] for file in sample]
    return _fitting(rows, _SAMPLE_LIMIT)


def _read_entries(value: Any, name: str) -> dict[str, int]:
    return {entry: _COUNT.read(count, entry) for entry, count in OBJECT.read(value, name).items()}


def _write_entries(entries: Mapping[str, int]) -> dict[str, int]:
    return dict(_fitting([*entries.items()], _ENTRIES_LIMIT))


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

    files: Annotated[int, _COUNT]
    counted: Annotated[str, TIME]
    sample: Annotated[tuple[SampledFile, ...], Rule(_read_sample, _write_sample)] = ()
    depth: Annotated[int, _COUNT] = 0
    entry_count: Annotated[int, _COUNT] = 0
    entries: Annotated[Mapping[str, int], Rule(_read_entries, _write_entries)] = field(default_factory=dict)
    declared: Annotated[str, _DECLARED] = ""

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

    incident_id: Annotated[str, text(key="id")]
    event: Annotated[str, text()]
    since: Annotated[str, TIME]
    before: Annotated[int, _COUNT]
    reason: Annotated[str, replace(text(_REASON_LIMIT), write=lambda reason: reason[:_REASON_LIMIT])]


@dataclass(frozen=True)
class Ledger:
    """`.volume-guard/ledger.json`. Never written larger than what is read back, which costs the longest names first.

    Attributes:
        marker_id: The marker that this ledger belongs to.
        generation: Grows by one with every accept, release and recovery; an incident's ID is made of it.
        reference: What losses are judged against.
        written: RFC 3339.
        pod: The pod that wrote it, where known.
        node: Its node, where known.
        incident: The open loss; None where there is none.
    """

    marker_id: Annotated[str, text(key="marker")]
    generation: Annotated[int, number(least=1)]
    reference: Annotated[Reference, object_of(Reference)]
    written: Annotated[str, TIME]
    pod: Annotated[str | None, optional(text())] = None
    node: Annotated[str | None, optional(text())] = None
    incident: Annotated[LedgerIncident | None, optional(object_of(LedgerIncident))] = None

    def is_young(self, now: float) -> bool:
        """Returns whether somebody wrote it lately, `now` in seconds since 1970; one of the future is not young."""
        return 0 <= now - seconds_of(self.written) < UNWATCHED


FORMAT = Format("ledger.json", Ledger, limit=1024 * 1024)

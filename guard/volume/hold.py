"""The hold: announced work on the volume (restore, migration). Pure."""

from dataclasses import dataclass

from guard.volume import json_document

SCHEMA = 1
#: The largest hold that is read, in bytes.
LIMIT = 64 * 1024
#: The longest reason, in characters.
REASON_LIMIT = 1024
#: How the reason of a restore begins: by it an interrupted one is known.
RESTORE = "restore of snapshot"


@dataclass(frozen=True)
class Hold:
    """`.volume-guard/hold.json`.

    Attributes:
        by: The pod or host that announced the work.
        since: RFC 3339.
        reason: Why, in the words of whoever holds.
        generation: Of the ledger when it was written: a hold of an older one came out of an archive.
    """

    by: str
    since: str
    reason: str
    generation: int = 0

    @property
    def restores(self) -> bool:
        """Whether a restore set it, which half-restored data may lie behind."""
        return self.reason.startswith(RESTORE)


def parse(text: bytes) -> Hold:
    """Reads a hold; fields of newer guards are ignored.

    Raises:
        DocumentError: Anything that is not a hold of schema 1. It holds all the same: see `judge`.
    """
    found = json_document.parse_object(text, limit=LIMIT)
    json_document.schema_of(found, newest=SCHEMA)
    return Hold(
        by=json_document.string(found, "by"),
        since=json_document.timestamp(found, "since"),
        reason=json_document.string(found, "reason", limit=REASON_LIMIT),
        generation=json_document.integer(found, "generation"),
    )


def render(hold: Hold) -> bytes:
    """The hold as it stands on the volume."""
    return json_document.render_object(
        {"schema": SCHEMA, "by": hold.by, "since": hold.since, "reason": hold.reason, "generation": hold.generation}
    )

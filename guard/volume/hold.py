"""The hold: announced work on the volume (restore, migration). Pure."""

from dataclasses import dataclass
from typing import Annotated

from guard.volume.json_document import TIME, Format, number, text

#: The longest reason, in characters.
REASON_LIMIT = 1024
#: How the reason of a restore begins: by it an interrupted one is known.
RESTORE = "restore of snapshot"


@dataclass(frozen=True)
class Hold:
    """`.volume-guard/hold.json`. One that can't be read holds all the same: see `judge`.

    Attributes:
        by: The pod or host that announced the work.
        since: RFC 3339.
        reason: Why, in the words of whoever holds.
        generation: Of the ledger when it was written: a hold of an older one came out of an archive.
    """

    by: Annotated[str, text()]
    since: Annotated[str, TIME]
    reason: Annotated[str, text(REASON_LIMIT)]
    generation: Annotated[int, number()] = 0

    @property
    def restores(self) -> bool:
        """Whether a restore set it, which half-restored data may lie behind."""
        return self.reason.startswith(RESTORE)


FORMAT = Format("hold.json", Hold, limit=64 * 1024)

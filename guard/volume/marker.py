"""The marker: which volume this is. Pure; only `adopt` has one written."""

import re
from dataclasses import dataclass
from typing import Annotated

from guard.volume.json_document import TIME, Format, must_be, text

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_ID = must_be("a UUID", lambda value: isinstance(value, str) and bool(_UUID.fullmatch(value)), key="id")


@dataclass(frozen=True)
class Marker:
    """`.volume-guard/marker.json`. It names content, not a disk: a clone or snapshot passes by design.

    Attributes:
        volume: The name that GUARD_VOLUME is compared with, exactly.
        marker_id: A UUID, new with every adoption.
        created: RFC 3339.
    """

    volume: Annotated[str, text()]
    marker_id: Annotated[str, _ID]
    created: Annotated[str, TIME]


FORMAT = Format("marker.json", Marker, limit=64 * 1024)

"""The marker: which volume this is. Pure; only `adopt` has one written."""

import re
from dataclasses import dataclass

from guard.volume import json_document
from guard.volume.json_document import DocumentError

SCHEMA = 1
#: The largest marker that is read, in bytes.
LIMIT = 64 * 1024

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


@dataclass(frozen=True)
class Marker:
    """`.volume-guard/marker.json`. It names content, not a disk: a clone or snapshot passes by design.

    Attributes:
        volume: The name that GUARD_VOLUME is compared with, exactly.
        marker_id: A UUID, new with every adoption.
        created: RFC 3339.
    """

    volume: str
    marker_id: str
    created: str


def parse(text: bytes) -> Marker:
    """Reads a marker; fields of newer guards are ignored.

    Raises:
        DocumentError: Anything that is not a marker of schema 1.
    """
    found = json_document.parse_object(text, limit=LIMIT)
    json_document.schema_of(found, newest=SCHEMA)
    marker_id = json_document.string(found, "id")
    if not _UUID.fullmatch(marker_id):
        raise DocumentError('"id" is not a UUID')
    return Marker(json_document.string(found, "volume"), marker_id, json_document.timestamp(found, "created"))


def render(marker: Marker) -> bytes:
    """The marker as it stands on the volume."""
    return json_document.render_object(
        {"schema": SCHEMA, "volume": marker.volume, "id": marker.marker_id, "created": marker.created}
    )

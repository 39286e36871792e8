"""A JSON object read as hostile input: bounded, strict, never a traceback. Pure; the bytes come from `look`."""

import json
import re
from datetime import datetime
from typing import Any

#: Names in markers: Kubernetes' longest object name.
NAME_LIMIT = 253

#: So much of a key is quoted: in a ledger keys are foreign names.
_KEY_SHOWN = 64

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class DocumentError(ValueError):
    """What is wrong with a document, as a clause for a person."""


class FutureSchemaError(DocumentError):
    """A newer guard wrote it: nothing is wrong with it, and it must not be replaced."""


def parse_object(text: bytes, *, limit: int) -> dict[str, Any]:
    """Reads one JSON object.

    Args:
        text: At most limit + 1 bytes of the file.
        limit: The largest size allowed, in bytes.

    Raises:
        DocumentError: Too large, not UTF-8, not JSON, too deep, or not an object.
    """
    if len(text) > limit:
        raise DocumentError(f"larger than {limit} bytes")
    if not text.strip():
        raise DocumentError("empty")
    try:
        found = json.loads(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DocumentError(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise DocumentError(f"not JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    except (RecursionError, ValueError):  # nested too deep, or a number of more than 4,300 digits
        raise DocumentError("JSON nested too deep or with a number too long") from None
    if not isinstance(found, dict):
        raise DocumentError("JSON, but not an object")
    return found


def schema_of(document: dict[str, Any], *, newest: int) -> int:
    """The document's schema number.

    Raises:
        DocumentError: Missing, or not a number from 1.
        FutureSchemaError: Newer than this guard knows.
    """
    schema = integer(document, "schema", least=1)
    if schema > newest:
        raise FutureSchemaError(
            f"schema {schema} is of the future: this guard reads up to {newest}; use the newer guard"
        )
    return schema


def mapping(document: dict[str, Any], key: str) -> dict[str, Any]:
    """An object.

    Raises:
        DocumentError: Missing or something else.
    """
    found = document.get(key)
    if not isinstance(found, dict):
        raise DocumentError(f'"{key}" is not an object')
    return found


def integer(document: dict[str, Any], key: str, *, least: int = 0, below: int = 1 << 63) -> int:
    """A whole number of at least `least`, and below `below`.

    Raises:
        DocumentError: Missing or something else.
    """
    found = document.get(key)
    if not isinstance(found, int) or isinstance(found, bool) or not least <= found < below:
        raise DocumentError(f'"{key[:_KEY_SHOWN]}" is not a whole number of at least {least}')
    return found


def string(document: dict[str, Any], key: str, *, limit: int = NAME_LIMIT) -> str:
    """A text of 1 to `limit` characters.

    Raises:
        DocumentError: Missing, empty, too long or something else.
    """
    found = document.get(key)
    if not isinstance(found, str) or not 1 <= len(found) <= limit:
        raise DocumentError(f'"{key}" is not a text of 1 to {limit} characters')
    return found


def optional_string(document: dict[str, Any], key: str, *, limit: int = NAME_LIMIT) -> str | None:
    """A text, or None where it is absent or null.

    Raises:
        DocumentError: Present, but not a text within the limit.
    """
    return None if document.get(key) is None else string(document, key, limit=limit)


def timestamp(document: dict[str, Any], key: str) -> str:
    """An RFC 3339 date and time, as it stands.

    Raises:
        DocumentError: Missing or malformed.
    """
    found = document.get(key)
    if isinstance(found, str) and _RFC3339.fullmatch(found):
        try:
            datetime.fromisoformat(found.upper())
        except ValueError:
            pass
        else:
            return found
    raise DocumentError(f'"{key}" is not an RFC 3339 time')


def render_object(document: dict[str, Any]) -> bytes:
    """One line of JSON in ASCII: names that are not UTF-8 stand as escaped surrogates and survive the way back."""
    return json.dumps(document, ensure_ascii=True, separators=(", ", ": ")).encode("ascii") + b"\n"

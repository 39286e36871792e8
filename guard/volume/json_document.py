"""Documents on the volume: JSON read as hostile input, bounded and strict, never a traceback. Pure; the bytes come from `look`.

A document is a dataclass whose fields are annotated with their rules.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

#: Names in markers: Kubernetes' longest object name.
NAME_LIMIT = 253
#: The only schema so far, of every document.
SCHEMA = 1

#: So much of a key is quoted: in a ledger keys are foreign names.
_KEY_SHOWN = 64

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

_Document_co = TypeVar("_Document_co", covariant=True)


class DocumentError(ValueError):
    """What is wrong with a document, as a clause for a person."""


class FutureSchemaError(DocumentError):
    """A newer guard wrote it: nothing is wrong with it, and it must not be replaced."""


@dataclass(frozen=True)
class Rule:
    """How a field is read and written.

    Attributes:
        read: Returns what a value of a document stands for; the second argument names the field in a DocumentError.
        write: Returns what is written for a value.
        key: The field's name in the document, where it is not the attribute's.
    """

    read: Callable[[Any, str], Any]
    write: Callable[[Any], Any] = lambda value: value
    key: str = ""


def must_be(what: str, holds: Callable[[Any], bool], key: str = "") -> Rule:
    """Returns the rule of a value that is written as it is: what it must be, as a clause, and whether it is that."""

    def read(value: Any, name: str) -> Any:
        if not holds(value):
            raise DocumentError(f'"{name[:_KEY_SHOWN]}" is not {what}')
        return value

    return Rule(read, key=key)


def text(limit: int = NAME_LIMIT, key: str = "") -> Rule:
    """Returns the rule of a text of 1 to `limit` characters."""
    what = f"a text of 1 to {limit} characters"
    return must_be(what, lambda value: isinstance(value, str) and 1 <= len(value) <= limit, key)


def number(least: int = 0, below: int = 1 << 63) -> Rule:
    """Returns the rule of a whole number of at least `least`, and below `below`."""
    what = f"a whole number of at least {least}"
    return must_be(what, lambda value: type(value) is int and least <= value < below)


def optional(rule: Rule) -> Rule:
    """Returns the rule of what may be absent or null: it is None then."""
    return Rule(
        lambda value, name: None if value is None else rule.read(value, name),
        lambda value: None if value is None else rule.write(value),
        rule.key,
    )


def object_of(of: type) -> Rule:
    """Returns the rule of an object with such fields; those of newer guards are ignored."""

    def read(value: Any, name: str) -> Any:
        found = OBJECT.read(value, name)
        return of(**{field: rule.read(found.get(key), key) for field, key, rule in _rules(of)})

    return Rule(read, lambda value: {key: rule.write(getattr(value, field)) for field, key, rule in _rules(of)})


def _rules(of: type) -> list[tuple[str, str, Rule]]:
    rules = ((name, annotated.__metadata__[0]) for name, annotated in of.__annotations__.items())
    return [(name, rule.key or name, rule) for name, rule in rules]


def _is_time(value: Any) -> bool:
    try:
        return bool(isinstance(value, str) and _RFC3339.fullmatch(value) and datetime.fromisoformat(value.upper()))
    except ValueError:
        return False


OBJECT = must_be("an object", lambda value: isinstance(value, dict))
TIME = must_be("an RFC 3339 time", _is_time)
_SCHEMA = number(least=1)


@dataclass(frozen=True)
class Format(Generic[_Document_co]):
    """A kind of document: its file in `.volume-guard/`, its class, and the largest size that is read, in bytes."""

    name: str
    of: type[_Document_co]
    limit: int

    def parse(self, text: bytes) -> _Document_co:
        """Reads a document, from at most limit + 1 bytes of its file.

        Raises:
            DocumentError: Anything that is no document of schema 1.
        """
        found = parse_object(text, limit=self.limit)
        schema = _SCHEMA.read(found.get("schema"), "schema")
        if schema > SCHEMA:
            raise FutureSchemaError(
                f"schema {schema} is of the future: this guard reads up to {SCHEMA}; use the newer guard"
            )
        document: _Document_co = object_of(self.of).read(found, self.name)
        return document

    def render(self, document: object) -> bytes:
        """Returns the text of a document: one line of ASCII; names that are not UTF-8 are escaped surrogates in it."""
        fields = {"schema": SCHEMA, **object_of(self.of).write(document)}
        return json.dumps(fields, ensure_ascii=True, separators=(", ", ": ")).encode("ascii") + b"\n"


def parse_object(text: bytes, *, limit: int) -> dict[str, Any]:
    """Reads one JSON object of at most so many bytes; anything else is a DocumentError."""
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

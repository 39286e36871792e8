"""The hold: announced work, read as hostile input like every document on the volume."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.volume import hold
from guard.volume.hold import Hold
from guard.volume.json_document import DocumentError

GOOD: dict[str, Any] = {
    "schema": 1,
    "by": "restore-job",
    "since": "2026-11-24T18:27:01Z",
    "reason": "월요일 백업 복원",
    "generation": 3,
}


def text_of(**changed: Any) -> bytes:
    return json.dumps(GOOD | changed).encode()


def read(text: bytes) -> Hold | DocumentError:
    try:
        return hold.FORMAT.parse(text)
    except DocumentError as error:
        return error


def test_a_hold_says_by_whom_since_when_and_why() -> None:
    assert hold.FORMAT.parse(text_of()) == Hold(GOOD["by"], GOOD["since"], GOOD["reason"], 3)


def test_fields_of_newer_guards_are_ignored() -> None:
    assert hold.FORMAT.parse(text_of(until="2026-11-25T00:00:00Z")) == hold.FORMAT.parse(text_of())


@pytest.mark.parametrize("key", GOOD)
@pytest.mark.parametrize("found", [None, "", [], {}, True, -1, "x" * 1025], ids=repr)
def test_a_field_of_the_wrong_kind_is_refused_and_named(key: str, found: Any) -> None:
    with pytest.raises(DocumentError, match=f'"{key}"'):
        hold.FORMAT.parse(text_of(**{key: found}))


def test_a_hold_of_the_future_is_refused() -> None:
    with pytest.raises(DocumentError, match="of the future"):
        hold.FORMAT.parse(text_of(schema=2))


def test_a_hold_beyond_the_limit_is_refused() -> None:
    with pytest.raises(DocumentError, match="larger than"):
        hold.FORMAT.parse(text_of(padding="x" * hold.FORMAT.limit))


_TEXTS = st.text(st.characters() | st.sampled_from('\udcff\n\x1b\\"'), min_size=1, max_size=253)


@settings(max_examples=60)
@given(st.builds(Hold, by=_TEXTS, since=st.just(GOOD["since"]), reason=_TEXTS.map(lambda text: (text * 9)[:1024])))
def test_any_hold_survives_writing_and_reading(written: Hold) -> None:
    text = hold.FORMAT.render(written)
    assert len(text) <= hold.FORMAT.limit
    assert hold.FORMAT.parse(text) == written


@settings(max_examples=60)
@given(st.binary(max_size=300))
def test_any_bytes_give_a_hold_or_the_readers_own_error(text: bytes) -> None:
    assert isinstance(read(text), Hold | DocumentError)

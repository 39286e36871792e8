"""The marker: identity read strictly, since whoever can write the volume wrote it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.volume import marker
from guard.volume.json_document import DocumentError
from guard.volume.marker import Marker

GOOD: dict[str, Any] = {
    "schema": 1,
    "volume": "claude-skills-dev",
    "id": "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11",
    "created": "2026-11-24T18:27:01Z",
}


def text_of(**changed: Any) -> bytes:
    return json.dumps(GOOD | changed).encode()


def read(text: bytes) -> Marker | DocumentError:
    try:
        return marker.FORMAT.parse(text)
    except DocumentError as error:
        return error


def test_a_marker_is_read_as_it_was_written() -> None:
    assert marker.FORMAT.parse(text_of()) == Marker(GOOD["volume"], GOOD["id"], GOOD["created"])


def test_the_marker_on_the_volume_has_exactly_the_fields_of_the_contract() -> None:
    text = marker.FORMAT.render(Marker(GOOD["volume"], GOOD["id"], GOOD["created"]))
    assert text == (
        b'{"schema": 1, "volume": "claude-skills-dev", "id": "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11", '
        b'"created": "2026-11-24T18:27:01Z"}\n'
    )


def test_fields_of_newer_guards_are_ignored() -> None:
    assert marker.FORMAT.parse(text_of(labels={"team": "skills"}, deep=[[[]]])) == marker.FORMAT.parse(text_of())


WRONG = {
    "a schema of the future": ({"schema": 2}, "of the future"),
    "a schema as text": ({"schema": "1"}, '"schema"'),
    "no name": ({"volume": None}, '"volume"'),
    "an empty name": ({"volume": ""}, '"volume"'),
    "a name that is too long": ({"volume": "x" * 254}, '"volume"'),
    "a name that is a number": ({"volume": 7}, '"volume"'),
    "an ID that is no UUID": ({"id": "0b0cbd0e"}, '"id" is not a UUID'),
    "an ID with a line end": ({"id": GOOD["id"] + "\n"}, '"id" is not a UUID'),
    "an ID in braces": ({"id": "{" + GOOD["id"] + "}"}, '"id" is not a UUID'),
    "an ID that climbs out of its folder": ({"id": "../../../../../../../etc/passwd/aaaa"}, '"id" is not a UUID'),
    "an ID in other digits": ({"id": GOOD["id"].replace("0", "\u0660")}, '"id" is not a UUID'),
    "no time": ({"created": None}, '"created"'),
    "a time as a number": ({"created": 1764009000}, '"created"'),
}


@pytest.mark.parametrize(("changed", "reason"), WRONG.values(), ids=WRONG.keys())
def test_a_field_of_the_wrong_kind_makes_the_marker_invalid(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        marker.FORMAT.parse(text_of(**changed))
    assert reason in str(refusal.value)


@pytest.mark.parametrize("key", GOOD)
def test_a_missing_field_makes_the_marker_invalid_and_is_named(key: str) -> None:
    with pytest.raises(DocumentError, match=f'"{key}"'):
        marker.FORMAT.parse(json.dumps({name: value for name, value in GOOD.items() if name != key}).encode())


def test_a_marker_cut_anywhere_is_invalid() -> None:
    whole = text_of()
    for end in range(len(whole)):
        with pytest.raises(DocumentError):
            marker.FORMAT.parse(whole[:end])


def test_a_marker_beyond_the_limit_is_invalid_however_well_formed() -> None:
    with pytest.raises(DocumentError, match="larger than 65536 bytes"):
        marker.FORMAT.parse(text_of(padding="x" * marker.FORMAT.limit))


def test_a_marker_saved_by_a_careless_editor_is_invalid() -> None:
    with pytest.raises(DocumentError, match="not JSON"):
        marker.FORMAT.parse(b"\xef\xbb\xbf" + text_of())


def test_the_last_of_two_equal_fields_counts_as_everywhere_in_json() -> None:
    assert marker.FORMAT.parse(text_of()[:-1] + b', "volume": "other"}').volume == "other"


_NAMES = st.text(st.characters() | st.sampled_from('\udcff\ud800\n\x1b\\"/ '), min_size=1, max_size=253)


@settings(max_examples=60)
@given(st.builds(Marker, volume=_NAMES, marker_id=st.uuids().map(str), created=st.just(GOOD["created"])))
def test_any_marker_survives_writing_and_reading(written: Marker) -> None:
    text = marker.FORMAT.render(written)
    assert len(text) <= marker.FORMAT.limit
    assert marker.FORMAT.parse(text) == written


_JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers())


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(sorted(GOOD)), _JSON))
def test_any_value_in_any_field_gives_a_marker_or_the_readers_own_error(changed: dict[str, Any]) -> None:
    found = read(text_of(**changed))
    if isinstance(found, Marker):
        assert 1 <= len(found.volume) <= 253
    else:
        assert isinstance(found, DocumentError)


@settings(max_examples=60)
@given(st.binary(max_size=300) | st.tuples(st.integers(0, 140), st.binary(max_size=4)))
def test_any_bytes_give_a_marker_or_the_readers_own_error(damage: bytes | tuple[int, bytes]) -> None:
    whole = text_of()
    text = damage if isinstance(damage, bytes) else whole[: damage[0]] + damage[1] + whole[damage[0] + 1 :]
    assert isinstance(read(text), Marker | DocumentError)

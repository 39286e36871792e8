"""A JSON object as hostile input: every byte gives a value or the reader's own error, in words for a person."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.volume.hold import Hold
from guard.volume.json_document import (
    TIME,
    DocumentError,
    Format,
    FutureSchemaError,
    number,
    optional,
    parse_object,
    text,
)

LIMIT = 64 * 1024

HOSTILE = {
    "nothing": (b"", "empty"),
    "white space": (b" \n\t ", "empty"),
    "one byte too many": (b" " * (LIMIT + 1), f"larger than {LIMIT} bytes"),
    "a truncated object": (b'{"schema": 1, "volume": "a', "not JSON"),
    "two objects": (b"{}{}", "not JSON"),
    "binary": (b"\x7fELF\x02\x01\x01\x00\xff", "not UTF-8 at byte 8"),
    "zeros after a crash": (b"\x00" * 4096, "not JSON"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "not JSON"),
    "UTF-16": ('{"schema": 1}'.encode("utf-16"), "not UTF-8"),
    "UTF-16 without a mark": ('{"schema": 1}'.encode("utf-16-le"), "not JSON"),
    "a lone surrogate as CESU-8": (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
    "lists 32,000 deep": (b"[" * 32_000 + b"]" * 32_000, "nested too deep"),
    "objects 10,000 deep": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "nested too deep"),
    "an unclosed nest": (b"[" * LIMIT, "nested too deep"),
    "a number of 5,000 digits": (b'{"schema": ' + b"9" * 5000 + b"}", "a number too long"),
    "a list": (b"[]", "not an object"),
    "a text": (b'"marker"', "not an object"),
    "null": (b"null", "not an object"),
    "a trailing comma": (b'{"a": 1,}', "not JSON"),
}


@pytest.mark.parametrize(("read", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_object_is_refused_with_its_reason(read: bytes, reason: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        parse_object(read, limit=LIMIT)
    assert reason in str(refusal.value)


def test_an_object_of_exactly_the_limit_is_read() -> None:
    assert parse_object(b"{}".ljust(LIMIT), limit=LIMIT) == {}


FORMAT = Format("hold.json", Hold, limit=LIMIT)
HOLD: dict[str, Any] = {
    "schema": 1,
    "by": "restore-job",
    "since": "2026-11-24T18:27:01Z",
    "reason": "migration",
    "generation": 3,
}


@pytest.mark.parametrize("schema", [2, 3, 10**18])
def test_a_schema_of_the_future_asks_for_the_newer_guard(schema: int) -> None:
    with pytest.raises(FutureSchemaError, match="of the future: this guard reads up to 1; use the newer guard"):
        FORMAT.parse(json.dumps(HOLD | {"schema": schema}).encode())


NO_NUMBERS: list[Any] = [None, True, False, 1.0, -1, "1", [], {}, 2**63, float("nan"), float("inf")]


@pytest.mark.parametrize("found", [*NO_NUMBERS, 0], ids=repr)
def test_a_schema_that_is_no_number_from_1_is_refused(found: Any) -> None:
    with pytest.raises(DocumentError, match='"schema" is not a whole number of at least 1'):
        FORMAT.parse(json.dumps(HOLD | {"schema": found}).encode())


@pytest.mark.parametrize("found", NO_NUMBERS, ids=repr)
def test_only_a_whole_number_in_range_is_a_count(found: Any) -> None:
    with pytest.raises(DocumentError, match='"files" is not a whole number of at least 0'):
        number().read(found, "files")


@pytest.mark.parametrize("found", [0, 1, 2**63 - 1])
def test_a_count_is_read_exactly(found: int) -> None:
    assert number().read(found, "files") == found


@pytest.mark.parametrize("found", [None, "", 1, True, [], {}, "x" * 254], ids=repr)
def test_only_a_text_of_1_to_253_characters_is_a_name(found: Any) -> None:
    with pytest.raises(DocumentError, match='"volume" is not a text of 1 to 253 characters'):
        text().read(found, "volume")


@pytest.mark.parametrize("found", ["x", "x" * 253, "데이터", " ", "\udcff"], ids=repr)
def test_a_name_is_read_as_it_stands(found: str) -> None:
    assert text().read(found, "volume") == found


@pytest.mark.parametrize("found", [None, "skills-0"])
def test_an_optional_name_may_be_null(found: str | None) -> None:
    assert optional(text()).read(found, "pod") == found


def test_an_optional_name_that_is_there_must_be_a_name() -> None:
    with pytest.raises(DocumentError):
        optional(text()).read(7, "pod")


@pytest.mark.parametrize(
    "found",
    [
        "2026-11-24T18:27:01Z",
        "2026-11-24t18:27:01z",
        "2026-11-24 18:27:01+09:00",
        "2026-11-24T18:27:01.5-03:30",
        "2026-11-24T18:27:01.123456789Z",
        "0001-01-01T00:00:00Z",
    ],
)
def test_a_time_in_any_spelling_of_rfc_3339_is_read_as_it_stands(found: str) -> None:
    assert TIME.read(found, "written") == found


@pytest.mark.parametrize(
    "found",
    [
        None, 1764009000, "", "yesterday", "2026-11-24", "2026-11-24T18:27:01", "2026-11-24T18:27Z",
        "2026-13-24T18:27:01Z", "2026-02-30T18:27:01Z", "2026-11-24T25:27:01Z", "20261124T182701Z",
        "2026-11-24T18:27:01Z\n", "2026-11-24T18:27:01+99:00", "٢٠٢٦-11-24T18:27:01Z", "2026-W48-2T18:27:01Z",
        "0000-01-01T00:00:00Z",
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_rfc_3339_time_is_refused(found: Any) -> None:
    with pytest.raises(DocumentError, match='"written" is not an RFC 3339 time'):
        TIME.read(found, "written")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=80)
@given(st.binary(max_size=200) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_give_an_object_or_the_readers_own_error(read: bytes) -> None:
    try:
        found: object = parse_object(read, limit=150)
    except DocumentError as error:
        found = error
    assert isinstance(found, dict | DocumentError)


@settings(max_examples=80)
@given(st.text(max_size=40))
def test_a_time_that_is_read_is_one_that_python_can_read_too(value: str) -> None:
    try:
        found = TIME.read(value, "at")
    except DocumentError:
        return
    assert found == value


def test_a_document_is_written_as_one_line_of_ascii_and_read_back_equal() -> None:
    written = Hold("데이터 \udcff\n\x1b", HOLD["since"], "migration", 2**63 - 1)
    rendered = FORMAT.render(written)
    assert rendered.isascii()
    assert rendered.count(b"\n") == 1
    assert FORMAT.parse(rendered) == written

"""The ledger: what losses are judged against. It is read as hostile input, and what is written is always read back."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.volume import ledger
from guard.volume.json_document import DocumentError
from guard.volume.ledger import Ledger, Reference

AT = "2026-11-24T18:27:01Z"
GOOD: dict[str, Any] = {
    "schema": 1,
    "marker": "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11",
    "generation": 3,
    "reference": {"files": 12, "entries": {"tenant-a": 7, "tenant-b": 5}, "empty": 1, "recorded": AT},
    "files": 11,
    "pod": "skills-0",
    "node": "node-1",
    "written": AT,
}


def text_of(**changed: Any) -> bytes:
    return json.dumps(GOOD | changed).encode()


def with_reference(**changed: Any) -> bytes:
    return text_of(reference=GOOD["reference"] | changed)


def read(text: bytes) -> Ledger | DocumentError:
    try:
        return ledger.parse(text)
    except DocumentError as error:
        return error


def test_a_ledger_is_read_as_it_was_written() -> None:
    assert ledger.parse(text_of()) == Ledger(
        marker_id=GOOD["marker"],
        generation=3,
        reference=Reference(12, {"tenant-a": 7, "tenant-b": 5}, 1, AT),
        files=11,
        written=AT,
        pod="skills-0",
        node="node-1",
    )


def test_the_ledger_on_the_volume_has_exactly_the_fields_of_the_contract() -> None:
    assert json.loads(ledger.render(ledger.parse(text_of()))) == GOOD


def test_pod_and_node_may_be_unknown() -> None:
    found = ledger.parse(text_of(pod=None, node=None))
    assert (found.pod, found.node) == (None, None)


def test_fields_of_newer_guards_are_ignored() -> None:
    newer = text_of(bytes=10**12, reference=GOOD["reference"] | {"bytes": 4})
    assert ledger.parse(newer) == ledger.parse(text_of())


WRONG = {
    "a schema of the future": (text_of(schema=2), "of the future"),
    "a generation of 0": (text_of(generation=0), '"generation"'),
    "a generation that is true": (text_of(generation=True), '"generation"'),
    "no marker ID": (text_of(marker=None), '"marker"'),
    "a negative count": (text_of(files=-1), '"files"'),
    "a count with a fraction": (text_of(files=1.5), '"files"'),
    "a count beyond 63 bits": (text_of(files=2**63), '"files"'),
    "a pod that is a number": (text_of(pod=4), '"pod"'),
    "a node of too many characters": (text_of(node="n" * 254), '"node"'),
    "a time that is none": (text_of(written="now"), '"written"'),
    "a reference that is a list": (text_of(reference=[]), '"reference" is not an object'),
    "no reference": (text_of(reference=None), '"reference" is not an object'),
    "entries that are a list": (with_reference(entries=["tenant-a"]), '"reference.entries" is not an object'),
    "no entries": (with_reference(entries=None), '"reference.entries" is not an object'),
    "an entry with a text": (with_reference(entries={"tenant-a": "7"}), '"tenant-a"'),
    "an entry with a negative count": (with_reference(entries={"tenant-a": -7}), '"tenant-a"'),
    "a reference without its empty files": (with_reference(empty=None), '"empty"'),
    "a reference without its time": (with_reference(recorded=None), '"recorded"'),
    "unreadable folders that are a text": (with_reference(unreadable="a"), '"unreadable"'),
    "an unreadable folder that is a number": (with_reference(unreadable=["a", 4]), '"unreadable"'),
    "NaN for a count": (text_of(files=float("nan")), '"files"'),
}


@pytest.mark.parametrize(("text", "reason"), WRONG.values(), ids=WRONG.keys())
def test_a_field_of_the_wrong_kind_makes_the_ledger_invalid_and_is_named(text: bytes, reason: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        ledger.parse(text)
    assert reason in str(refusal.value)


def test_a_ledger_cut_anywhere_is_invalid() -> None:
    whole = text_of()
    for end in range(len(whole)):
        with pytest.raises(DocumentError):
            ledger.parse(whole[:end])


def test_a_ledger_beyond_the_limit_is_invalid() -> None:
    with pytest.raises(DocumentError, match="larger than 1048576 bytes"):
        ledger.parse(text_of(padding="x" * ledger.LIMIT))


def test_a_ledger_nested_too_deep_is_invalid() -> None:
    with pytest.raises(DocumentError, match="nested too deep"):
        ledger.parse(b'{"reference":' * 50_000)


def test_what_is_wrong_with_an_entry_is_said_in_a_line_however_long_its_name() -> None:
    with pytest.raises(DocumentError) as refusal:
        ledger.parse(with_reference(entries={"x" * 500_000: -1}))
    assert len(str(refusal.value)) < 512


@pytest.mark.parametrize("name", ["skill\udcff", "\ud800", "데이터/가", "a\nb\x1b", "x" * 4096], ids=ascii)
def test_an_entry_of_any_name_survives_writing_and_reading(name: str) -> None:
    written = Ledger(GOOD["marker"], 1, Reference(3, {name: 3}, 0, AT), 3, AT)
    assert ledger.parse(ledger.render(written)) == written


@pytest.mark.parametrize(
    ("name", "count"),
    [("tenant-{:06}", 60_000), ("\udcff" * 300 + "{}", 3_000), ("x" * 4000 + "{}", 1_000)],
    ids=["many", "not UTF-8", "long"],
)
def test_a_huge_map_of_entries_is_cut_to_the_largest_and_can_be_read_back(name: str, count: int) -> None:
    entries = {name.format(number): number + 1 for number in range(count)}
    text = ledger.render(Ledger(GOOD["marker"], 1, Reference(sum(entries.values()), entries, 0, AT), 1, AT))
    assert len(text) <= ledger.LIMIT
    found = ledger.parse(text)
    assert found.reference.files == sum(entries.values())
    kept = found.reference.entries
    assert 0 < len(kept) < count
    assert sorted(kept.values()) == list(range(count - len(kept) + 1, count + 1))
    assert len(text) > ledger.LIMIT // 2, "the room is used"


def test_of_unreadable_folders_the_first_are_kept_and_none_is_no_field() -> None:
    folders = tuple(f"tenant-{number:06}/private" for number in range(20_000))
    text = ledger.render(Ledger(GOOD["marker"], 1, Reference(1, {}, 0, AT, folders), 1, AT))
    kept = ledger.parse(text).reference.unreadable
    assert 1_000 < len(kept) < 20_000
    assert kept == folders[: len(kept)]
    assert b"unreadable" not in ledger.render(Ledger(GOOD["marker"], 1, Reference(1, {}, 0, AT), 1, AT))


def test_a_map_of_20000_tenants_is_kept_whole() -> None:
    entries = {f"tenant-{number:06}": 5 for number in range(20_000)}
    written = Ledger(GOOD["marker"], 1, Reference(100_000, entries, 0, AT), 100_000, AT)
    assert ledger.parse(ledger.render(written)) == written


_NAMES = st.text(st.characters() | st.sampled_from('\udcff\ud800\n\\"/'), max_size=20)
_COUNTS = st.integers(0, 2**63 - 1)
_WORDS = st.text(min_size=1, max_size=253)
_LEDGERS = st.builds(
    Ledger,
    marker_id=st.uuids().map(str),
    generation=st.integers(1, 2**63 - 1),
    reference=st.builds(
        Reference,
        files=_COUNTS,
        entries=st.dictionaries(_NAMES, _COUNTS),
        empty=_COUNTS,
        recorded=st.just(AT),
        unreadable=st.lists(_NAMES).map(tuple),
    ),
    files=_COUNTS,
    written=st.just(AT),
    pod=st.none() | _WORDS,
    node=st.none() | _WORDS,
)


@settings(max_examples=60)
@given(_LEDGERS)
def test_any_ledger_survives_writing_and_reading(written: Ledger) -> None:
    assert ledger.parse(ledger.render(written)) == written


_JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers())


@settings(max_examples=60)
@given(
    st.dictionaries(st.sampled_from(sorted(GOOD)), _JSON),
    st.dictionaries(st.sampled_from(sorted(GOOD["reference"])), _JSON | st.dictionaries(st.text(), _JSON, max_size=3)),
)
def test_any_value_in_any_field_gives_a_ledger_or_the_readers_own_error(
    changed: dict[str, Any], reference: dict[str, Any]
) -> None:
    found = read(text_of(**({"reference": GOOD["reference"] | reference} | changed)))
    if isinstance(found, Ledger):
        assert all(type(count) is int for count in found.reference.entries.values())
    else:
        assert isinstance(found, DocumentError)


@settings(max_examples=60)
@given(st.binary(max_size=300) | st.tuples(st.integers(0, 280), st.binary(max_size=4)))
def test_any_bytes_give_a_ledger_or_the_readers_own_error(damage: bytes | tuple[int, bytes]) -> None:
    whole = text_of()
    text = damage if isinstance(damage, bytes) else whole[: damage[0]] + damage[1] + whole[damage[0] + 1 :]
    assert isinstance(read(text), Ledger | DocumentError)

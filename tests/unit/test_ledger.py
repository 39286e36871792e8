"""The ledger: what losses are judged against. It is read as hostile input, and what is written is always read back."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.volume import ledger
from guard.volume.json_document import DocumentError
from guard.volume.ledger import Ledger, LedgerIncident, Reference
from guard.volume.sample import SIZE, Part, SampledFile

AT = "2026-11-24T18:27:01Z"
ROW = ["tenant-a/1", 700, 1_700_000_000_000_000_000, 12, 1_700_000_000, "h"]
GOOD: dict[str, Any] = {
    "schema": 1,
    "marker": "0b0cbd0e-4bb5-4a7e-9d2c-0f1f6c2f0d11",
    "generation": 3,
    "reference": {
        "files": 12,
        "counted": AT,
        "declared": AT,
        "depth": 1,
        "entry_count": 2,
        "entries": {"tenant-a": 7, "tenant-b": 5},
        "sample": [ROW],
    },
    "pod": "skills-0",
    "node": "node-1",
    "written": AT,
    "incident": {"id": "i-3", "event": "volume.wiped", "since": AT, "before": 12, "reason": "all gone"},
}
FILE = SampledFile("tenant-a/1", 700, 1_700_000_000_000_000_000, 12, 1_700_000_000, Part.HASH)


def text_of(**changed: Any) -> bytes:
    return json.dumps(GOOD | changed).encode()


def with_reference(**changed: Any) -> bytes:
    return text_of(reference=GOOD["reference"] | changed)


def read(text: bytes) -> Ledger | DocumentError:
    try:
        return ledger.FORMAT.parse(text)
    except DocumentError as error:
        return error


def test_a_ledger_is_read_as_it_was_written() -> None:
    assert ledger.FORMAT.parse(text_of()) == Ledger(
        marker_id=GOOD["marker"],
        generation=3,
        reference=Reference(12, AT, (FILE,), 1, 2, {"tenant-a": 7, "tenant-b": 5}, AT),
        written=AT,
        pod="skills-0",
        node="node-1",
        incident=LedgerIncident("i-3", "volume.wiped", AT, 12, "all gone"),
    )


def test_the_ledger_on_the_volume_has_exactly_the_fields_of_the_contract() -> None:
    assert json.loads(ledger.FORMAT.render(ledger.FORMAT.parse(text_of()))) == GOOD


def test_pod_and_node_may_be_unknown() -> None:
    found = ledger.FORMAT.parse(text_of(pod=None, node=None))
    assert (found.pod, found.node) == (None, None)


def test_fields_of_newer_guards_are_ignored() -> None:
    newer = text_of(bytes=10**12, reference=GOOD["reference"] | {"bytes": 4})
    assert ledger.FORMAT.parse(newer) == ledger.FORMAT.parse(text_of())


WRONG = {
    "a schema of the future": (text_of(schema=2), "of the future"),
    "a generation of 0": (text_of(generation=0), '"generation"'),
    "a generation that is true": (text_of(generation=True), '"generation"'),
    "no marker ID": (text_of(marker=None), '"marker"'),
    "a negative count": (with_reference(files=-1), '"files"'),
    "a count with a fraction": (with_reference(files=1.5), '"files"'),
    "a count beyond 63 bits": (with_reference(files=2**63), '"files"'),
    "a pod that is a number": (text_of(pod=4), '"pod"'),
    "a node of too many characters": (text_of(node="n" * 254), '"node"'),
    "a time that is none": (text_of(written="now"), '"written"'),
    "a reference that is a list": (text_of(reference=[]), '"reference" is not an object'),
    "no reference": (text_of(reference=None), '"reference" is not an object'),
    "entries that are a list": (with_reference(entries=["tenant-a"]), '"entries" is not an object'),
    "no entries": (with_reference(entries=None), '"entries" is not an object'),
    "an entry with a text": (with_reference(entries={"tenant-a": "7"}), '"tenant-a"'),
    "an entry with a negative count": (with_reference(entries={"tenant-a": -7}), '"tenant-a"'),
    "a reference without its time": (with_reference(counted=None), '"counted"'),
    "a reference without its depth": (with_reference(depth=None), '"depth"'),
    "no sample": (with_reference(sample=None), '"sample"'),
    "a sample of too many files": (with_reference(sample=[ROW] * (SIZE + 1)), '"sample" is not a list of at most 512'),
    "a sampled file without its part": (with_reference(sample=[ROW[:-1]]), 'a row of "sample"'),
    "a sampled file of no known part": (with_reference(sample=[[*ROW[:-1], "x"]]), '"part" is not one of'),
    "a sampled file above the volume": (with_reference(sample=[["../x", *ROW[1:]]]), "is not a path on the volume"),
    "a sampled file at an absolute path": (with_reference(sample=[["/x", *ROW[1:]]]), "is not a path on the volume"),
    "a sampled file of a negative size": (with_reference(sample=[[ROW[0], -1, *ROW[2:]]]), '"size"'),
    "a sampled file of a time that is true": (
        with_reference(sample=[[*ROW[:2], True, *ROW[3:]]]),
        '"mtime" is not a whole number',
    ),
    "an incident that is a text": (text_of(incident="i-3"), '"incident" is not an object'),
    "an incident without its time": (text_of(incident=GOOD["incident"] | {"since": None}), '"since"'),
    "NaN for a count": (with_reference(files=float("nan")), '"files"'),
}


@pytest.mark.parametrize(("text", "reason"), WRONG.values(), ids=WRONG.keys())
def test_a_field_of_the_wrong_kind_makes_the_ledger_invalid_and_is_named(text: bytes, reason: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        ledger.FORMAT.parse(text)
    assert reason in str(refusal.value)


def test_a_ledger_cut_anywhere_is_invalid() -> None:
    whole = text_of()
    for end in range(len(whole)):
        with pytest.raises(DocumentError):
            ledger.FORMAT.parse(whole[:end])


def test_a_ledger_beyond_the_limit_is_invalid() -> None:
    with pytest.raises(DocumentError, match="larger than 1048576 bytes"):
        ledger.FORMAT.parse(text_of(padding="x" * ledger.FORMAT.limit))


def test_a_ledger_nested_too_deep_is_invalid() -> None:
    with pytest.raises(DocumentError, match="nested too deep"):
        ledger.FORMAT.parse(b'{"reference":' * 50_000)


def test_what_is_wrong_with_an_entry_is_said_in_a_line_however_long_its_name() -> None:
    with pytest.raises(DocumentError) as refusal:
        ledger.FORMAT.parse(with_reference(entries={"x" * 500_000: -1}))
    assert len(str(refusal.value)) < 512


@pytest.mark.parametrize("name", ["skill\udcff", "\ud800", "데이터/가", "a\nb\x1b", "x" * 4096], ids=ascii)
def test_an_entry_of_any_name_survives_writing_and_reading(name: str) -> None:
    written = Ledger(GOOD["marker"], 1, Reference(3, AT, (), 1, 1, {name: 3}), AT)
    assert ledger.FORMAT.parse(ledger.FORMAT.render(written)) == written


@pytest.mark.parametrize("name", ["skill\udcff/1", "데이터/가", "a\nb\x1b", "x" * 255 + "/1"], ids=ascii)
def test_a_sampled_file_of_any_name_survives_writing_and_reading(name: str) -> None:
    written = Ledger(GOOD["marker"], 1, Reference(1, AT, (SampledFile(name, 1, -1, 1 << 63, 0, Part.LARGEST),)), AT)
    assert ledger.FORMAT.parse(ledger.FORMAT.render(written)) == written


def test_a_ledger_of_the_longest_names_can_be_read_back_and_has_lost_the_longest_first() -> None:
    def path(number: int) -> str:
        return "\udcff" * 250 + "/" + "\udcff" * (number % 250 + 1) + f"/{number}"

    sample = tuple(SampledFile(path(number), 1, 0, number, 0, Part.HASH) for number in range(SIZE))
    entries = {f"{'x' * 4000}{number}": 1 for number in range(256)}
    text = ledger.FORMAT.render(Ledger(GOOD["marker"], 1, Reference(SIZE, AT, sample, 1, 256, entries), AT))
    assert ledger.FORMAT.limit // 2 < len(text) <= ledger.FORMAT.limit
    kept = ledger.FORMAT.parse(text).reference
    assert 0 < len(kept.sample) < SIZE
    assert 0 < len(kept.entries) < 256
    dropped = [file for file in sample if file not in kept.sample]
    assert max(len(file.path) for file in kept.sample) <= min(len(file.path) for file in dropped)


_NAMES = st.text(st.characters() | st.sampled_from('\udcff\ud800\n\\"/'), max_size=20)
_COUNTS = st.integers(0, 2**63 - 1)
_WORDS = st.text(min_size=1, max_size=253)
_FILES = st.builds(
    SampledFile,
    path=st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
        lambda path: path not in {".", ".."}
    ),
    size=_COUNTS,
    mtime=st.integers(),
    inode=st.integers(0, 2**64 - 1),
    since=st.integers(),
    part=st.sampled_from(Part),
)
_LEDGERS = st.builds(
    Ledger,
    marker_id=st.uuids().map(str),
    generation=st.integers(1, 2**63 - 1),
    reference=st.builds(
        Reference,
        files=_COUNTS,
        counted=st.just(AT),
        sample=st.lists(_FILES, max_size=8).map(tuple),
        depth=st.integers(0, 20),
        entry_count=_COUNTS,
        entries=st.dictionaries(_NAMES, _COUNTS),
        declared=st.sampled_from(["", AT]),
    ),
    written=st.just(AT),
    pod=st.none() | _WORDS,
    node=st.none() | _WORDS,
    incident=st.none() | st.builds(LedgerIncident, _WORDS, _WORDS, st.just(AT), _COUNTS, _WORDS),
)


@settings(max_examples=60)
@given(_LEDGERS)
def test_any_ledger_survives_writing_and_reading(written: Ledger) -> None:
    assert ledger.FORMAT.parse(ledger.FORMAT.render(written)) == written


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

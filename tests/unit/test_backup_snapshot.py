"""restic's listings as counts: the same numbers that the gate's own walk gives for the same tree."""

import json
import os
import tempfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.backup.snapshot import ListingError, Node, parse_node, parse_snapshots
from guard.probe import count
from guard.volume.loss import new_reference
from guard.volume.observation import CountOptions
from tests.unit import trees

#: As restic 0.19 prints it, shortened to what is read, and one field more.
SNAPSHOTS = """[
 {"time":"2026-11-25T15:07:42.994314858+09:00","tree":"t2","paths":["/app/skills"],"hostname":"dev","tags":["shrunk"],
  "id":"b2","short_id":"b2","summary":{"files_new":9}},
 {"time":"2026-11-25T01:00:00.5Z","tree":"t1","paths":["/app/skills"],"hostname":"dev","tags":null,"id":"a1"}]"""

names = st.text(st.sampled_from("abc"), min_size=1, max_size=2)
paths = st.lists(names, min_size=1, max_size=4).map("/".join)


def line(path: str, kind: str = "file", **more: object) -> bytes:
    return json.dumps({"path": path, "type": kind, "message_type": "node", "struct_type": "node", **more}).encode()


def test_snapshots_come_oldest_first_with_their_tags_whatever_their_time_zone() -> None:
    first, second = parse_snapshots(SNAPSHOTS)
    assert (first.snapshot_id, first.tags, first.path, first.tree) == ("a1", frozenset(), "/app/skills", "t1")
    assert (second.snapshot_id, second.tags) == ("b2", frozenset({"shrunk"}))
    seoul = timezone(timedelta(hours=9))
    assert second.time == datetime(2026, 11, 25, 15, 7, 42, 994314, tzinfo=seoul)
    assert second.shown == "b2 of 2026-11-25 06:07 UTC"
    assert first.time.tzinfo is UTC or first.time.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    ["", "null", "{}x", '[{"id":"a"}]', '[{"id":"a","time":"yesterday","tree":"t","paths":["/a"]}]', "[1]"],
)  # fmt: skip
def test_a_list_that_is_not_restic_s_is_said_and_quoted(text: str) -> None:
    with pytest.raises(ListingError, match="list of snapshots"):
        parse_snapshots(text)


def test_a_snapshot_of_several_folders_that_a_person_made_is_not_the_volume_s() -> None:
    several = '[{"id":"a","time":"2026-11-25T01:00:00Z","tree":"t","paths":["/a","/b"]}]'
    assert parse_snapshots(several) == ()


def test_no_snapshots_are_an_empty_list() -> None:
    assert parse_snapshots("[]") == ()


@pytest.mark.parametrize(
    ("text", "node"),
    [
        (line("/app/skills/acme/a.md", size=7), Node("acme/a.md", "file", 7)),
        (line("/app/skills/acme", "dir"), Node("acme", "dir", 0)),
        (line("/app/skills/acme/.volume-guard/x"), Node("acme/.volume-guard/x", "file", 0)),
        (line("/app/skills/.volume-guard/marker.json"), None),
        (line("/app/skills/lost+found", "dir"), None),
        (line("/app/skills", "dir"), None),
        (line("/app", "dir"), None),
        (line("/app/skills-2/x"), None),
        (b'{"message_type":"snapshot","struct_type":"snapshot","paths":["/app/skills"]}', None),
        (b'{"struct_type":"node","path":"/app/skills/x","type":"symlink"}', Node("x", "symlink", 0)),
    ],
    ids=lambda value: value.decode()[:60] if isinstance(value, bytes) else "",
)
def test_only_what_is_data_below_the_archived_folder_counts(text: bytes, node: Node | None) -> None:
    assert parse_node(text, "/app/skills") == node


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"1", b'{"message_type":"node"}', b'{"message_type":"node","path":"/a","type":"file","size":"x"}'],
)
def test_a_line_that_is_no_listing_is_said(text: bytes) -> None:
    with pytest.raises(ListingError, match="line of the listing"):
        parse_node(text, "/")


def test_a_name_that_restic_s_json_could_not_carry_is_known_as_inexact() -> None:
    inexact = parse_node(b'{"message_type":"node","path":"/v/bad\\ufffdname","type":"file","size":1}', "/v")
    exact = parse_node(line("/v/good"), "/v")
    assert inexact is not None
    assert exact is not None
    assert (inexact.exact, exact.exact) == (False, True)


@settings(deadline=None)  # a busy machine is no failure
@given(st.dictionaries(paths, st.sampled_from(["file", "empty", "dir"]), max_size=12))
def test_a_listing_counts_as_the_gate_counts_the_same_tree(wanted: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path, kind in wanted.items():
            made = root / path
            try:
                (made if kind == "dir" else made.parent).mkdir(parents=True, exist_ok=True)
                if kind != "dir":
                    made.write_text("" if kind == "empty" else "x")
            except OSError:  # a file stands where a folder was wanted, or the other way round
                continue
        listed = []
        for above, folders, files in os.walk(root):
            relative = Path(above).relative_to(root)
            listed += [Node(str(relative / name), "dir", 0) for name in folders]
            listed += [Node(str(relative / name), "file", (Path(above) / name).stat().st_size) for name in files]
        descriptor = os.open(root, os.O_RDONLY)
        try:
            walked = count.count(descriptor, CountOptions(sizes=True), lambda _: None)
        finally:
            os.close(descriptor)

    counted = trees.counted(listed)

    assert (counted.files, counted.empty, counted.bytes) == (walked.files, walked.empty, walked.bytes)
    assert (counted.depth, counted.folders) == (walked.depth, walked.folders)
    assert {name: counted.entries[name] for name in walked.entries} == walked.entries
    assert new_reference(None, counted, "") == new_reference(None, walked, "")

"""restic's JSON as values: what is read, what is refused, and that no input ends in another error."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.backup.snapshot import ListingError, Node, nanoseconds, parse_json, parse_node, parse_snapshots

#: As restic 0.19 prints it, shortened to what is read, and one field more.
SNAPSHOTS = b"""[
 {"time":"2026-11-25T15:07:42.994314858+09:00","tree":"t2","paths":["/app/skills"],"hostname":"dev","tags":["wiped"],
  "id":"b2","short_id":"b2","summary":{"files_new":9}},
 {"time":"2026-11-25T01:00:00.5Z","tree":"t1","paths":["/app/skills"],"hostname":"dev","tags":null,"id":"a1"}]"""

DEEP = b"[" * 200_000


def line(path: str, kind: str = "file", **more: object) -> bytes:
    return json.dumps({"path": path, "type": kind, "message_type": "node", "struct_type": "node", **more}).encode()


def test_snapshots_come_oldest_first_with_their_tags_whatever_their_time_zone() -> None:
    first, second = parse_snapshots(SNAPSHOTS)
    assert (first.snapshot_id, first.tags, first.path, first.tree) == ("a1", frozenset(), "/app/skills", "t1")
    assert (second.snapshot_id, second.tags) == ("b2", frozenset({"wiped"}))
    seoul = timezone(timedelta(hours=9))
    assert second.time == datetime(2026, 11, 25, 15, 7, 42, 994314, tzinfo=seoul)
    assert second.shown == "b2 of 2026-11-25 06:07 UTC"
    assert first.time.tzinfo is UTC or first.time.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [b"", b"null", b"{}x", b'[{"id":"a"}]', b'[{"id":"a","time":"yesterday","tree":"t","paths":["/a"]}]', b"[1]", b"\xff",
     DEEP, b"[1e400]", b"[NaN]"],
    ids=range(10),
)  # fmt: skip
def test_a_list_that_is_not_restic_s_is_refused_and_quoted(text: bytes) -> None:
    with pytest.raises(ListingError, match="list of snapshots"):
        parse_snapshots(text)


def test_a_snapshot_of_several_folders_that_a_person_made_is_not_the_volume_s() -> None:
    several = b'[{"id":"a","time":"2026-11-25T01:00:00Z","tree":"t","paths":["/a","/b"]}]'
    assert parse_snapshots(several) == ()


def test_no_snapshots_are_an_empty_list() -> None:
    assert parse_snapshots(b"[]") == ()


@pytest.mark.parametrize(
    ("text", "node"),
    [
        (line("/app/skills/acme/a.md", size=7, inode=3), Node("acme/a.md", "file", 7, 3)),
        (line("/app/skills/acme", "dir", mtime="m", ctime="c"), Node("acme", "dir", 0, 0, "m", "c")),
        (line("/app/skills/.volume-guard/marker.json"), Node(".volume-guard/marker.json", "file")),
        (line("/app/skills", "dir"), None),
        (line("/app", "dir"), None),
        (line("/app/skills-2/x"), None),
        (b'{"message_type":"snapshot","struct_type":"snapshot","paths":["/app/skills"]}', None),
        (b'{"struct_type":"node","path":"/app/skills/x","type":"symlink"}', Node("x", "symlink")),
    ],
    ids=lambda value: value.decode()[:60] if isinstance(value, bytes) else "",
)
def test_only_what_is_below_the_archived_folder_is_listed(text: bytes, node: Node | None) -> None:
    assert parse_node(text, "/app/skills") == node


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"1", b'{"message_type":"node"}', DEEP, line("/a", size="x"), line("/a", size=-1), line("/a", size=1.5),
     line("/a", size=1 << 64), line("/a", inode=[]), line("/a", size=True), line("/a/../../b"), line("/a//b"),
     line("/\ud800"), line("/a\0b"), line("/" + "x" * 4096),
     b'{"message_type":"node","path":"/a","type":"file","size":1e400}'],
    ids=range(17),
)  # fmt: skip
def test_a_line_that_is_no_listing_is_refused(text: bytes) -> None:
    with pytest.raises(ListingError):
        parse_node(text, "/")


def test_times_are_compared_whatever_their_zone() -> None:
    assert nanoseconds("2026-11-30T18:17:05.831538518Z") == nanoseconds("2026-12-01T03:17:05.831538999+09:00")
    assert nanoseconds("1970-01-01T00:00:00.5Z") == 500_000_000
    for text in ("", "yesterday", "2026-11-30T18:17:05"):
        with pytest.raises(ListingError):
            nanoseconds(text)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=4), below, max_size=3),
    max_leaves=6,
)
nodes = st.fixed_dictionaries({"message_type": st.just("node"), "path": st.text(max_size=20).map("/v/".__add__) | values,
                               "type": values, "size": values, "inode": values, "mtime": values})  # fmt: skip
rows = st.fixed_dictionaries(dict.fromkeys(("time", "tree", "tags", "id", "paths"), values))


@settings(deadline=None)  # a busy machine is no failure
@given(st.binary(max_size=60) | (nodes | rows | st.lists(rows, max_size=2) | values).map(json.dumps).map(str.encode))
def test_whatever_is_printed_ends_in_a_value_or_in_its_own_error(text: bytes) -> None:
    for parse in (parse_json, parse_snapshots, lambda line: parse_node(line, "/v")):
        with suppress(ListingError):
            parse(text)

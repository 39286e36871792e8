"""Paths that are no data: the fixed ones, and the patterns of GUARD_IGNORE."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.volume.ignore import Ignore
from guard.volume.paths import as_bytes


@pytest.mark.parametrize(
    "path",
    [".volume-guard", ".volume-guard/marker.json", "lost+found/#12/file", ".snapshot/daily/a", ".snapshots", ".zfs/x",
     ".Trash-1000/files/a", ".nfs0000abc", "a/b/.nfs0000abc", ".fuse_hidden01", "a/.fuse_hidden01"],
)  # fmt: skip
def test_what_file_systems_and_the_guard_put_there_is_never_data(path: str) -> None:
    assert Ignore().ignores(path)


@pytest.mark.parametrize("path", ["a/.volume-guard", "a/lost+found/x", "a/.snapshot/x", ".Trash", ".git/config"])
def test_the_same_names_further_down_are_data(path: str) -> None:
    assert not Ignore().ignores(path)


@pytest.mark.parametrize(
    ("pattern", "ignored", "data"),
    [
        ("*.tmp", ["a.tmp", "x/y/a.tmp", "x.tmp/below/it"], ["a.tmp2", "tmp"]),
        ("node_modules", ["node_modules/a/b", "x/node_modules/a"], ["node_modules2", "x/my_node_modules/a"]),
        ("node_modules/", ["node_modules/a", "x/node_modules/a"], ["node_modules2/a"]),
        ("cache/**", ["cache", "cache/a", "cache/a/b"], ["x/cache/a", "cache2/a"]),
        ("/cache", ["cache", "cache/a/b"], ["x/cache"]),
        ("a/*/c", ["a/b/c", "a/b/c/d"], ["a/c", "a/b/b/c", "x/a/b/c"]),
        ("a/**/c", ["a/c", "a/b/c", "a/b/b/c/d"], ["a/b", "c", "x/a/c"]),
        ("**/c/d", ["c/d", "x/c/d/e", "x/y/c/d"], ["c", "c/e", "cd"]),
        ("**/x/**/y/**", ["x/y", "a/x/b/y/c"], ["y/x", "x", "a/x/b"]),
        ("a/b?", ["a/b1", "a/b\udcff"], ["a/b", "a/b12"]),
        ("a/[0-9]", ["a/5"], ["a/x", "a/55"]),
        ("a/[!0-9]", ["a/x"], ["a/5", "a/55/x"]),
        ("한국*", ["한국어", "a/한국/b"], ["국한"]),
    ],
)
def test_a_pattern(pattern: str, ignored: list[str], data: list[str]) -> None:
    ignore = Ignore((pattern,))
    assert [path for path in ignored if not ignore.ignores(path)] == []
    assert [path for path in data if ignore.ignores(path)] == []


@pytest.mark.parametrize("pattern", ["", "/", "//", "///"])
def test_a_pattern_without_a_name_ignores_nothing(pattern: str) -> None:
    assert not Ignore((pattern,)).ignores("a/b")


def test_star_and_question_mark_never_match_a_slash() -> None:
    assert not Ignore(("/a*d",)).ignores("a/d")
    assert not Ignore(("/a?d",)).ignores("a/d")


_NAMES = st.text(st.sampled_from("ab.*-\udcff\n"), min_size=1, max_size=4).filter(lambda name: name not in {".", ".."})
_COMPONENTS = st.text(st.sampled_from("ab.*?[]!-\n"), min_size=1, max_size=4) | st.just("**")


def _matches(pattern: list[str], path: list[str]) -> bool:
    """A naive reading of an anchored pattern: it matches the path, or a folder above it."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(_matches(pattern[1:], path[skipped:]) for skipped in range(len(path) + 1))
    return bool(path) and fnmatch.fnmatchcase(path[0], pattern[0]) and _matches(pattern[1:], path[1:])


@given(st.lists(_COMPONENTS, min_size=2, max_size=4), st.lists(_NAMES, min_size=1, max_size=5))
def test_an_anchored_pattern_agrees_with_a_naive_reading(pattern: list[str], path: list[str]) -> None:
    expected = any(_matches(pattern, path[:length]) for length in range(1, len(path) + 1))
    assert Ignore(("/" + "/".join(pattern),)).ignores("/".join(path)) is expected


@given(st.lists(_NAMES, min_size=1, max_size=6), st.sampled_from(["", "*.a", "a/**", "**/b"]))
def test_the_names_of_a_listing_are_judged_as_their_paths_are(names: list[str], pattern: str) -> None:
    ignore = Ignore((pattern,))
    listing = [as_bytes(name) for name in [*names, ".nfs1", "x.nfs"]]
    for folder, prefix in ((ignore.top, ""), (ignore.top.below("d"), "d/")):
        expected = [name for name in listing if not ignore.ignores(prefix + name.decode("utf-8", "surrogateescape"))]
        assert [*folder.data(listing)] == expected


@pytest.mark.parametrize(
    "pattern", ["*a" * 60 + "b", "**/" * 60 + "b", "*/**/" * 40 + "b", "[a-z]*" * 60 + "!", "**/*a*a*a*a*a/" * 20]
)
def test_a_pattern_that_could_match_in_countless_ways_is_tried_in_few(pattern: str) -> None:
    # In exponential time this would not end.
    assert not Ignore((pattern,)).ignores("/".join(["a" * 250] * 15))

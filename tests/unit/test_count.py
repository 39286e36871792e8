"""The count and the check of sampled files, on folders of the machine that runs the tests: what needs no mount."""

import errno
import itertools
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guard.probe import mounts, walk
from guard.probe.count import count
from guard.probe.requests import CheckRequest, CountRequest
from guard.volume.loss import LossRule
from guard.volume.observation import CountOptions, FileCount, FilesChecked
from guard.volume.paths import as_bytes, as_text
from guard.volume.sample import Part, Presence, SampledFile, path_hash

RULE = LossRule()


def counted(root: Path, **options: Any) -> FileCount:
    return CountRequest(str(root), CountOptions(**options)).run(lambda _: None)


def checked(root: Path, *paths: str, enough: int | None = None) -> FilesChecked:
    files = tuple(SampledFile(path, 10, 0, 0, 0, Part.HASH) for path in paths)
    return CheckRequest(str(root), files, RULE, enough).run(lambda _: None)


def presences(found: FilesChecked) -> dict[str, Presence]:
    return {path: check.presence for path, check in found.checks.items()}


def fill(root: Path, *paths: str, text: str = "ten bytes.") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def sampled(root: Path, path: str) -> SampledFile:
    found = os.lstat(root / path)
    return SampledFile(path, found.st_size, found.st_mtime_ns, found.st_ino, int(found.st_ctime), Part.HASH)


# What is counted.


def test_files_are_names_that_are_not_directories(tmp_path: Path) -> None:
    fill(tmp_path, "a/1", "a/b/2", "c/3", "top")
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "c" / "fifo")
    os.link(tmp_path / "top", tmp_path / "hard")
    found = counted(tmp_path)
    assert (found.files, found.folders, found.depth, found.entry_count) == (7, 3, 1, 2)
    assert found.entries == {"a": 2, "c": 2}
    assert {file.path for file in found.sample} == {"a/1", "a/b/2", "c/3", "top", "link", "c/fifo", "hard"}
    assert found.root_inode == tmp_path.stat().st_ino


def test_a_sampled_file_carries_what_one_lstat_gives(tmp_path: Path) -> None:
    fill(tmp_path, "a/1")
    (tmp_path / "link").symlink_to("a/1")
    assert {*counted(tmp_path).sample} == {sampled(tmp_path, "a/1"), sampled(tmp_path, "link")}


@pytest.mark.parametrize(
    ("paths", "depth", "entries"),
    [
        (["1"], 0, 0),
        (["a/1"], 0, 0),
        (["a/1", "b/1"], 1, 2),
        (["only/a/1", "only/b/1", "only/c/d/1"], 2, 3),
        (["only/also/a/1", "only/also/b/1", "only/x", "y"], 3, 2),
        (["only/.git/1"], 0, 0),
        (["a/1", "lost+found/b/1"], 0, 0),
        (["a/x/1", "a/y/1", ".volume-guard/marker.json", ".snapshots/1/a"], 2, 2),
    ],
)
def test_entries_are_the_folders_at_the_first_depth_that_has_two(
    tmp_path: Path, paths: list[str], depth: int, entries: int
) -> None:
    fill(tmp_path, *paths)
    found = counted(tmp_path)
    assert (found.depth, found.entry_count) == (depth, entries)


def test_what_is_ignored_is_neither_counted_nor_sampled_nor_an_entry(tmp_path: Path) -> None:
    fill(tmp_path, "a/1", "a/.nfs0001", "a/x.tmp", "cache/b/1", "b/deep/node_modules/1", "b/2", ".Trash-0/files/1")
    found = counted(tmp_path, ignore=("cache/**", "*.tmp", "node_modules"))
    assert {file.path for file in found.sample} == {"a/1", "b/2"}
    assert (found.files, found.entry_count, found.entries) == (2, 2, {"a": 1, "b": 1})


def test_names_in_lost_and_found_are_told_and_not_counted(tmp_path: Path) -> None:
    fill(tmp_path, "a/1", "lost+found/#1", "lost+found/#2", "lost+found/#3/below")
    found = counted(tmp_path)
    assert (found.files, found.in_lost_and_found) == (1, 3)


def test_entries_that_were_asked_for_are_counted_wherever_they_lie(tmp_path: Path) -> None:
    fill(tmp_path, "a/x/1", "a/x/2", "a/y/1", "b/1")
    found = counted(tmp_path, entries=frozenset({"a/x", "gone/z"}))
    assert found.entries == {"a": 3, "b": 1, "a/x": 2, "gone/z": 0}


def test_a_count_stops_above_enough_files(tmp_path: Path) -> None:
    fill(tmp_path, *(f"{folder}/{number}" for folder in "abc" for number in range(10)))
    found = counted(tmp_path, enough=9)
    assert not found.exact
    assert (found.sample, found.files > 9) == ((), True)
    assert counted(tmp_path, enough=30).exact


_NAMES = st.binary(min_size=1, max_size=20).filter(
    lambda name: not {b"/"[0], 0} & {*name} and name not in {b".", b".."} and not name.startswith(b".")
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sets(st.tuples(_NAMES, _NAMES), max_size=20))
def test_any_name_is_counted_and_found_again(
    tmp_path_factory: pytest.TempPathFactory, names: set[tuple[bytes, bytes]]
) -> None:
    root = tmp_path_factory.mktemp("names")
    for folder, name in names:
        (root / "data" / os.fsdecode(folder)).mkdir(parents=True, exist_ok=True)
        (root / "data" / os.fsdecode(folder) / os.fsdecode(name)).write_bytes(b"ten bytes.")
    found = counted(root)
    paths = {as_text(b"data/" + folder + b"/" + name) for folder, name in names}
    assert {file.path for file in found.sample} == paths
    assert [*map(path_hash, (file.path for file in found.sample))] == sorted(map(path_hash, paths))
    again = checked(root, *paths)
    assert {*presences(again).values()} <= {Presence.PRESENT}
    assert len(again.checks) == len(paths)


# What was lost is found elsewhere.


@pytest.fixture
def lost(tmp_path: Path) -> Callable[..., frozenset[str]]:
    """Counts, with these files of the sample as lost ones; gives those that were found under other names."""

    def found(*files: SampledFile, after: float = 0, before: float = 1e11) -> frozenset[str]:
        return counted(tmp_path, lost=files, copied_after=after, copied_before=before).elsewhere

    return found


Lost = Callable[..., frozenset[str]]


def test_a_moved_file_is_found_by_its_inode(tmp_path: Path, lost: Lost) -> None:
    fill(tmp_path, "a/1", "b/2")
    file = sampled(tmp_path, "a/1")
    os.rename(tmp_path / "a/1", tmp_path / "b/other")
    assert lost(file, before=0) == {"a/1"}


def test_a_hard_link_stands_for_all_lost_names_of_its_inode(tmp_path: Path, lost: Lost) -> None:
    fill(tmp_path, "a/1")
    for name in ("a/2", "a/3"):
        os.link(tmp_path / "a/1", tmp_path / name)
    files = [sampled(tmp_path, f"a/{number}") for number in (1, 2, 3)]
    (tmp_path / "a/1").unlink()
    (tmp_path / "a/2").unlink()
    assert lost(*files[:2], before=0) == {"a/1", "a/2"}


@pytest.mark.parametrize("change", [{"size": 11}, {"mtime": 5}, {"inode": 1}])
def test_an_inode_alone_is_no_identity(tmp_path: Path, lost: Lost, change: dict[str, Any]) -> None:
    fill(tmp_path, "b/other")
    assert lost(replace(sampled(tmp_path, "b/other"), path="a/1", **change)) == frozenset()


def test_what_lies_at_the_lost_path_itself_is_no_find(tmp_path: Path, lost: Lost) -> None:
    fill(tmp_path, "a/1")
    assert lost(sampled(tmp_path, "a/1")) == frozenset()


def copy_of(file: SampledFile, path: str, **change: Any) -> SampledFile:
    return replace(file, path=path, inode=0x7FFFFFFF, **change)


def test_a_fresh_copy_has_the_name_and_size_and_the_mtime_or_the_parent(tmp_path: Path, lost: Lost) -> None:
    fill(tmp_path, "new/docs/page", "new/docs/other")
    page = sampled(tmp_path, "new/docs/page")
    assert lost(copy_of(page, "old/docs/page", mtime=1)) == {"old/docs/page"}
    assert lost(copy_of(page, "old/x/page")) == {"old/x/page"}
    assert lost(copy_of(page, "old/x/page", mtime=1)) == frozenset()
    assert lost(copy_of(page, "old/docs/page", size=11)) == frozenset()
    assert lost(copy_of(page, "old/docs/name")) == frozenset()


def test_a_copy_counts_only_if_it_came_in_time(tmp_path: Path, lost: Lost) -> None:
    fill(tmp_path, "new/docs/page")
    page = copy_of(sampled(tmp_path, "new/docs/page"), "old/docs/page")
    came = os.lstat(tmp_path / "new/docs/page").st_ctime
    assert lost(page, after=came - 600, before=came + 1) == {"old/docs/page"}
    assert lost(page, after=came + 1) == frozenset()
    assert lost(page, before=came - 1) == frozenset()


def test_a_copy_stands_for_one_lost_file_only(tmp_path: Path, lost: Lost) -> None:
    fill(tmp_path, "new/docs/page", "new2/docs/page")
    page = sampled(tmp_path, "new/docs/page")
    assert len(lost(*(copy_of(page, f"old{number}/docs/page") for number in range(5)))) == 2


def test_a_copy_is_taken_for_the_lost_file_most_like_it(tmp_path: Path, lost: Lost) -> None:
    fill(tmp_path, "new/docs/page", "new/site/page")
    site = sampled(tmp_path, "new/site/page")
    docs = sampled(tmp_path, "new/docs/page")
    both = copy_of(site, "old/site/page"), copy_of(docs, "old/docs/page")
    assert lost(*both) == {"old/site/page", "old/docs/page"}


# What cannot be read, goes away or is broken.


def test_a_folder_that_was_renamed_before_it_was_entered_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "a/1", "b/1", "c/1", "c/2")
    opened = os.open

    def renaming(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == b"c" and (tmp_path / "c").exists():
            os.rename(tmp_path / "c", tmp_path / "d")
        return opened(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", renaming)
    found = counted(tmp_path)
    assert (found.files, found.folders, found.entry_count) == (4, 3, 3)
    assert {file.path for file in found.sample} == {"a/1", "b/1", "d/1", "d/2"}


def test_a_folder_that_is_removed_before_it_was_entered_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "a/1", "b/1")
    opened = os.open

    def removing(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == b"b":
            subprocess.run(["rm", "-rf", tmp_path / "b"], check=True)
        return opened(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", removing)
    found = counted(tmp_path)
    assert (found.files, found.folders, found.fault) == (1, 1, None)


@pytest.mark.parametrize("code", [errno.EIO, errno.EBADMSG, errno.EUCLEAN, errno.ESTALE, errno.EHOSTDOWN])
@pytest.mark.parametrize("call", ["open", "listdir", "scandir"])
def test_a_broken_folder_is_a_fault_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, call: str
) -> None:
    fill(tmp_path, "a/1", "b/deep/1")
    real = getattr(os, call)

    def failing(path: Any, *arguments: Any, **options: Any) -> Any:
        at = os.readlink(path) if isinstance(path, bytes) and path.startswith(b"/proc/self/fd/") else path
        if at in {b"deep", os.fsencode(tmp_path / "b/deep")}:
            raise OSError(code, "broken")
        return real(path, *arguments, **options)

    # Where links are counted, a leaf is listed at once; elsewhere it is scanned.
    monkeypatch.setattr(walk, "_COUNTS_LINKS", frozenset() if call == "scandir" else frozenset({MOUNTED}))
    monkeypatch.setattr(os, call, failing)
    fault = counted(tmp_path).fault
    assert fault is not None
    assert (fault.number, fault.doing) == (code, "counting b/deep")


def _fstype() -> str:
    return subprocess.run(["findmnt", "-no", "FSTYPE", "-T", "/tmp"], capture_output=True, text=True, check=True).stdout


MOUNTED = _fstype().strip()


@pytest.mark.parametrize("counts_links", [True, False])
def test_the_count_is_the_same_whether_links_are_counted_or_types_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, counts_links: bool
) -> None:
    fill(tmp_path, *(f"{folder}/{number}" for folder in ("a", "b/c", "b/d", "e/f/g") for number in range(200)))
    monkeypatch.setattr(walk, "_COUNTS_LINKS", frozenset({MOUNTED} if counts_links else ()))
    found = counted(tmp_path)
    assert (found.files, found.folders, found.entry_count) == (800, 7, 3)
    assert len(found.sample) == 512


def test_memory_stays_bounded_in_a_chain_of_long_names_and_beside_countless_folders(tmp_path: Path) -> None:
    script = """
import os, resource, sys
from guard.probe.count import count
from guard.volume.observation import CountOptions
root = os.open(sys.argv[1], os.O_RDONLY)
os.mkdir("chain", dir_fd=root)
at = os.open("chain", os.O_RDONLY, dir_fd=root)
for level in range(700):
    os.mkdir("x" * 255, dir_fd=at)
    below = os.open("x" * 255, os.O_RDONLY, dir_fd=at)
    os.close(at)
    at = below
os.close(os.open("bottom", os.O_CREAT, dir_fd=at))
for number in range(5000):
    os.mkdir(f"top-{number:06}" + "y" * 200, dir_fd=root)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = count(root, CountOptions(), lambda names: None)
print(found.files, found.folders, found.unreadable_folders, found.entry_count)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2000:
        pytest.skip(f"at most {hard} open files here: the chain takes two descriptors a level")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        subprocess.run(["rm", "-rf", tmp_path / "chain"], check=True)
    figures, grown = done.stdout.splitlines()
    assert figures == "1 5701 0 5001"
    assert int(grown) < 16 * 1024  # KiB


# Progress.


@pytest.mark.parametrize("counts_links", [True, False])
def test_a_count_whose_calls_take_long_reports_progress_after_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, counts_links: bool
) -> None:
    fill(tmp_path, "a/1", "a/b/2", "c/3", "d/e/f/4", "lost+found/#1")
    clock, calls = [0.0], [0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(walk, "_COUNTS_LINKS", frozenset({MOUNTED} if counts_links else ()))
    for name in ("open", "stat", "listdir", "scandir"):
        real = getattr(os, name)

        def slow(path: Any, *arguments: Any, real: Any = real, **options: Any) -> Any:
            if "dir_fd" in options or isinstance(path, bytes):
                clock[0] += 1
                calls[-1] += 1
            return real(path, *arguments, **options)

        monkeypatch.setattr(os, name, slow)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    found = count(descriptor, CountOptions(), lambda _: calls.append(0))
    os.close(descriptor)
    assert found.files == 4
    assert len(calls) > found.folders + found.files
    assert max(calls) == 1


class _Untyped:
    """A name of a file system that lists no types: each is asked for."""

    name = b"file"

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        self._ask()
        return follow_symlinks


def test_a_folder_of_a_thousand_names_whose_types_take_long_is_no_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, told = [0.0], [0.0]

    def ask() -> None:
        clock[0] += 0.09

    def untyped(_: object) -> Iterator[_Untyped]:
        return (_Untyped(ask) for _ in range(1000))

    descriptor = os.open(tmp_path, os.O_RDONLY)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(os, "scandir", untyped)
    monkeypatch.setattr(walk, "_COUNTS_LINKS", frozenset())
    found = count(descriptor, CountOptions(), lambda _: told.append(clock[0]))
    os.close(descriptor)
    assert found.files == 1000
    assert max(after - before for before, after in itertools.pairwise([*told, clock[0]])) < 10


# The check of sampled files.


def test_a_sampled_file_is_present_or_absent(tmp_path: Path) -> None:
    fill(tmp_path, "a/1", "file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "dangling").symlink_to("nowhere")
    found = checked(tmp_path, "a/1", "dangling", "folder", "gone", "gone/2", "file/3", "link/1", "x" * 300)
    assert presences(found) == dict.fromkeys(("a/1", "dangling"), Presence.PRESENT) | dict.fromkeys(
        ("folder", "gone", "gone/2", "file/3", "link/1", "x" * 300), Presence.ABSENT
    )
    assert (found.checks["a/1"].size, found.fault) == (10, None)
    assert found.root_inode == tmp_path.stat().st_ino


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "a/../../secret",
        "/etc/passwd",
        "a//1",
        "./a/1",
        "",
        "a/1/",
        "a\0b",
        "\ud800",
        "up/passwd",
        "a/" * 3000,
    ],
)
def test_no_path_leaves_the_volume(tmp_path: Path, path: str) -> None:
    fill(tmp_path, "secret", "volume/a/1")
    (tmp_path / "volume/up").symlink_to("/etc")
    found = checked(tmp_path / "volume", path)
    assert (presences(found), found.fault) == ({path: Presence.ABSENT}, None)


def test_what_a_mount_hides_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "a/1", "b/1", "bb/1")
    monkeypatch.setattr(mounts, "nested", lambda _: frozenset({"b"}))
    found = checked(tmp_path, "a/1", "b/1", "b/x/2", "b", "bb/1")
    hidden, present = Presence.HIDDEN, Presence.PRESENT
    assert presences(found) == {"a/1": present, "b/1": hidden, "b/x/2": hidden, "b": hidden, "bb/1": present}


@pytest.mark.parametrize("kept", [0, 1, 63, 64, 65, 100])
def test_a_check_ends_early_only_where_all_of_the_first_files_are_kept(tmp_path: Path, kept: int) -> None:
    paths = [f"{number % 7}/{number}" for number in range(100)]
    fill(tmp_path, *paths[:kept])
    assert len(checked(tmp_path, *paths, enough=64).checks) == (64 if kept >= 64 else 100)


def test_a_file_that_lost_most_of_its_size_ends_no_check_early(tmp_path: Path) -> None:
    fill(tmp_path, "a/1", "a/2", "a/3")
    fill(tmp_path, "a/1", text="")
    assert len(checked(tmp_path, "a/1", "a/2", "a/3", enough=1).checks) == 3


def test_a_check_takes_one_lstat_a_file_and_opens_each_folder_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [f"tenant/skill-{number % 10}/{number}" for number in range(500)]
    fill(tmp_path, *paths)
    calls = {"stat": 0, "open": 0}
    for name in calls:
        real = getattr(os, name)

        def counting(*arguments: Any, name: str = name, real: Any = real, **options: Any) -> Any:
            calls[name] += "dir_fd" in options
            return real(*arguments, **options)

        monkeypatch.setattr(os, name, counting)
    assert (counted(tmp_path, unsampled=500).files, calls["stat"]) == (500, 0)
    assert (len(counted(tmp_path, unsampled=499).sample), calls["stat"]) == (500, 500)
    calls.update(stat=0, open=0)
    checked(tmp_path, *paths, enough=64)
    assert calls == {"stat": 64, "open": 12}  # the root, the tenant, its ten skills


def test_descriptors_stay_bounded_and_are_closed(tmp_path: Path) -> None:
    paths = [f"{number}/x/y/z/1" for number in range(200)]
    fill(tmp_path, *paths)
    before = len(os.listdir("/proc/self/fd"))
    assert {*presences(checked(tmp_path, *paths)).values()} == {Presence.PRESENT}
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("code", [errno.EIO, errno.EBADMSG, errno.ESTALE, errno.ENOTCONN])
def test_any_other_error_is_a_fault_that_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    fill(tmp_path, "a/1", "b/1")
    real = os.stat

    def failing(path: Any, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
        if dir_fd is not None and os.readlink(f"/proc/self/fd/{dir_fd}").endswith("/b"):
            raise OSError(code, "broken")
        return real(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "stat", failing)
    found = checked(tmp_path, "a/1", "b/1", "c/1")
    assert found.fault is not None
    assert (found.fault.number, found.fault.doing) == (code, "checking the files of b")


def test_names_as_bytes_and_as_text_are_one(tmp_path: Path) -> None:
    name = b"\xff\xfe-\xed\x95\x9c"
    (tmp_path / os.fsdecode(name)).write_bytes(b"ten bytes.")
    (file,) = counted(tmp_path).sample
    assert as_bytes(file.path) == name
    assert presences(checked(tmp_path, file.path)) == {file.path: Presence.PRESENT}

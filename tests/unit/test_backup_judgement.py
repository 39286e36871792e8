"""Snapshots judged by their files: what is good, what lost the data, and what is compared with what; over any history."""

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.backup.judgement import Judge, LastGood
from guard.backup.retention import GOOD, INCOMPLETE, WIPED, complete
from guard.backup.sampling import Listing
from guard.backup.snapshot import Node, Snapshot
from guard.probe import count
from guard.volume.ignore import Ignore
from guard.volume.ledger import Reference
from guard.volume.loss import LossRule, Verdict
from guard.volume.observation import CountOptions, FileCount
from guard.volume.sample import Part

FIRST = datetime(2026, 11, 1, 3, tzinfo=UTC)


def at(hours: float) -> str:
    return (FIRST + timedelta(hours=hours)).isoformat()


#: The files of a snapshot by path: size, inode, mtime, ctime.
Files = Mapping[str, Node]


def files(*paths: str, size: int = 9, hours: float = -100) -> dict[str, Node]:
    return {path: Node(path, "file", size, hash(path) & 0xFFFF_FFFF, at(hours), at(hours)) for path in paths}


def tenants(names: str, number: int = 10, **options: float) -> dict[str, Node]:
    return files(*(f"{name}/pdf/{n}" for name in names for n in range(number)), **options)  # type: ignore[arg-type]


def listed(content: Files) -> Iterable[Node]:
    """As restic lists: depth first, by name, a folder before what is in it."""
    folders = {"/".join(path.split("/")[:level]) for path in content for level in range(1, path.count("/") + 1)}
    nodes = {path: Node(path, "dir") for path in folders} | dict(content)
    return (nodes[path] for path in sorted(nodes, key=lambda path: path.split("/")))


@dataclass
class Repository:
    """Snapshots with their files, and how often each was listed."""

    rule: LossRule = field(default_factory=LossRule)
    ignore: tuple[str, ...] = ()
    snapshots: list[Snapshot] = field(default_factory=list)
    contents: dict[str, Files] = field(default_factory=dict)
    listings: int = 0

    def add(self, content: Files, *tags: str) -> Snapshot:
        number = len(self.snapshots)
        tree = f"tree {number}"
        self.contents[tree] = content
        made = Snapshot(f"{number:08x}", FIRST + timedelta(days=number), "/app/skills", tree, frozenset(tags))
        self.snapshots.append(made)
        return made

    def each_node(self, snapshot: Snapshot, on_node: Callable[[Node], None]) -> None:
        self.listings += 1
        for node in listed(self.contents[snapshot.tree]):
            on_node(node)

    @property
    def judge(self) -> Judge:
        return Judge(self.rule, Ignore(self.ignore), self.each_node)

    def last_good(self) -> Snapshot | None:
        return self.judge.last_good(self.snapshots).snapshot

    def verdict(self) -> Verdict:
        """Of the newest against the last good one before it."""
        *before, new = self.snapshots
        return self.judge.find_loss(self.judge.last_good(before), new).verdict


def verdict_of(before: Files, after: Files, **options: object) -> Verdict:
    repository = Repository(**options)  # type: ignore[arg-type]
    repository.add(before, GOOD)
    repository.add(after)
    return repository.verdict()


DATA = tenants("abcd")
RESET = tenants("wxyz", 11, hours=20)


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        (DATA | tenants("e"), Verdict.KEPT),
        ({}, Verdict.WIPED),
        (RESET, Verdict.WIPED),
        (tenants("wxyz", 500, hours=20), Verdict.WIPED),
        (tenants("a"), Verdict.SHRUNK),
        ({path: replace(node, size=0) for path, node in DATA.items()}, Verdict.WIPED),
        ({path: replace(node, inode=1, changed=at(20)) for path, node in DATA.items()}, Verdict.KEPT),
        ({f"new/{path}": replace(node, path=f"new/{path}") for path, node in DATA.items()}, Verdict.KEPT),
        ({f"new/{path}": replace(node, path=f"new/{path}", inode=1, changed=at(20)) for path, node in DATA.items()}, Verdict.KEPT),
        ({f"new/{path}": replace(node, path=f"new/{path}", inode=1, modified=at(20), changed=at(20)) for path, node in DATA.items()},
         Verdict.WIPED),
    ],
    ids=["grown", "empty", "reset", "reset-to-more", "one-tenant-left", "emptied", "touched", "moved", "copied-with-times",
         "other-files-of-the-same-names"],
)  # fmt: skip
def test_a_snapshot_is_judged_by_which_files_it_has(after: Files, verdict: Verdict) -> None:
    assert verdict_of(DATA, after) is verdict


def test_hard_linked_copies_that_are_removed_took_nothing_away() -> None:
    copies = {
        f"snapshots/{n}/{path}": replace(node, path=f"snapshots/{n}/{path}")
        for n in range(9)
        for path, node in DATA.items()
    }
    assert verdict_of(DATA | copies, DATA) is Verdict.KEPT
    assert verdict_of(DATA | copies, {}) is Verdict.WIPED


def test_a_large_cache_that_is_cleaned_is_no_wipe_and_hides_none() -> None:
    cache = files(*(f"cache/{n % 7}/{n}" for n in range(5000)))
    assert verdict_of(DATA | cache, DATA) is Verdict.SHRUNK
    assert verdict_of(DATA | cache, cache) is not Verdict.KEPT
    assert verdict_of(DATA | cache, cache, ignore=("cache/**",)) is Verdict.WIPED
    assert verdict_of(DATA | cache, DATA, ignore=("cache/**",)) is Verdict.KEPT


def test_what_is_never_data_counts_for_nothing() -> None:
    assert verdict_of(DATA, files(".volume-guard/marker.json", "lost+found/1", ".Trash-0/1")) is Verdict.WIPED
    assert verdict_of(DATA | files(".volume-guard/ledger.json"), DATA) is Verdict.KEPT


def test_fewer_files_than_guard_min_files_are_a_loss_also_on_the_first_night() -> None:
    repository = Repository(rule=LossRule(min_files=3))
    repository.add(files("a", "b"))
    assert repository.verdict() is Verdict.WIPED
    assert repository.last_good() is None


def test_the_first_snapshot_is_good_and_so_is_what_follows_an_empty_one() -> None:
    repository = Repository()
    assert repository.last_good() is None
    repository.add({})
    repository.add(DATA)
    assert repository.verdict() is Verdict.KEPT
    assert repository.last_good() == repository.snapshots[1]


def test_a_reset_is_never_the_last_good_one_however_many_follow_and_whoever_made_it() -> None:
    repository = Repository()
    good = repository.add(DATA, GOOD)
    for tags in ((WIPED,), (), (WIPED,), (INCOMPLETE,), ()):
        repository.add(RESET, *tags)
        assert repository.verdict() is Verdict.WIPED or tags == (INCOMPLETE,)
        assert repository.last_good() == good


def test_a_loss_lasts_until_most_of_the_data_is_back() -> None:
    repository = Repository()
    repository.add(DATA, GOOD)
    repository.add({}, WIPED)
    repository.add(tenants("ab"))  # half of it: by itself this would be shrunk
    assert repository.verdict() is Verdict.WIPED
    back = repository.add(tenants("abc") | tenants("d", 6) | RESET)
    assert repository.verdict() is not Verdict.WIPED
    assert repository.last_good() == back


def test_a_loss_that_a_person_tags_as_good_is_accepted() -> None:
    repository = Repository()
    repository.add(DATA, GOOD)
    repository.add(RESET, WIPED)
    repository.add(RESET, GOOD)
    repository.add(RESET | tenants("v"))
    assert repository.verdict() is Verdict.KEPT
    assert repository.last_good() == repository.snapshots[-1]


def test_a_snapshot_of_the_same_tree_is_not_listed() -> None:
    repository = Repository()
    good = repository.add(DATA, GOOD)
    loss = repository.judge.find_loss(LastGood(good), replace(good, snapshot_id="ff"))
    assert (loss.verdict, repository.listings) == (Verdict.KEPT, 0)


def test_only_snapshots_after_the_last_one_that_is_tagged_good_are_listed() -> None:
    repository = Repository()
    for _ in range(20):
        repository.add(DATA, GOOD)
    repository.last_good()
    assert repository.listings == 0


#: What a run finds, and where it is killed: before it judges, before it tags, or not at all.
runs = st.lists(
    st.tuples(
        st.sampled_from(["data", "more", "reset", "empty", "part"]), st.sampled_from(["", "", "archived", "judged"])
    ),
    max_size=8,
)
CONTENTS = {"data": DATA, "more": DATA | tenants("e"), "reset": RESET, "empty": {}, "part": tenants("a", 1)}


@settings(deadline=None, max_examples=40)  # a busy machine is no failure
@given(runs)
def test_whatever_is_killed_the_last_good_snapshot_has_the_data_and_no_reset_evicts_one(
    history: Sequence[tuple[str, str]],
) -> None:
    repository = Repository()
    repository.add(DATA, GOOD)
    kept = repository.snapshots[0].time
    for found, killed in history:
        new = repository.add(CONTENTS[found])
        is_wiped = repository.verdict() is Verdict.WIPED
        assert is_wiped is (found not in {"data", "more"})
        if not is_wiped:
            kept = new.time
        if killed != "archived" and (is_wiped or not killed):
            repository.snapshots[-1] = replace(new, tags=frozenset({WIPED if is_wiped else GOOD}))
        last = repository.last_good()
        assert last is not None
        assert last.time == kept
        # restic forgets by each set of tags: those that are good are evicted by good ones alone.
        good = [one for one in complete(repository.snapshots) if GOOD in one.tags]
        assert all(repository.contents[one.tree] in (CONTENTS["data"], CONTENTS["more"]) for one in good)


names = st.text(st.sampled_from("abc"), min_size=1, max_size=2)
paths = st.lists(names, min_size=1, max_size=4).map("/".join)


def counted(root: Path) -> FileCount:
    descriptor = os.open(root, os.O_RDONLY)
    try:
        return count.count(descriptor, CountOptions(), lambda _: None)
    finally:
        os.close(descriptor)


def listing_of(root: Path) -> Reference:
    """The reference of a listing of the tree, as restic makes one."""
    listing = Listing(Ignore())
    for path in sorted(root.rglob("*"), key=lambda path: path.relative_to(root).parts):
        kind = "dir" if path.is_dir() else "file"
        found, relative = path.stat(), str(path.relative_to(root))
        moment = datetime.fromtimestamp(found.st_mtime, UTC).isoformat()
        listing.on_node(Node(relative, kind, found.st_size, found.st_ino, moment, moment))
    return listing.reference(Snapshot("00", FIRST, str(root), "tree"))


@settings(deadline=None)  # a busy machine is no failure
@given(st.dictionaries(paths, st.sampled_from(["file", "empty", "dir"]), max_size=12))
def test_a_listing_gives_the_reference_that_a_count_of_the_same_tree_gives(wanted: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path, kind in wanted.items():
            made = root / path
            try:
                (made if kind == "dir" else made.parent).mkdir(parents=True, exist_ok=True)
                if kind != "dir":
                    made.write_text("" if kind == "empty" else "x")
            except OSError:  # a file is where a folder was wanted, or the other way round
                continue
        walked, reference = counted(root), listing_of(root)

    assert (reference.files, reference.depth, reference.entry_count) == (walked.files, walked.depth, walked.entry_count)
    assert {(file.path, file.size, file.inode) for file in reference.sample} == {
        (file.path, file.size, file.inode) for file in walked.sample
    }
    assert {name: number for name, number in reference.entries.items() if number} == walked.entries


def test_a_listing_of_many_files_gives_the_sample_of_a_count(
    tmp_path: Path,
) -> None:
    for tenant in range(200):
        folder = tmp_path / "skills" / f"tenant-{tenant}"
        folder.mkdir(parents=True)
        for number in range(1 + tenant % 40):
            (folder / str(number)).write_bytes(b"x" * (tenant * number))
    walked, reference = counted(tmp_path), listing_of(tmp_path)

    def part(sample: FileCount | Reference, wanted: Part) -> set[str]:
        return {file.path for file in sample.sample if file.part is wanted}

    assert (reference.files, reference.depth, reference.entry_count) == (walked.files, walked.depth, 200)
    assert part(reference, Part.HASH) == part(walked, Part.HASH)
    assert part(reference, Part.ENTRY) == part(walked, Part.ENTRY)
    assert part(reference, Part.LARGEST) == part(walked, Part.LARGEST)


def test_a_listing_of_more_folders_than_are_kept_in_mind_is_sampled_in_bounded_memory() -> None:
    listing = Listing(Ignore())
    for node in listed(files(*(f"tenant-{n}/skill/{m}" for n in range(3000) for m in range(3)))):
        listing.on_node(node)
    reference = listing.reference(Snapshot("00", FIRST, "/v", "tree"))
    assert (reference.files, reference.depth, reference.entry_count) == (9000, 1, 3000)
    assert len(reference.sample) == 512
    assert len(reference.entries) <= 512

"""The tripwire, on a folder of this process: what it watches, what wakes the parent, and when it would notice nothing."""

import errno
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, InotifyFD, WatchDescriptor

from guard.probe import requests, tripwire
from guard.probe.requests import ArmRequest, LookRequest
from guard.probe.tripwire import MOVED_TOKEN, STORM, STORM_TOKEN
from guard.volume.observation import TripwireState

DEADLINE = 10.0


@pytest.fixture
def wake() -> Iterator[int]:
    descriptor = os.eventfd(0, os.EFD_NONBLOCK)
    yield descriptor
    if requests._tripwire is not None:
        requests._tripwire.disarm()
        requests._tripwire = None
    os.close(descriptor)


@pytest.fixture
def tree(tmp_path: Path) -> str:
    root = f"{tmp_path}/root"
    for skill in range(5):
        make(f"{root}/{skill}/file")
    return root


def make(path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii"):
        pass


def arm(tree: str, wake: int, *ignore: str) -> TripwireState:
    return ArmRequest(tree, wake, ignore).run(lambda _: None)


def state(tree: str) -> TripwireState:
    return LookRequest(tree, None).run(lambda _: None).tripwire


def signals(wake: int, seconds: float = DEADLINE) -> int:
    """What the parent's eventfd got; waits for it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            return os.eventfd_read(wake)
        except BlockingIOError:
            time.sleep(0.01)
    return 0


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_it_signals_removals_and_moves_out_and_within(tree: str, wake: int) -> None:
    assert arm(tree, wake) == TripwireState(armed=True, watches=6)
    os.unlink(f"{tree}/0/file")
    assert signals(wake) == 1
    os.rename(f"{tree}/1", f"{tree}-elsewhere")
    assert signals(wake) >= 1
    os.rename(f"{tree}/2", f"{tree}/renamed")
    moved = signals(wake)
    assert moved > 0
    assert moved % MOVED_TOKEN == 0
    assert state(tree).armed


def test_a_move_to_what_is_no_data_is_a_removal_and_one_from_there_is_a_creation(tree: str, wake: int) -> None:
    make(f"{tree}/0/new.tmp")
    arm(tree, wake, "*.tmp")
    os.rename(f"{tree}/0/new.tmp", f"{tree}/0/new")
    wait_for(lambda: state(tree).stirred)
    assert signals(wake, 0.2) == 0
    os.rename(f"{tree}/0/file", f"{tree}/0/file.tmp")
    assert signals(wake) == 1


def test_creations_and_reads_wake_nobody(tree: str, wake: int) -> None:
    arm(tree, wake)
    assert not state(tree).stirred
    make(f"{tree}/new")
    with open(f"{tree}/0/file", encoding="ascii") as file:
        file.read()
    wait_for(lambda: state(tree).stirred)
    assert not state(tree).stirred, "it is reported once"
    assert signals(wake, 0.2) == 0


def test_what_is_no_data_is_not_watched_and_signals_nothing(tree: str, wake: int) -> None:
    folders = ("lost+found", ".snapshot", ".Trash-1000", "0/cache", "1/sub/cache", "top")
    for folder in (".volume-guard", *folders):
        make(f"{tree}/{folder}/deep/file")
    assert arm(tree, wake, "cache", "top/**", "*.tmp").watches == 7, "the root, five skills and 1/sub"
    for folder in (".volume-guard", *folders):
        os.unlink(f"{tree}/{folder}/deep/file")
    make(f"{tree}/0/a.tmp")
    os.unlink(f"{tree}/0/a.tmp")
    os.mkdir(f"{tree}/2/cache")
    os.mkdir(f"{tree}/3/new")
    wait_for(lambda: state(tree).watches == 8)
    make(f"{tree}/2/cache/file")
    os.unlink(f"{tree}/2/cache/file")
    assert signals(wake, 0.2) == 0
    os.rmdir(f"{tree}/3/new")
    assert signals(wake) == 1
    wait_for(lambda: state(tree).watches == 7)


def test_a_new_folder_is_watched_with_all_that_lies_in_it(tree: str, wake: int) -> None:
    arm(tree, wake)
    make(f"{tree}-new/a/b/file")
    os.rename(f"{tree}-new", f"{tree}/new")
    wait_for(lambda: state(tree).watches == 9)
    os.unlink(f"{tree}/new/a/b/file")
    assert signals(wake) == 1


@pytest.mark.parametrize("name", ["{}-new", "{}.tmp"], ids=["data", "no data"])
def test_a_storm_is_signalled_and_takes_it_down(tree: str, wake: int, name: str) -> None:
    arm(tree, wake, "*.tmp")
    for number in range(STORM + 10):
        make(f"{tree}/" + name.format(number))
    assert signals(wake) >= STORM_TOKEN
    assert state(tree) == TripwireState(tripped=True, stirred=True)
    assert arm(tree, wake).armed


def test_an_overflow_is_a_storm(tree: str, wake: int) -> None:
    arm(tree, wake)
    wire = requests._tripwire
    assert wire is not None
    wire._inotify.handle_event(InotifyEvent(WatchDescriptor(-1), InotifyConstants.IN_Q_OVERFLOW, 0, b""))
    assert signals(wake) == STORM_TOKEN
    assert state(tree).tripped


def test_dead_threads_and_a_moved_root_are_found_without_a_write(tree: str, wake: int) -> None:
    arm(tree, wake)
    wire = requests._tripwire
    assert wire is not None
    os.rename(tree, f"{tree}-moved")
    assert wire.state().blind == "its root can't be checked: ENOENT"
    os.mkdir(tree)
    assert wire.state().blind == "its root was moved or replaced"
    os.rmdir(tree)
    os.rename(f"{tree}-moved", tree)
    assert wire.state().armed
    wire.disarm()
    assert wire.state().blind == "a thread of the tripwire is dead"


def test_of_a_link_what_it_leads_to_is_watched(tree: str, wake: int) -> None:
    os.symlink(tree, f"{tree}-link")
    assert arm(f"{tree}-link", wake).watches == 6
    os.unlink(f"{tree}/0/file")
    assert signals(wake) == 1
    os.unlink(f"{tree}-link")
    os.symlink(f"{tree}/0", f"{tree}-link")
    assert state(f"{tree}-link").blind == "its root was moved or replaced"


def _has_inotify() -> bool:
    links = (f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd"))
    return any(os.path.islink(link) and "inotify" in os.readlink(link) for link in links)


def test_above_so_many_folders_there_is_none_and_one_that_is_outgrown_is_taken_down(
    tree: str, wake: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tripwire, "FOLDERS", 6)
    assert arm(tree, wake) == TripwireState(armed=True, watches=6)
    os.mkdir(f"{tree}/new")
    wait_for(lambda: state(tree).blind == "it has more than 6 folders")
    assert not _has_inotify()
    assert state(tree) == TripwireState()
    assert arm(tree, wake) == TripwireState(blind="it has more than 6 folders", watches=6)
    assert not _has_inotify()
    assert not state(tree).armed


def _no_watch_is_left(*_: Any) -> int:
    raise OSError(errno.ENOSPC, "inotify watch limit reached")


def _may_not_be_read(*_: Any) -> int:
    return -1  # so watchdog answers EACCES


@pytest.mark.parametrize(
    ("refuse", "reason"),
    [
        (_no_watch_is_left, "no inotify watch is left to this user (fs.inotify.max_user_watches is "),
        (_may_not_be_read, "folder 3 can't be watched: EACCES"),
    ],
    ids=["limit", "permission"],
)
def test_below_a_folder_without_a_watch_it_is_blind(
    tree: str, wake: int, monkeypatch: pytest.MonkeyPatch, refuse: Callable[..., int], reason: str
) -> None:
    add = InotifyFD.add_callback

    def add_or_refuse(self: InotifyFD, path: bytes, *others: Any) -> int:
        return refuse() if path.endswith(b"/3") else add(self, path, *others)

    monkeypatch.setattr(InotifyFD, "add_callback", add_or_refuse)
    found = arm(tree, wake)
    assert (found.armed, found.watches) == (True, 5)
    assert reason in found.blind


@pytest.mark.parametrize("refused", [1, 2])
def test_where_threads_are_refused_it_is_blind_and_leaves_nothing_open(
    tree: str, wake: int, monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    before = (set(os.listdir("/proc/self/fd")), set(threading.enumerate()))
    started = [0]
    start = threading.Thread.start

    def refuse(self: threading.Thread) -> None:
        started[0] += 1
        if started[0] >= refused:
            raise RuntimeError("can't start new thread")
        start(self)

    with monkeypatch.context() as no_threads, warnings.catch_warnings():
        no_threads.setattr(threading.Thread, "start", refuse)
        assert arm(tree, wake) == TripwireState(blind="can't start new thread")
    wait_for(lambda: (set(os.listdir("/proc/self/fd")), set(threading.enumerate())) == before)
    assert arm(tree, wake).armed


def test_no_inotify_instance_is_said(tree: str, wake: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    monkeypatch.setattr(InotifyFD, "_create_inotify_fd", refuse)
    assert "max_user_instances" in arm(tree, wake).blind


def test_armed_again_what_the_last_one_had_is_gone(tree: str, wake: int) -> None:
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(3):
        assert arm(tree, wake) == TripwireState(armed=True, watches=6)
    assert len(set(os.listdir("/proc/self/fd")) - before) == 3, "one instance, and its pipe"
    os.unlink(f"{tree}/0/file")
    assert signals(wake) == 1

"""The way to the prober: what becomes of errands where no other prober can be started."""

import errno
import os
import time

import pytest

from guard.probe.process import Prober
from guard.probe.requests import Count
from guard.volume.observation import CountOptions
from guard.watch.link import Answered, Link


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _refuse() -> int:
    raise BlockingIOError(errno.EAGAIN, "too few processes")


def test_where_none_can_be_started_the_next_errand_says_so_and_a_later_one_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    link = Link(Prober(), 5.0)
    errand = Count("/proc/self/fd", CountOptions())
    with monkeypatch.context() as refused:
        refused.setattr(os, "fork", _refuse)
        link.ask(errand, 0.0)
        link.drop()
        assert (link.busy, link.replies, link.deadline) == (False, None, None)
        assert link.hear(1.0) is None
        open_before = _descriptors()
        for _ in range(3):
            with pytest.raises(BlockingIOError):
                link.ask(errand, 1.0)
        assert not link.busy
        assert _descriptors() == open_before
    link.ask(errand, 2.0)
    deadline = time.monotonic() + 10
    while (heard := link.hear(3.0)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert isinstance(heard, Answered)
    link.close()


def test_without_a_prober_it_can_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link(Prober(), 5.0)
    monkeypatch.setattr(os, "fork", _refuse)
    link.drop()
    link.drop()
    link.close()

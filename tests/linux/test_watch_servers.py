"""The watcher on volumes that a server gives: FUSE shows what NFS and object stores do when they are slow, hung or gone."""

from tests.linux.sandbox import Sandbox
from tests.linux.serving import MARKS, served
from tests.linux.watching import watching

pytestmark = MARKS


def test_a_hung_volume_is_unreachable_after_two_looks_and_recovers(sandbox: Sandbox) -> None:
    with (
        served(sandbox, "slow") as server,
        watching(sandbox, GUARD_PROBE_TIMEOUT="2s", GUARD_WRITABLE="false") as watcher,
    ):
        server.send_signal(19)  # SIGSTOP
        said = watcher.wait_for("volume.unreachable", 20)
        assert said["severity"] == "CRITICAL"
        assert "made no progress for 2 s" in said["found"]
        server.send_signal(18)  # SIGCONT
        watcher.wait_for("volume.recovered", 20)
        assert watcher.events.count("volume.unreachable") == 1
        assert watcher.stop() == 0


def test_a_hung_volume_does_not_delay_the_end(sandbox: Sandbox) -> None:
    with (
        served(sandbox, "slow") as server,
        watching(sandbox, GUARD_PROBE_TIMEOUT="2s", GUARD_WRITABLE="false") as watcher,
    ):
        server.send_signal(19)
        watcher.wait_for("volume.unreachable", 20)
        assert watcher.stop(within=1.5) == 0
        assert watcher.events[-1] == "watch.stopped"


def test_a_dead_server_is_unreachable(sandbox: Sandbox) -> None:
    with (
        served(sandbox, "slow") as server,
        watching(sandbox, GUARD_PROBE_TIMEOUT="2s", GUARD_WRITABLE="false") as watcher,
    ):
        server.kill()
        assert "ENOTCONN" in watcher.wait_for("volume.unreachable", 20)["found"]


def test_a_slow_server_is_not_unreachable(sandbox: Sandbox) -> None:
    with served(sandbox, "slow"), watching(sandbox, GUARD_PROBE_TIMEOUT="2s", GUARD_WRITABLE="false") as watcher:
        watcher.listen_for(12)
        assert [line["event"] for line in watcher.alarms() if line["severity"] != "WARNING"] == []


def test_a_change_that_no_event_tells_is_found_by_looks(sandbox: Sandbox) -> None:
    with served(sandbox, "fast") as server, watching(sandbox, GUARD_MIN_FILES="1", GUARD_WRITABLE="false") as watcher:
        watcher.listen_for(3)
        assert [line for line in watcher.alarms() if line["severity"] == "CRITICAL"] == []
        server.send_signal(10)  # SIGUSR1: every file is gone, on the server
        wiped = watcher.wait_for("volume.wiped", 20)
        assert wiped["after"] == 0
        assert "GUARD_MIN_FILES=1" in wiped["message"]

"""The tripwire on real mounts: a storm costs little and hides nothing; a blind one is said once and healed."""

import os
import time

import pytest

from tests.linux.sandbox import Sandbox
from tests.linux.watching import Watcher, armed, wait_until, watching

pytestmark = pytest.mark.mounts


def _blind_lines(watcher: Watcher) -> list[str]:
    return [line["reason"] for line in watcher.lines if line["event"] == "watch.blind"]


def _command(pid: int) -> str:
    with open(f"/proc/{pid}/comm", encoding="ascii") as name:
        return name.read()


def _with_limit(sandbox: Sandbox, name: str, limit: int) -> list[str]:
    """The watcher in a user namespace of its own, with an inotify limit of its own."""
    script = f'echo {limit} >/proc/sys/user/{name} && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", *sandbox.command("watch")]


def test_a_storm_takes_it_down_and_a_new_one_stands_after_it(adopted: Sandbox) -> None:
    adopted.sh("mkdir $P/many; cd $P/many; for i in $(seq 60); do mkdir $i; (cd $i; seq 50 | xargs touch); done")
    assert adopted.guard("accept").status == 0
    with armed(adopted) as watcher:
        adopted.sh("rm -rf $P/many $P/tenant")
        over = time.time()
        wiped = watcher.wait_for("volume.wiped")
        assert (wiped["before"], wiped["after"], wiped["tripwire"]) == (3010, 0, "events")
        assert time.time() - over < 5
        wait_until(lambda: watcher.shows("tripwire_armed", 1))
        watcher.listen_for(2)
        assert watcher.events == ["watch.started", "volume.wiped"], "a storm is no blindness"


def test_what_is_removed_after_a_storm_is_noticed_again(adopted: Sandbox) -> None:
    with armed(adopted, GUARD_INTERVAL="30s") as watcher:
        adopted.sh("mkdir $P/tmp; cd $P/tmp; seq 500 | xargs touch; cd; rm -rf $P/tmp")
        wait_until(lambda: watcher.shows("tripwire_armed", 0))
        wait_until(lambda: watcher.shows("tripwire_armed", 1))
        adopted.sh("rm -rf $P/tenant")
        watcher.wait_for("volume.wiped", 10)


def test_a_watch_limit_below_the_root_is_said_once_and_a_wipe_is_found_all_the_same(adopted: Sandbox) -> None:
    adopted.sh("mkdir -p $P/tenant/deep/1/2/3/4/5/6/7/8")
    with watching(adopted, _with_limit(adopted, "max_inotify_watches", 3)) as watcher:
        reason = watcher.wait_for("watch.blind")["reason"]
        assert "max_user_watches" in reason
        watcher.listen_for(5)
        assert len(_blind_lines(watcher)) == 1
        adopted.sh("rm -rf $P/tenant")
        watcher.wait_for("volume.wiped")


def test_folders_made_later_beyond_the_watch_limit_are_said_once(adopted: Sandbox) -> None:
    with armed(adopted, _with_limit(adopted, "max_inotify_watches", 12)) as watcher:
        adopted.sh("for i in $(seq 15); do mkdir $P/tenant/$i; sleep 0.1; done; rm $P/tenant/pdf/1")
        assert "max_user_watches" in watcher.wait_for("watch.blind")["reason"]
        assert watcher.shows("tripwire_armed", 0)
        watcher.listen_for(4)
        assert len(_blind_lines(watcher)) == 1
        adopted.sh("rm -rf $P/tenant")
        watcher.wait_for("volume.wiped")


def test_folders_made_all_the_time_are_no_blindness(adopted: Sandbox) -> None:
    with armed(adopted) as watcher:
        adopted.sh("for i in $(seq 40); do mkdir -p $P/new/$i/a/b/c; sleep 0.1; rm -r $P/new/$i; done")
        watcher.listen_for(4)
        assert watcher.events == ["watch.started"]


@pytest.mark.parametrize(
    ("limit", "says"), [("max_inotify_instances", "max_user_instances"), ("max_inotify_watches", "max_user_watches")]
)
def test_no_inotify_at_all_is_said_once_and_a_wipe_is_found_all_the_same(
    adopted: Sandbox, limit: str, says: str
) -> None:
    with watching(adopted, _with_limit(adopted, limit, 0)) as watcher:
        assert says in watcher.wait_for("watch.blind")["reason"]
        adopted.sh("rm -rf $P/tenant")
        watcher.wait_for("volume.wiped")
        assert len(_blind_lines(watcher)) == 1


@pytest.mark.root
def test_a_folder_that_can_not_be_read_is_said_once(adopted: Sandbox) -> None:
    adopted.sh("chmod -R go+rwX $P; mkdir -m 700 $P/private")
    adopted.watcher_uid = 65534
    with watching(adopted) as watcher:
        watcher.wait_for("watch.blind")
        watcher.listen_for(4)
        assert sorted(_blind_lines(watcher)) == [
            "1 of 2 entries cannot be read",
            "folder private can't be watched: EACCES",
        ]
        adopted.sh("rm -rf $P/tenant")
        watcher.wait_for("volume.wiped")


@pytest.mark.root
def test_a_folder_made_later_that_can_not_be_read_is_said_once(adopted: Sandbox) -> None:
    adopted.sh("chmod -R go+rwX $P")
    adopted.watcher_uid = 65534
    with armed(adopted) as watcher:
        adopted.sh("mkdir -m 700 $P/tenant/private; rm $P/tenant/pdf/1")
        assert "tenant/private can't be watched: EACCES" in watcher.wait_for("watch.blind")["reason"]
        watcher.listen_for(4)
        assert len(_blind_lines(watcher)) <= 2


@pytest.mark.root
def test_what_another_user_may_not_read_is_not_lost(adopted: Sandbox) -> None:
    adopted.sh("chmod -R go+rwX $P")
    adopted.watcher_uid = 65534
    with armed(adopted) as watcher:
        adopted.sh("chmod 700 $P/tenant/docx; rm $P/tenant/pdf/1")
        watcher.listen_for(4)
        adopted.sh("chmod 700 $P/tenant; touch $P/new; rm $P/new")
        watcher.listen_for(4)
        assert {line["event"] for line in watcher.alarms()} <= {"watch.blind"}


def test_a_killed_prober_is_replaced_said_and_the_tripwire_stands_again(adopted: Sandbox) -> None:
    with armed(adopted) as watcher:
        with open(f"/proc/{watcher.process.pid}/task/{watcher.process.pid}/children", encoding="ascii") as children:
            (prober,) = (int(pid) for pid in children.read().split())
        os.kill(prober, 9)
        assert "killed by SIGKILL" in watcher.wait_for("watch.blind")["reason"]
        wait_until(lambda: watcher.shows("tripwire_armed", 1))
        adopted.sh("rm -rf $P/tenant")
        watcher.wait_for("volume.wiped")


@pytest.mark.root
def test_where_no_prober_can_be_started_the_watch_goes_on_and_looks_as_soon_as_one_can(adopted: Sandbox) -> None:
    uid, limit = 54321, 15
    adopted.sh("chmod -R go+rwX $P")
    adopted.watcher_uid = uid
    command = ["prlimit", f"--nproc={limit}:{limit}", "--", *adopted.as_user(uid, "watch")]
    with armed(adopted, command, **adopted.paths_of_another_user()) as watcher:
        crowd = [adopted.start(["setpriv", f"--reuid={uid}", "--clear-groups", "sleep", "60"]) for _ in range(limit)]
        wait_until(lambda: all("sleep" in _command(process.pid) for process in crowd))
        with open(f"/proc/{watcher.process.pid}/task/{watcher.process.pid}/children", encoding="ascii") as children:
            (prober,) = (int(pid) for pid in children.read().split())
        os.kill(prober, 9)
        unreachable = watcher.wait_for("volume.unreachable")
        assert "EAGAIN while starting the process" in unreachable["message"]
        for process in crowd:
            process.kill()
            process.wait()
        watcher.wait_for("volume.recovered")
        wait_until(lambda: watcher.shows("tripwire_armed", 1))
        assert watcher.stop() == 0


def test_a_tree_of_too_many_folders_has_none_and_a_wipe_is_found_by_looks(adopted: Sandbox) -> None:
    adopted.sh("mkdir $P/many; cd $P/many; seq 10001 | xargs mkdir; for i in $(seq 10); do touch $i/file; done")
    assert adopted.guard("accept").status == 0
    with watching(adopted) as watcher:
        assert "no tripwire above 10000 folders" in watcher.lines[0]["message"]
        watcher.listen_for(3)
        adopted.sh("rm -rf $P/many $P/tenant")
        assert watcher.wait_for("volume.wiped")["tripwire"] == "look"
        assert watcher.events == ["watch.started", "volume.wiped"]


def test_a_tree_that_outgrows_its_tripwire_is_said_and_a_wipe_is_found_by_looks(adopted: Sandbox) -> None:
    with armed(adopted) as watcher:
        adopted.sh("mkdir $P/many; cd $P/many; seq 10001 | xargs mkdir")
        outgrown = watcher.wait_for("watch.blind", 30)
        assert (outgrown["severity"], "more than 10000" in outgrown["reason"]) == ("INFO", True)
        adopted.sh("rm -rf $P/tenant")
        watcher.wait_for("volume.wiped")
        assert watcher.events == ["watch.started", "watch.blind", "volume.wiped"]

"""The watcher's edges: its pages, its readers, its signals. None of them can stall or end the watch."""

import fcntl
import os
import socket
import subprocess
import time

import pytest

from tests.linux.sandbox import Sandbox
from tests.linux.watching import QUICK, SOON, Watcher, armed, free_port, get, wait_until, watching

pytestmark = pytest.mark.mounts


def test_the_pages_say_how_it_is(adopted: Sandbox) -> None:
    with armed(adopted, GUARD_NODE="node-1") as watcher:
        assert get(watcher.port, "/livez")[0] == 200
        assert get(watcher.port, "/readyz")[0] == 200
        assert get(watcher.port, "/nothing")[0] == 404
        for name, value, labels in (
            ("volume_healthy", 1, ""),
            ("files", 10, ""),
            ("reference_files", 10, ""),
            ("volume_status_condition", 1, '{type="content",status="true"}'),
            ("volume_status_condition", 1, '{type="writable",status="true"}'),
            ("volume_info", 1, '{volume="skills",kind="memory",fstype="tmpfs",node="node-1"}'),
            ("incidents_total", 0, '{event="volume.wiped"}'),
        ):
            assert watcher.shows(name, value, labels), name
        adopted.sh("rm -rf $P/tenant")
        watcher.wait_for("volume.wiped")
        for name, value, labels in (
            ("volume_healthy", 0, ""),
            ("files", 0, ""),
            ("reference_files", 10, ""),
            ("volume_status_condition", 1, '{type="content",status="false"}'),
            ("volume_status_condition", 1, '{type="mounted",status="true"}'),
            ("incidents_total", 1, '{event="volume.wiped"}'),
        ):
            assert watcher.shows(name, value, labels), name
        assert get(watcher.port, "/livez")[0] == 200
        assert get(watcher.port, "/readyz")[0] == 200, "GUARD_ON_WIPE=log"


def test_an_unready_watcher_is_ready_again_once_the_data_is_back(adopted: Sandbox) -> None:
    adopted.sh("cp -a $P $W/copy")
    with armed(adopted, GUARD_ON_WIPE="unready") as watcher:
        assert get(watcher.port, "/readyz")[0] == 200
        adopted.sh("rm -rf $P/tenant")
        watcher.wait_for("volume.wiped")
        assert get(watcher.port, "/readyz")[0] == 503
        assert get(watcher.port, "/livez")[0] == 200
        adopted.sh("cp -a $W/copy/. $P")
        watcher.wait_for("volume.recovered")
        assert get(watcher.port, "/readyz")[0] == 200


def test_a_stopped_loop_is_not_alive(adopted: Sandbox) -> None:
    """The prober is stopped: its look is complete only when its deadline has passed, and then counts as one."""
    with armed(adopted, GUARD_PROBE_TIMEOUT="1s") as watcher:
        with open(f"/proc/{watcher.process.pid}/task/{watcher.process.pid}/children", encoding="ascii") as children:
            (prober,) = (int(pid) for pid in children.read().split())
        os.kill(prober, 19)
        watcher.listen_for(6)
        assert get(watcher.port, "/livez")[0] == 200
        assert "volume.unreachable" not in watcher.events, "a replacement looked"


def test_a_port_in_use_is_said_and_taken_when_it_is_free(adopted: Sandbox) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with watching(adopted, GUARD_LISTEN=f"127.0.0.1:{port}") as watcher:
            watcher.listen_for(3)
            (said,) = [line for line in watcher.lines if f"127.0.0.1:{port}" in line["message"]]
            assert (said["event"], said["severity"]) == ("watch.listening", "WARNING")
            adopted.sh("rm -rf $P/tenant")
            watcher.wait_for("volume.wiped")
            taken.close()
            wait_until(lambda: get(port, "/livez")[0] == 200)


def test_an_interval_longer_than_poll_can_wait_is_waited_for(sandbox: Sandbox) -> None:
    with watching(sandbox, GUARD_INTERVAL="30d", GUARD_PROBE_TIMEOUT="30d") as watcher:
        watcher.wait_for("volume.refused")
        watcher.listen_for(2)
        assert watcher.stop() == 0


def test_slow_silent_and_half_open_clients_cost_nothing(adopted: Sandbox) -> None:
    with armed(adopted) as watcher:
        clients = [socket.create_connection(("127.0.0.1", watcher.port)) for _ in range(40)]
        clients[-1].sendall(b"GET /met")
        clients[-2].sendall(b"\x00" * 20_000)
        began = time.monotonic()
        assert get(watcher.port, "/livez")[0] == 200
        assert time.monotonic() - began < 1
        adopted.sh("rm -rf $P/tenant")
        watcher.wait_for("volume.wiped")
        for client in clients:
            client.close()
        assert watcher.stop() == 0


@pytest.mark.parametrize("number", [15, 2])
def test_a_signal_ends_it_within_a_second_with_status_0(adopted: Sandbox, number: int) -> None:
    with armed(adopted) as watcher:
        watcher.process.send_signal(number)
        began = time.monotonic()
        assert watcher.end(within=5) == 0
        assert time.monotonic() - began < 1.5
        assert watcher.events == ["watch.started", "watch.stopped"]
        assert "the ledger is written" in watcher.lines[-1]["message"]


def test_a_signal_ends_it_within_a_second_in_a_storm(adopted: Sandbox) -> None:
    storm = "cd $P; while :; do mkdir storm; seq 300 | xargs -I{} touch storm/{}; rm -rf storm; done"
    with armed(adopted) as watcher:
        environment = {**os.environ, "P": adopted.path}
        with adopted.start(["timeout", "30", "sh", "-c", storm], env=environment) as process:
            try:
                watcher.listen_for(3)
                watcher.process.send_signal(15)
                began = time.monotonic()
                assert watcher.end(within=5) == 0
                assert time.monotonic() - began < 2
                assert watcher.events == ["watch.started", "watch.stopped"]
            finally:
                process.terminate()


def test_nobody_is_left_behind(adopted: Sandbox) -> None:
    with armed(adopted) as watcher:
        group = _children(watcher.process.pid)
        assert len(group) == 1
        assert watcher.stop() == 0
        wait_until(lambda: not os.path.exists(f"/proc/{group[0]}"))


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [int(child) for child in children.read().split()]


def test_a_reader_who_does_not_read_stalls_nothing_and_gets_every_line_when_it_does(adopted: Sandbox) -> None:
    port = free_port()
    environment = adopted.environment({**QUICK, "GUARD_LISTEN": f"127.0.0.1:{port}"})
    with adopted.start(adopted.command("watch"), env=environment, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, 4096)
            wait_until(lambda: get(port, "/livez")[0] == 200)
            for _ in range(12):
                adopted.sh("mount -t tmpfs other $P; sleep 0.2; umount $P; sleep 0.2")
            assert get(port, "/livez")[0] == 200
            watcher = Watcher(process)
            watcher.listen_for(3)
            assert watcher.events.count("volume.replaced") == 12
            assert watcher.events.count("volume.recovered") == 12
            assert watcher.stop(within=5) == 0
        finally:
            process.kill()


def test_a_reader_who_is_gone_stalls_nothing(adopted: Sandbox) -> None:
    port = free_port()
    environment = adopted.environment({**QUICK, "GUARD_LISTEN": f"127.0.0.1:{port}"})
    with adopted.start(adopted.command("watch"), env=environment, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            process.stderr.close()
            wait_until(lambda: get(port, "/livez")[0] == 200)
            adopted.sh("rm -rf $P/tenant")
            wait_until(lambda: 'incidents_total{event="volume.wiped"} 1' in get(port, "/metrics")[1])
            process.terminate()
            assert process.wait(2) == 0
        finally:
            process.kill()


def test_settings_that_are_wrong_end_it_with_usage_and_all_of_them(adopted: Sandbox) -> None:
    ended = adopted.guard("watch", "--nothing", "1", GUARD_INTERVAL="often", GUARD_LISTEN="here", GUARD_INTERVALL="1s")
    assert ended.status == 2
    for words in ("GUARD_INTERVAL='often'", "GUARD_LISTEN", "unknown setting GUARD_INTERVALL", "--nothing"):
        assert words in ended.termination
    assert ended.events() == ["usage"]


def test_a_volume_that_is_not_there_yet_is_watched_until_it_is(sandbox: Sandbox, adopted_tree: str) -> None:
    with watching(sandbox, GUARD_KINDS="memory") as watcher:
        assert "not-mounted" in watcher.wait_for("volume.refused")["message"]
        sandbox.sh("mount -t tmpfs volume $P; cp -a $TREE/. $P", TREE=adopted_tree)
        watcher.wait_for("volume.recovered", SOON)
        sandbox.sh("rm -rf $P/tenant")
        wiped = watcher.wait_for("volume.wiped", SOON)
        assert wiped["before"] == 10


def test_times_of_years_are_watched_as_those_of_seconds(adopted: Sandbox) -> None:
    years = "999999999d"
    with watching(adopted, GUARD_PROBE_TIMEOUT=years, GUARD_INTERVAL=years, GUARD_SETTLE=years) as watcher:
        assert watcher.stop() == 0

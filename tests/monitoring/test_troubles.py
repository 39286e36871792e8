"""Each trouble of a real volume, under a real watcher, in a real Prometheus: its alert, no other, and its end."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.linux import fuse_server
from tests.linux.sandbox import until
from tests.monitoring.alerts import AT_ONCE, EXPRESSIONS
from tests.monitoring.server import Prometheus, free_port
from tests.monitoring.watched import Watched, kube_state_metrics, running, target, watched
from tests.monitoring.wrapping import RULES

pytestmark = pytest.mark.mounts

#: Seconds that a watcher, a scrape and an evaluation may take on a busy machine.
PATIENCE = 60.0


@dataclass(frozen=True)
class Trouble:
    """What goes wrong, and comes right again.

    Attributes:
        alert: The one that tells.
        event: What the watcher says.
        cause: Shell lines, or the arguments of a command of the guard.
        mend: The same.
        remains: The alert outlives the trouble: it is about what happened, not about what is.
    """

    alert: str
    event: str
    cause: str | tuple[str, ...]
    mend: str | tuple[str, ...]
    remains: bool = False


TROUBLES = {
    "wiped": Trouble("VolumeGuardWiped", "volume.wiped", "rm -rf $P/tenant", "cp -a $W/kept/tenant $P/"),
    "shrunk": Trouble(
        "VolumeGuardShrunk",
        "volume.shrunk",
        "rm $P/tenant/pdf/*",
        "cp -a $W/kept/tenant/pdf/. $P/tenant/pdf/",
        remains=True,
    ),
    "unmounted": Trouble("VolumeGuardUnmounted", "volume.unmounted", "umount -l $P", "mount --bind $V $P"),
    "replaced": Trouble("VolumeGuardReplaced", "volume.replaced", "mount -t tmpfs other $P", "umount -l $P"),
    "marker": Trouble(
        "VolumeGuardMarker",
        "marker.missing",
        "mv $P/.volume-guard/marker.json $W/",
        "mv $W/marker.json $P/.volume-guard/",
    ),
    "read-only": Trouble("VolumeGuardReadOnly", "volume.read-only", "mount -o remount,ro $V", "mount -o remount,rw $V"),
    "held": Trouble("VolumeGuardHeldTooLong", "volume.held", ("hold", "a restore"), ("release",)),
}
PORTS = {name: free_port() for name in (*TROUBLES, "hung", "silent")}


def pod(name: str) -> str:
    return f"skills-{name}"


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with ExitStack() as stack:
        page = "".join(running(pod(name)) for name in PORTS)
        pods = [target(pod(name), port) for name, port in PORTS.items()]
        state = stack.enter_context(kube_state_metrics(free_port(), page))
        yield stack.enter_context(Prometheus(tmp_path_factory.mktemp("prometheus"), [*pods, state], RULES))


def told(prometheus: Prometheus, name: str) -> set[str]:
    """The alerts whose expressions hold for this pod."""
    return {
        alert
        for alert, expression in EXPRESSIONS.items()
        if any(sample.labels.get("pod") == pod(name) for sample in prometheus.query(expression))
    }


def await_told(prometheus: Prometheus, name: str, expected: set[str]) -> None:
    """Waits until these alerts tell of this pod, and no other."""
    deadline = time.monotonic() + PATIENCE
    while (now := told(prometheus, name)) != expected:
        assert time.monotonic() < deadline, f"{now} tell of it, not {expected}"
        time.sleep(0.2)


def right(prometheus: Prometheus, name: str) -> bool:
    """Whether Prometheus has seen that the watcher finds nothing wrong, and counts."""
    found = prometheus.query(
        f'volume_guard_volume_healthy{{pod="{pod(name)}"}} == 1'
        f' and on (pod) volume_guard_volume_status_condition{{type="content", status="true"}} == 1'
    )
    return bool(found)


def do(one: Watched, what: str | tuple[str, ...]) -> None:
    if isinstance(what, str):
        one.sh(what)
    else:
        one.guard(*what)


@pytest.mark.parametrize("name", TROUBLES)
def test_a_trouble_is_told_by_its_own_alert_until_it_is_over(name: str, prometheus: Prometheus) -> None:
    trouble = TROUBLES[name]
    with watched(pod(name), PORTS[name]) as one:
        until(lambda: right(prometheus, name), PATIENCE)
        assert told(prometheus, name) == set()

        do(one, trouble.cause)
        one.hears(trouble.event)
        await_told(prometheus, name, {trouble.alert})
        if trouble.alert in AT_ONCE:
            until(lambda: trouble.alert in prometheus.firing(), PATIENCE)

        do(one, trouble.mend)
        until(lambda: right(prometheus, name), PATIENCE)
        assert told(prometheus, name) == ({trouble.alert} if trouble.remains else set())


@pytest.mark.root
@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="this kernel has no /dev/fuse")
def test_a_volume_that_hangs_is_told_as_unreachable(prometheus: Prometheus) -> None:
    name = "hung"
    with watched(pod(name), PORTS[name]) as one:
        until(lambda: right(prometheus, name), PATIENCE)
        command = [sys.executable, os.path.abspath(fuse_server.__file__), "hung", one.sandbox.path, "skills"]
        with one.sandbox.start(command, stdout=subprocess.PIPE) as server:
            try:
                one.hears("volume.unreachable")
                await_told(prometheus, name, {"VolumeGuardUnreachable"})
            finally:
                server.kill()  # also lets go of whatever is stuck in a call
        one.sh("umount -l $P")
        until(lambda: right(prometheus, name), PATIENCE)
        assert told(prometheus, name) == set()


def test_a_pod_whose_watcher_is_not_heard_is_told_and_no_other(prometheus: Prometheus) -> None:
    silent = PORTS.keys()
    until(lambda: all("VolumeGuardWatcherAbsent" in told(prometheus, name) for name in silent), PATIENCE)
    assert {alert for name in silent for alert in told(prometheus, name)} <= {
        "VolumeGuardWatcherAbsent",
        "VolumeGuardShrunk",
    }

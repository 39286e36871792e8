"""What the watcher costs, and how soon it knows: ratios and times of one run, against the numbers it is to reach.

    python tests/bench/watcher.py [rest|mount|wipe|large|churn SECONDS]...

Run as root or where user namespaces can be had; on tmpfs, in a mount namespace of its own.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, REPOSITORY)

from tests.linux.sandbox import Sandbox  # noqa: E402 - found by the line above
from tests.linux.watching import armed, wait_until  # noqa: E402

#: Seconds that the watcher at rest is measured.
REST = 60
#: As the watcher runs by default, and nothing else.
DEFAULTS = {"GUARD_INTERVAL": "10s", "GUARD_SETTLE": "2s"}


def main(wanted: list[str]) -> None:
    """Runs what is asked for, or all but the long ones."""
    words = iter(wanted or ["rest", "mount", "wipe"])
    for name in words:
        match name:
            case "rest":
                rest()
            case "mount":
                mount()
            case "wipe":
                wipe(100_000)
                wipe(100_000, writes=True)
            case "large":
                wipe(1_000_000)
            case "churn":
                churn(float(next(words)))
            case _:
                raise SystemExit(f"{name} is no benchmark: rest, mount, wipe, large, churn SECONDS")


def rest() -> None:
    """2,000 files, and an application that reads 100 of them a second."""
    with volume(2_000) as sandbox, armed(sandbox, None, **DEFAULTS) as watcher:
        read = "while :; do for i in $(seq 10); do cat $P/tenant/$i/1 >/dev/null; done; sleep 0.1; done"
        with sandbox.start(["sh", "-c", read], env={**os.environ, "P": sandbox.path}) as reader:
            watcher.listen_for(15)  # the first ledger is written
            pids = family(watcher.process.pid)
            before, began = (wakeups(pids), cpu_at_rest(pids)), time.monotonic()
            watcher.listen_for(REST)
            seconds = time.monotonic() - began
            woken = (wakeups(pids) - before[0]) * 60 / seconds
            share = (cpu_at_rest(pids) - before[1]) / seconds
            reader.kill()
        memory, floor = pss(pids), imports_pss()
        show("at rest, wake-ups a minute, all threads", f"{woken:.0f}", "30")
        show("at rest, share of a core", f"{share:.3%}", "0.03 %")
        show("PSS of all processes : import structlog, watchdog.observers", f"{memory / floor:.2f}", "1.4")
        say(f"    {memory / 1024:.1f} MiB : {floor / 1024:.1f} MiB")
        assert watcher.events == ["watch.started"], watcher.events


def mount() -> None:
    """From umount's return to the line's own time."""
    late = []
    with volume(100) as sandbox, armed(sandbox, GUARD_INTERVAL="60s") as watcher:
        for _ in range(10):
            sandbox.sh("mount -t tmpfs other $P")
            over = time.time()
            line = watcher.wait_for("volume.replaced", after=len(watcher.lines))
            late.append(datetime.fromisoformat(line["time"]).timestamp() - over)
            sandbox.sh("umount $P")
            watcher.wait_for("volume.recovered", after=len(watcher.lines) - 1)
            watcher.listen_for(1)
    show("mount change to log line, median, ms", f"{statistics.median(late) * 1000:.0f}", "50")


def wipe(files: int, *, writes: bool = False) -> None:
    """`rm -rf` of a whole tree; with `writes` while the application writes a file a second."""
    also = ", one write a second" if writes else ""
    with volume(files) as sandbox, armed(sandbox, None, **DEFAULTS) as watcher:
        watcher.listen_for(20 if files > 500_000 else 5)
        pids = family(watcher.process.pid)
        before, said = cpu(pids), len(watcher.lines)
        write = "mkdir $P/new; while :; do date >$P/new/$(date +%s%N); sleep 1; done" if writes else ":"
        with sandbox.start(["sh", "-c", write], env={**os.environ, "P": sandbox.path}) as writer:
            sandbox.sh("rm -rf $P/tenant")
            over = time.time()
            line = watcher.wait_for("volume.wiped", 120, after=said)
            writer.kill()
        late = datetime.fromisoformat(line["time"]).timestamp() - over
        spent = cpu(pids) - before
        show(f"verdict after the end of rm -rf of {files:,} files{also}, s", f"{late:.2f}", "2.5")
        show(f"CPU until then, s ({files:,} files{also})", f"{spent:.2f}", "0.3")
        assert line["before"] == files


def churn(seconds: float) -> None:
    """Create, rename and delete at full speed beside a volume of 2,000 files."""
    with volume(2_000) as sandbox, armed(sandbox, None, **DEFAULTS) as watcher:
        pids = family(watcher.process.pid)
        count_threads(pids)
        before, began = cpu(pids), time.monotonic()
        with sandbox.start([sys.executable, "-c", CHURN, sandbox.path, str(seconds)]) as process:
            watcher.listen_for(seconds)
            process.wait()
        share = (cpu(pids) - before) / (time.monotonic() - began)
        show(f"{seconds:.0f} s of churn, share of a core", f"{share:.1%}", "2 %")
        wait_until(lambda: watcher.shows("tripwire_armed", 1), 120)
        assert watcher.events == ["watch.started"], watcher.lines


CHURN = """
import os, sys, time
root, until = sys.argv[1] + "/churn", time.monotonic() + float(sys.argv[2])
os.mkdir(root)
while time.monotonic() < until:
    for i in range(200):
        open(f"{root}/{i}", "w").close()
    for i in range(200):
        os.rename(f"{root}/{i}", f"{root}/{i}.new")
    for i in range(200):
        os.unlink(f"{root}/{i}.new")
"""


@contextmanager
def volume(files: int) -> Iterator[Sandbox]:
    """An adopted volume with so many files, 20 in each skill; more where there would be more than a thousand skills."""
    each = max(20, files // 1_000)
    with Sandbox() as sandbox:
        sandbox.defaults["GUARD_KINDS"] = "memory"
        sandbox.sh("mount -t tmpfs -o mode=755,size=4g,nr_inodes=3m volume $P")
        subprocess.run(
            [*sandbox._enter, sys.executable, "-c", FILL, f"{sandbox.path}/tenant", str(files // each), str(each)],
            check=True,
        )
        adopted = sandbox.guard("adopt")
        assert adopted.status == 0, adopted.stderr
        yield sandbox


FILL = """
import os, sys
root, folders, each = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for folder in range(folders):
    os.makedirs(f"{root}/{folder}")
    for file in range(each):
        with open(f"{root}/{folder}/{file}", "w") as out:
            out.write("x")
"""


def family(pid: int) -> list[int]:
    """A process and its children."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [pid, *map(int, children.read().split())]


def cpu(pids: list[int]) -> float:
    """Seconds of CPU of all their threads, those that have ended too; to a hundredth."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            user, system = stat.read().rpartition(")")[2].split()[11:13]
        ticks += int(user) + int(system)
    return ticks / os.sysconf("SC_CLK_TCK")


def cpu_at_rest(pids: list[int]) -> float:
    """The same where no thread ends, to a nanosecond."""
    total = 0.0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as own:
                total += int(own.read().split()[0]) / 1e9
    return total


def wakeups(pids: list[int]) -> int:
    """Voluntary context switches of every thread."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as status:
                total += sum(int(line.split()[1]) for line in status if line.startswith("voluntary"))
    return total


def count_threads(pids: list[int]) -> int:
    """Threads of all of them."""
    return sum(len(os.listdir(f"/proc/{pid}/task")) for pid in pids)


def pss(pids: list[int]) -> int:
    """Proportional set size of all of them, in KiB."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
            total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    return total


def imports_pss() -> int:
    """The floor: both packages in one process that does nothing."""
    code = "import structlog, watchdog.observers, sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = pss([process.pid])
        process.communicate()
    return found


def say(line: str) -> None:
    """One line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def show(what: str, found: str, goal: str) -> None:
    """One line: what, how much, and how much it may be."""
    say(f"{what}: {found} (goal {goal})")


if __name__ == "__main__":
    main(sys.argv[1:])

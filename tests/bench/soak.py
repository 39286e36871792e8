"""Ten minutes of an application's random life on the incident's layout, with real losses at random moments.

    python tests/bench/soak.py [SECONDS [SEED]]

Losses are wipes, resets to other files and refills in parts; the watcher is restarted in calm times and in an incident.
Ends with 1 where a loss was missed, one was invented, a thread died, or memory grew by more than a tenth.
"""

import os
import random
import shutil
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, REPOSITORY)

from tests.bench.watcher import count_threads, family, pss, say  # noqa: E402 - found by the line above
from tests.linux.sandbox import Sandbox  # noqa: E402
from tests.linux.watching import armed, wait_until  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

TENANTS = 8
SKILLS = 5
FILES = 12
SNAPSHOTS = 3
SPOOL = 20
#: Seconds between two losses or restarts, at most.
QUIET = 45.0


class Application:
    """Uploads, updates, reads, spools and makes snapshots, as the skill server does; it never loses a skill by itself.

    Args:
        root: The volume, as this process sees it.
        chance: Where its choices come from.
    """

    def __init__(self, root: str, chance: random.Random) -> None:
        self.root = root
        self.chance = chance
        self.extra: list[str] = []
        self.snapshots: list[str] = []
        self.spooled: list[str] = []

    def live(self) -> None:
        """Does one thing."""
        doing: list[Callable[[], None]] = [
            self.upload, self.update, self.delete, self.read, self.work, self.rewrite, self.snapshot, self.spool,
        ]  # fmt: skip
        self.chance.choice(doing)()

    def skill(self) -> str:
        """One of the skills that are always there."""
        return f"{self.root}/tenant-{self.chance.randrange(TENANTS)}/skill-{self.chance.randrange(SKILLS)}"

    def write(self, folder: str) -> None:
        """A skill's files."""
        os.makedirs(folder, exist_ok=True)
        for number in range(FILES):
            with open(f"{folder}/{number}.md", "w", encoding="ascii") as file:
                file.write("x" * self.chance.randrange(4000, 9000))

    def upload(self) -> None:
        """A new skill."""
        name = f"{self.root}/tenant-{self.chance.randrange(TENANTS)}/new-{time.monotonic_ns()}"
        self.write(name)
        self.extra.append(name)

    def update(self) -> None:
        """Removes a skill and writes it again."""
        skill = self.skill()
        shutil.rmtree(skill)
        time.sleep(self.chance.random() * 0.2)
        self.write(skill)

    def delete(self) -> None:
        """Removes a skill that was uploaded."""
        if self.extra:
            shutil.rmtree(self.extra.pop(self.chance.randrange(len(self.extra))))

    def read(self) -> None:
        """Reads a skill."""
        for entry in os.scandir(self.skill()):
            with open(entry.path, "rb") as file:
                file.read()

    def work(self) -> None:
        """Unpacks a tree and throws it away."""
        tree = f"{self.root}/.work-{time.monotonic_ns()}"
        for number in range(self.chance.randrange(1, 12)):
            self.write(f"{tree}/{number}")
        shutil.rmtree(tree)

    def rewrite(self) -> None:
        """Replaces a file in one step."""
        target = f"{self.skill()}/0.md"
        with open(f"{target}.tmp", "w", encoding="ascii") as file:
            file.write("new" * 1500)
        os.rename(f"{target}.tmp", target)

    def snapshot(self) -> None:
        """Links all files of a tenant into a snapshot, and removes the oldest one."""
        tenant = f"{self.root}/tenant-{self.chance.randrange(TENANTS)}"
        self.snapshots.append(f"{self.root}/snapshots/{time.monotonic_ns()}")
        shutil.copytree(tenant, self.snapshots[-1], copy_function=os.link)
        if len(self.snapshots) > SNAPSHOTS:
            shutil.rmtree(self.snapshots.pop(0))

    def spool(self) -> None:
        """Writes some files that are removed once so many others came."""
        os.makedirs(f"{self.root}/spool", exist_ok=True)
        for _ in range(5):
            self.spooled.append(f"{self.root}/spool/{time.monotonic_ns()}")
            with open(self.spooled[-1], "w", encoding="ascii") as file:
                file.write("job")
        while len(self.spooled) > SPOOL:
            os.unlink(self.spooled.pop(0))

    def wipe(self) -> None:
        """Removes everything."""
        for entry in list(os.scandir(self.root)):
            if entry.name != ".volume-guard":
                shutil.rmtree(entry.path)
        self.extra, self.snapshots, self.spooled = [], [], []

    def reset(self) -> None:
        """Removes everything, and fills the volume with other files at once."""
        self.wipe()
        for number in range(TENANTS * SKILLS):
            self.write(f"{self.root}/default/{number}")


class Soak:
    """One run: the application's life, the watcher beside it, and what was seen.

    Args:
        sandbox: With the volume.
        application: On it.
    """

    def __init__(self, sandbox: Sandbox, application: Application) -> None:
        self.sandbox = sandbox
        self.application = application
        self.late: list[float] = []
        self.restarts = 0
        self._stack = ExitStack()
        self._start()

    def _start(self) -> None:
        self.watcher = self._stack.enter_context(armed(self.sandbox, GUARD_INTERVAL="10s", GUARD_SETTLE="2s"))
        self.pids = family(self.watcher.process.pid)
        self.threads, self.memory = count_threads(self.pids), 0

    def close(self) -> None:
        """Ends the watcher."""
        assert self.watcher.stop() == 0
        self._stack.close()

    def restart(self) -> None:
        """Ends the watcher, and starts another one."""
        self.close()
        self._start()
        self.restarts += 1

    def live(self, seconds: float) -> None:
        """Lets the application live; fails where anything is reported."""
        before, until = len(self.watcher.lines), time.monotonic() + seconds
        while time.monotonic() < until:
            self.application.live()
            self.watcher.read(self.application.chance.random() * 0.1)
            wrong = [line for line in self.watcher.lines[before:] if line["severity"] not in {"DEBUG", "INFO"}]
            if wrong:
                raise AssertionError(f"reported without cause: {wrong}")
        self.memory = self.memory or pss(self.pids)

    def lose(self) -> None:
        """Loses everything in some way, and brings it back in some way."""
        application, chance, before = self.application, self.application.chance, len(self.watcher.lines)
        chance.choice([application.wipe, application.reset])()
        over = time.monotonic()
        self.watcher.wait_for("volume.wiped", 90, after=before)
        self.late.append(time.monotonic() - over)
        if chance.random() < 0.5:
            self.restart()
            before = 0
            self.watcher.wait_for("volume.wiped", 30)
        if chance.random() < 0.5:
            self.sandbox.sh("cp -a $W/copy/tenant-[0-3] $P")
            self.watcher.listen_for(6)
            assert "volume.recovered" not in self.watcher.events[before:], "half of the files ended the incident"
        self.sandbox.sh("cp -a $W/copy/. $P")
        self.watcher.wait_for("volume.recovered", 90, after=before)
        shutil.rmtree(f"{application.root}/default", ignore_errors=True)


def main(seconds: float, seed: int) -> int:
    """Runs it; the exit status."""
    say(f"{seconds:.0f} s of random life, seed {seed}")
    chance = random.Random(seed)
    with Sandbox() as sandbox:
        sandbox.defaults["GUARD_KINDS"] = "memory"
        sandbox.sh("mount -t tmpfs -o mode=755 volume $P")
        # The volume as this process sees it: through the sandbox's own root.
        application = Application(f"/proc/{sandbox._holder.pid}/root{sandbox.path}", chance)
        for tenant in range(TENANTS):
            for skill in range(SKILLS):
                application.write(f"{application.root}/tenant-{tenant}/skill-{skill}")
        sandbox.sh("cp -a $P/. $W/copy")
        adopted = sandbox.guard("adopt")
        assert adopted.status == 0, adopted.stderr
        until = time.monotonic() + seconds
        soak = Soak(sandbox, application)
        try:
            while time.monotonic() < until:
                soak.live(QUIET * (0.5 + chance.random() / 2))
                chance.choice([soak.restart, soak.lose, soak.lose])()
        except AssertionError as error:
            say(f"FAILED: {error}")
            return 1
        return _end(soak)


def _end(soak: Soak) -> int:
    soak.live(QUIET)
    wait_until(lambda: soak.watcher.shows("tripwire_armed", 1), 60)
    memory, pids = soak.memory, family(soak.watcher.process.pid)
    grown, same = pss(pids) / memory, count_threads(pids) == soak.threads
    soak.close()
    say(
        f"{len(soak.late)} losses, all reported, the latest {max(soak.late, default=0):.1f} s after its end; none invented; "
        f"{soak.restarts} restarts"
    )
    say(f"threads the same: {same}; memory at the end : after the first minute {grown:.2f}")
    return 0 if same and grown < 1.1 else 1


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main(float(words[0]) if words else 600, int(words[1]) if len(words) > 1 else time.time_ns() % 10**6))

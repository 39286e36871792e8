"""Ten minutes of an application's random life on the incident's layout, with real wipes at random moments.

    python tests/bench/soak.py [SECONDS [SEED]]

Ends with 1 where a wipe was missed, one was invented, a thread died, or memory grew by more than a tenth.
"""

import os
import random
import shutil
import sys
import time
from typing import TYPE_CHECKING

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, REPOSITORY)

from tests.bench.watcher import count_threads, family, pss, say  # noqa: E402 - found by the line above
from tests.linux.sandbox import Sandbox  # noqa: E402
from tests.linux.watching import Watcher, armed, wait_until  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

TENANTS = 8
SKILLS = 5
FILES = 12
#: Seconds between two wipes, at most.
QUIET = 45.0


class Application:
    """Uploads, updates, deletes, reads and works in temporary trees, as the skill server does; it never loses a skill.

    Args:
        root: The volume, as this process sees it.
        chance: Where its choices come from.
    """

    def __init__(self, root: str, chance: random.Random) -> None:
        self.root = root
        self.chance = chance
        self.extra: list[str] = []

    def live(self) -> None:
        """Does one thing."""
        doing: list[Callable[[], None]] = [self.upload, self.update, self.delete, self.read, self.work, self.rewrite]
        self.chance.choice(doing)()

    def skill(self) -> str:
        """One of the skills that are always there."""
        return f"{self.root}/tenant-{self.chance.randrange(TENANTS)}/skill-{self.chance.randrange(SKILLS)}"

    def write(self, folder: str) -> None:
        """A skill's files."""
        os.makedirs(folder, exist_ok=True)
        for number in range(FILES):
            with open(f"{folder}/{number}.md", "w", encoding="ascii") as file:
                file.write("x" * self.chance.randrange(1, 9000))

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
            file.write("new")
        os.rename(f"{target}.tmp", target)

    def wipe(self) -> None:
        """What the watcher is there for."""
        ways: list[Callable[[str], None]] = [
            shutil.rmtree,
            lambda path: os.rename(path, f"{self.root}-{time.time_ns()}"),
        ]
        way = self.chance.choice(ways[:1] if os.stat(self.root).st_dev != os.stat(f"{self.root}/..").st_dev else ways)
        for entry in list(os.scandir(self.root)):
            if entry.name != ".volume-guard":
                way(entry.path)
        self.extra = []


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
        adopted = sandbox.guard("adopt")
        assert adopted.status == 0, adopted.stderr
        sandbox.sh("cp -a $P/. $W/copy")
        with armed(sandbox, None, GUARD_INTERVAL="10s", GUARD_SETTLE="2s") as watcher:
            return _soak(sandbox, watcher, application, time.monotonic() + seconds)


def _soak(sandbox: Sandbox, watcher: Watcher, application: Application, until: float) -> int:
    pids = family(watcher.process.pid)
    threads, memory = count_threads(pids), 0
    wipes, late, done = 0, [], 0
    calm_until = time.monotonic() + QUIET
    while time.monotonic() < until:
        application.live()
        done += 1
        watcher.read(application.chance.random() * 0.1)
        if wrong := [line for line in watcher.alarms() if line["event"] != "volume.wiped"]:
            say(f"FAILED: said without cause: {wrong}")
            return 1
        if watcher.events.count("volume.wiped") > wipes:
            say(f"FAILED: a wipe was invented: {watcher.lines[-1]}")
            return 1
        if time.monotonic() < calm_until:
            continue
        memory = memory or pss(pids)
        before = len(watcher.lines)
        application.wipe()
        over = time.monotonic()
        watcher.wait_for("volume.wiped", 90, after=before)
        wipes += 1
        late.append(time.monotonic() - over)
        sandbox.sh("cp -a $W/copy/. $P")
        watcher.wait_for("volume.recovered", 90, after=before)
        calm_until = time.monotonic() + application.chance.random() * QUIET
    wait_until(lambda: watcher.shows("tripwire_armed", 1), 60)
    grown = pss(family(watcher.process.pid)) / memory if memory else 1.0
    same = count_threads(family(watcher.process.pid)) == threads
    say(
        f"{done} actions, {wipes} wipes, all known, the latest {max(late, default=0):.1f} s after its end; none invented"
    )
    say(f"threads the same: {same}; memory at the end : after the first minute {grown:.2f}")
    assert watcher.stop() == 0
    return 0 if same and grown < 1.1 else 1


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main(float(words[0]) if words else 600, int(words[1]) if len(words) > 1 else time.time_ns() % 10**6))

"""The skill server's own pattern, faster than in life, on the layout of a public collection of skills: nothing is reported.

    python tests/bench/skill_server.py [SECONDS [SEED]]

On ext4. Ends with 1 where the watcher or the gate reports anything, or the wipe at the end is not reported.
"""

import os
import random
import shutil
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, REPOSITORY)

from tests.bench.watcher import say  # noqa: E402 - found by the line above
from tests.linux.sandbox import Sandbox  # noqa: E402
from tests.linux.watching import armed  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

SKILLS, FILES, SIZE = 18, 23, 25_000
#: Seconds between two actions: a busy team does one in ten seconds.
PAUSE = 1.0


class SkillServer:
    """Writes as the application does.

    Args:
        root: The volume, as this process sees it.
        uploads: A folder beside it, where an upload is unpacked.
        chance: Where its choices come from.
    """

    def __init__(self, root: str, uploads: str, chance: random.Random) -> None:
        self.root = root
        self.uploads = uploads
        self.chance = chance
        self.skills = [f"tenant-{number % 2}/skill-{number:02}" for number in range(SKILLS)]
        self.done: Counter[str] = Counter()
        for skill in self.skills:
            self._upload(skill)

    def act(self) -> None:
        """Does one thing."""
        actions: list[tuple[Callable[[], None], int]] = [
            (self.update, 12), (self.upload, 1), (self.delete, 1), (self.save, 16), (self.unlink, 2), (self.search, 8),
            (self.work, 4),
        ]  # fmt: skip
        (action,) = self.chance.choices(*zip(*actions, strict=True))
        self.done[action.__name__] += 1
        action()

    def update(self) -> None:
        """Uploads a skill that exists: rmtree, copytree."""
        self._upload(self.chance.choice(self.skills))

    def upload(self) -> None:
        """Uploads a new skill."""
        skill = f"tenant-{self.chance.randrange(2)}/skill-{time.monotonic_ns()}"
        self._upload(skill)
        self.skills.append(skill)

    def delete(self) -> None:
        """Deletes a skill; as many are left as a public collection has."""
        if len(self.skills) > SKILLS:
            shutil.rmtree(f"{self.root}/{self.skills.pop(self.chance.randrange(len(self.skills)))}")

    def save(self) -> None:
        """Saves a file in place."""
        with open(f"{self.root}/{self.chance.choice(self.skills)}/SKILL.md", "w", encoding="ascii") as file:
            file.write("x" * self.chance.randrange(1, SIZE))

    def unlink(self) -> None:
        """Deletes a file."""
        skill = f"{self.root}/{self.chance.choice(self.skills)}"
        names = [name for name in os.listdir(skill) if name != "SKILL.md"]
        if len(names) > FILES // 2:
            os.unlink(f"{skill}/{self.chance.choice(names)}")

    def search(self) -> None:
        """Reads every SKILL.md."""
        for folder, _, names in os.walk(self.root):
            if "SKILL.md" in names:
                with open(f"{folder}/SKILL.md", "rb") as file:
                    file.read()

    def work(self) -> None:
        """Unpacks a temporary tree on the volume and removes it."""
        tree = f"{self.root}/.tmp-{time.monotonic_ns()}"
        self._write(tree)
        time.sleep(self.chance.random() * 3)
        shutil.rmtree(tree)

    def _upload(self, skill: str) -> None:
        self._write(self.uploads)
        shutil.rmtree(f"{self.root}/{skill}", ignore_errors=True)
        shutil.copytree(self.uploads, f"{self.root}/{skill}")
        shutil.rmtree(self.uploads)

    def _write(self, folder: str) -> None:
        os.makedirs(folder)
        for name in ("SKILL.md", *(f"part-{number:02}.py" for number in range(FILES - 1))):
            with open(f"{folder}/{name}", "w", encoding="ascii") as file:
                file.write("x" * self.chance.randrange(1, 2 * SIZE))


def main(seconds: float, seed: int) -> int:
    """Runs it; returns the exit status."""
    say(f"{seconds:.0f} s of the skill server's pattern, seed {seed}")
    chance = random.Random(seed)
    with Sandbox() as sandbox:
        sandbox.sh("truncate -s 512M $W/disk && mkfs.ext4 -q $W/disk && mount -o loop $W/disk $P")
        world = f"/proc/{sandbox._holder.pid}/root"
        server = SkillServer(f"{world}{sandbox.path}", f"{world}{os.path.dirname(sandbox.path)}/upload", chance)
        assert sandbox.guard("adopt").status == 0
        with armed(sandbox, None, GUARD_INTERVAL="10s", GUARD_SETTLE="2s") as watcher:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                server.act()
                watcher.read(chance.random() * 2 * PAUSE)
                if alarms := watcher.alarms():
                    say(f"FAILED: reported without cause after {dict(server.done)}: {alarms}")
                    return 1
            gate = sandbox.guard("check", "--wait=0s")
            for name in os.listdir(server.root):
                if name.startswith("tenant-"):
                    shutil.rmtree(f"{server.root}/{name}")
            over = time.monotonic()
            watcher.wait_for("volume.wiped", 90)
            late = time.monotonic() - over
            refused = sandbox.guard("check", "--wait=0s")
    say(f"{sum(server.done.values())} actions, nothing reported: {dict(server.done)}")
    say(f"gate before {gate.status}: {gate.last['message']}")
    say(f"the wipe at the end was reported {late:.1f} s after it; gate then {refused.status}")
    return 0 if (gate.status, gate.last["severity"], refused.status) == (0, "INFO", 30) else 1


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main(float(words[0]) if words else 1800, int(words[1]) if len(words) > 1 else time.time_ns() % 10**6))

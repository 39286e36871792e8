"""Starts and ends the cluster's processes, each known by a file with its ID. A process of another program is never touched."""

import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.kubernetes.layout import Layout
from tests.cluster.waiting import NotInTimeError, wait_until


@dataclass(frozen=True, slots=True)
class Daemon:
    """One process of the cluster.

    Attributes:
        name: Names its log and its pid file.
        layout: Where these stand, and where its program must come from.
    """

    name: str
    layout: Layout

    @property
    def _pid_file(self) -> Path:
        return self.layout.pids / self.name

    def pid(self) -> int | None:
        """Its process ID while it runs: IDs are used again, so the program behind it is looked at. A zombie has none."""
        try:
            pid = int(self._pid_file.read_text())
            program = os.readlink(f"/proc/{pid}/exe")
        except (OSError, ValueError):
            return None
        return pid if program.startswith(f"{self.layout.programs}/") else None

    def start(self, *argv: str | Path, env: Mapping[str, str] | None = None) -> None:
        """Starts it, unless it runs, in a session of its own: it outlives its starter."""
        if self.pid() is not None:
            return
        with (self.layout.logs / f"{self.name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=env, start_new_session=True,
            )  # fmt: skip
        self._pid_file.write_text(str(process.pid))

    def stop(self, seconds: float) -> None:
        """Asks it to end, and ends it by force after so many seconds."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            try:
                wait_until(f"the end of {self.name}", lambda: self.pid() is None, seconds)
            except NotInTimeError:
                os.kill(pid, signal.SIGKILL)
                wait_until(f"the end of {self.name}", lambda: self.pid() is None, 10)
        self._pid_file.unlink(missing_ok=True)

    def resident(self) -> int:
        """Its resident memory in MiB, or 0 when it does not run."""
        pid = self.pid()
        if pid is None:
            return 0
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) // 1024
        return 0

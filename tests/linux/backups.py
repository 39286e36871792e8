"""A volume, a repository beside it, and the backup run on them as its manifests do. It judges nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.linux.sandbox import Ended, Sandbox, until

ARCHIVE = ("check", "--", sys.executable, "-m", "guard.backup", "archive", "--settle=0s", "--lock-wait=1s")
MODULE = (sys.executable, "-m", "guard.backup")


@dataclass
class Backups:
    """A volume with data, and a repository beside it."""

    sandbox: Sandbox

    def night(self, *flags: str, **settings: str) -> Ended:
        """One run of the backup, behind the gate."""
        return self.sandbox.guard(*ARCHIVE, *flags, **settings)

    def module(self, *words: str, **settings: str) -> Ended:
        """The program without the gate."""
        return self.sandbox.run([*MODULE, *words, "--lock-wait=1s"], **settings)

    def restic(self, *words: str) -> str:
        return self.sandbox.sh(f"restic {' '.join(words)}", **self.sandbox.defaults)

    def snapshots(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.restic("snapshots", "--json", "--no-lock"))
        return found

    def tags(self) -> list[str]:
        return [",".join(one.get("tags") or ()) for one in self.snapshots()]

    def archive_at(self, days: int) -> None:
        """A good snapshot as of so many days from now, made by restic alone: before today where negative."""
        time = f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d %H:%M:%S}"
        self.restic(
            "backup", "-q", "--host=skills", "--tag=good", f"--time='{time}'", "--exclude=$P/.volume-guard", "$P"
        )

    def background(self, *words: str, **settings: str) -> subprocess.Popen[bytes]:
        """Starts a command that is to be stopped before its end."""
        environment = self.sandbox.environment(settings)
        return self.sandbox.start(
            list(words), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def files(self) -> int:
        return int(self.sandbox.sh("find $P -mindepth 2 -type f -not -path '*/.volume-guard/*' | wc -l"))


def init_cheaply(sandbox: Sandbox) -> None:
    """Makes a repository that is cheap to open: restic makes its key as costly as half a second allows, and gets little of it.

    Otherwise every call of restic takes up to half a second of CPU.
    """
    making = sandbox.start(["restic", "init", "--quiet"], env=sandbox.environment({}))
    while making.poll() is None:
        time.sleep(0.005)
        making.send_signal(signal.SIGSTOP)
        time.sleep(0.05)
        making.send_signal(signal.SIGCONT)
    assert making.returncode == 0


def slow_restic(backups: Backups, command: str, limit: str) -> str:
    """A PATH with a restic that moves its data slowly: the same program, one flag more."""
    return restic_after(backups, command, f'set -- "$@" {limit}')


def restic_after(backups: Backups, command: str, script: str) -> str:
    """A PATH with a restic that runs shell lines first where it is given this command."""
    path = backups.sandbox.defaults["PATH"]
    program = Path(backups.sandbox.work) / "instead" / "restic"
    program.parent.mkdir()
    first = f"case $1 in {command}) {script} ;; esac"
    program.write_text(f'#!/bin/sh\n{first}\nexec {shutil.which("restic", path=path)} "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}:{path}"


def locks(backups: Backups) -> list[str]:
    """The locks that are written in full: until then restic calls them otherwise."""
    return [name for name in backups.sandbox.sh("ls $W/repository/locks").split() if len(name) == 64]


def killed_pod(backups: Backups) -> None:
    """Leaves the lock of a backup that another host's kernel killed."""
    backups.sandbox.sh("mkdir $W/other; head -c 30M /dev/urandom > $W/other/large")
    script = "hostname pod-before; exec restic backup -q --limit-upload 2000 $0"
    run = backups.background("unshare", "--uts", "sh", "-c", script, f"{backups.sandbox.work}/other")
    until(lambda: locks(backups), 20)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert locks(backups)

"""The result table: how archive, restore and drill end, with statuses that the guard's own outcomes don't have. Pure."""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        label: The name that users script against.
        status: The exit status.
        again: Whether another try of the Job can end better.
        remedy: What to do.
    """

    label: str
    status: int
    again: bool
    remedy: str


class Result(Enum):
    """How a run of `python -m guard.backup` ends, where neither the gate nor a bug ended it."""

    OK = Row("ok", 0, again=False, remedy="")
    USAGE = Row("usage", 2, again=False, remedy="Correct the arguments and settings that are listed.")
    REPOSITORY_MISSING = Row(
        "repository-missing", 50, again=False,
        remedy="Nothing was made: an empty folder here may be a claim that is not mounted. A new repository is made once, by jobs/init.yaml.",
    )  # fmt: skip
    REPOSITORY_LOCKED = Row(
        "repository-locked", 51, again=True,
        remedy="Another process works on the repository, or was killed less than 30 minutes ago: a later try finds the lock stale.",
    )  # fmt: skip
    PASSWORD_WRONG = Row(
        "password-wrong", 52, again=False,
        remedy="Give the password that the repository was made with. Never make a new repository over it.",
    )  # fmt: skip
    REPOSITORY_DAMAGED = Row(
        "repository-damaged", 53, again=False,
        remedy="Nothing was forgotten. Copy the repository before anything else, then follow restic's troubleshooting page (repair index, packs, snapshots).",
    )  # fmt: skip
    ENGINE_FAILED = Row(
        "engine-failed", 54, again=True,
        remedy="restic's own words are above: no space left, no network, no permission, or memory ran out. What was forgotten, if anything, went by the policy after a complete backup.",
    )  # fmt: skip
    ARCHIVE_INCOMPLETE = Row(
        "archive-incomplete", 55, again=True,
        remedy="Some files could not be read: run the backup as the application's uid, and check the disk. Nothing was forgotten.",
    )  # fmt: skip
    SNAPSHOT_WIPED = Row(
        "snapshot-wiped", 56, again=False,
        remedy="The snapshot is tagged wiped and nothing was forgotten. Check the volume, and restore the last good snapshot. Only if the loss was meant: restic tag --set good ID.",
    )  # fmt: skip
    DRILL_DIFFERS = Row(
        "drill-differs", 57, again=False,
        remedy="The last good snapshot cannot be restored as it is listed: run restic check --read-data, and restore an older snapshot if one is needed.",
    )  # fmt: skip
    BACKUP_STALE = Row(
        "backup-stale", 58, again=False,
        remedy="No good backup was made for too long, or its date is wrong: check the backup's last Jobs, and the node's clock.",
    )  # fmt: skip
    SNAPSHOT_ABSENT = Row(
        "snapshot-absent", 59, again=False,
        remedy="The repository has no such snapshot of this volume: restic snapshots lists what it has, with tags. Only good ones are taken by themselves.",
    )  # fmt: skip
    VOLUME_WHOLE = Row(
        "volume-whole", 60, again=False,
        remedy="Nothing was written. To go back to an older state all the same, stop the application and add --over-data.",
    )  # fmt: skip

    @property
    def label(self) -> str:
        """The name that users script against."""
        return self.value.label

    @property
    def status(self) -> int:
        """The exit status."""
        return self.value.status


class Failed(Exception):  # noqa: N818 - a result, carried past the steps that then don't run
    """A step ended the run.

    Attributes:
        result: Which row of the table.
        found: What was checked and found, as a clause.
    """

    def __init__(self, result: Result, found: str) -> None:
        super().__init__(found)
        self.result = result
        self.found = found


#: restic's exit statuses since 0.17 that are more exact than "failed".
_OF_ENGINE = {10: Result.REPOSITORY_MISSING, 11: Result.REPOSITORY_LOCKED, 12: Result.PASSWORD_WRONG}


def of_engine(status: int) -> Result:
    """Returns the result of restic's exit status; an unknown one is a failure."""
    return _OF_ENGINE.get(status, Result.ENGINE_FAILED)

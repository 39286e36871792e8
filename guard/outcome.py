"""The outcome table: every way a command can end, its exit status, and what the reader does about it.

Nothing else of the guard is imported here, and nothing is decided here.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum

#: Where the pages for the reader at 3 a.m. are: one for every outcome but ok, named for it.
RUNBOOKS = "https://github.com/uengine-oss/volume-guard/blob/main/docs/runbooks"


class Severity(IntEnum):
    """Severities of Cloud Logging, whose names are in every log line (google.logging.type.LogSeverity)."""

    DEBUG = 100
    INFO = 200
    NOTICE = 300
    WARNING = 400
    ERROR = 500
    CRITICAL = 600


@dataclass(frozen=True)
class Row:
    """One line of the outcome table.

    Attributes:
        label: The name that users script against.
        status: The exit status.
        severity: Of the log line that reports it.
        when: When it happens, in one clause.
        remedy: What to do now, in a few sentences, the safe step first; a message of the gate follows the cause instead.
    """

    label: str
    status: int
    severity: Severity
    when: str
    remedy: str


class Outcome(Enum):
    """How a command ended. Statuses from 126 up belong to shells and signals and are never used."""

    OK = Row("ok", 0, Severity.INFO, "the volume is the right one and holds its data", "Nothing.")
    INTERNAL_ERROR = Row(
        "internal-error", 1, Severity.ERROR, "a bug in the guard",
        "If memory ran out, raise the container's limit. Otherwise report it with the traceback from the log. Only if you have "
        "checked the files yourself: GUARD_ENFORCE=false starts the application without a check.",
    )  # fmt: skip
    USAGE = Row(
        "usage", 2, Severity.ERROR,
        "a setting or argument is missing, unknown or malformed, or APP is not executable",
        "Correct what is listed; `guard COMMAND --help` lists every setting.",
    )  # fmt: skip
    NOT_MOUNTED = Row(
        "not-mounted", 10, Severity.ERROR,
        "the path is a plain directory of a file system mounted above it (the empty overlay directory), or the folder behind "
        "its bind mount was deleted on the node",
        "If the application already ran in this pod, its files are in the container and are lost with it: copy them out "
        "first. Compare volumes and volumeMounts of the APPLIED object with your file: kubectl get deploy NAME -o yaml. "
        "After the fix, delete the pod: a mount cannot appear in a running container.",
    )  # fmt: skip
    EPHEMERAL = Row(
        "ephemeral", 11, Severity.ERROR,
        "the mount is memory (tmpfs: emptyDir in memory, secret, projected), an emptyDir, a configMap or downwardAPI "
        "folder, an overlay (image volumes too), or a folder that the runtime made for an image's VOLUME: it is lost with the pod",
        "Copy out what you need: it is lost with the pod. Mount a persistentVolumeClaim at this path. If this kind is meant, "
        "list it in GUARD_KINDS.",
    )  # fmt: skip
    NODE_DISK = Row(
        "node-disk", 12, Severity.ERROR,
        "the mount is a folder of the node's own disk: hostPath, local-path, or a volume whose mount failed on the node",
        "If a cloud disk or a share should be mounted, its mount failed on the node: delete the pod, since a restart of the "
        "container cannot fix it. If hostPath or local-path is meant, list node-disk in GUARD_KINDS.",
    )  # fmt: skip
    MISSING = Row(
        "missing", 13, Severity.ERROR, "there is no such path, or it is not a directory",
        "Compare volumes and volumeMounts of the APPLIED object with your file: kubectl get deploy NAME -o yaml. Gate, watcher "
        "and application must mount the volume at the same path, and GUARD_PATH must be that path.",
    )  # fmt: skip
    READ_ONLY = Row(
        "read-only", 14, Severity.ERROR,
        "`ro` in the mount or super options, `emergency_ro`, or EROFS on writing",
        "Remove readOnly from the volumeMount and from the pod's volume, where it is set. Otherwise check the disk: a file system turns "
        "read-only after errors (dmesg on the node). If reading is enough, set GUARD_WRITABLE=false.",
    )  # fmt: skip
    UNREACHABLE = Row(
        "unreachable", 15, Severity.ERROR,
        "no progress in time, or an error: no answer (EIO, ESTALE, ENOTCONN), a damaged file system (EBADMSG, EUCLEAN), "
        "permission denied (EACCES)",
        "The message names the error and its fix. No answer: check the storage server and the node's mount; when it works again, "
        "delete the pod, since a restart of the container cannot fix a dead mount. Damaged: stop all pods, take a snapshot, run fsck. "
        "Permission denied: run the guard as the application's uid, or set fsGroup.",
    )  # fmt: skip
    KIND_REFUSED = Row(
        "kind-refused", 16, Severity.ERROR,
        "the kind of mount is unknown (gVisor, Kata), or one that GUARD_KINDS does not list",
        "Check that the intended volume is mounted. If this kind is meant, list it in GUARD_KINDS; the marker alone then "
        "identifies the volume.",
    )  # fmt: skip
    MARKER_MISSING = Row(
        "marker-missing", 20, Severity.ERROR, "the volume carries no marker",
        "Used before? Stop: it was wiped or is another disk. Brand-new claim? Run guard adopt.",
    )  # fmt: skip
    MARKER_MISMATCH = Row(
        "marker-mismatch", 21, Severity.ERROR, "the volume carries another volume's marker",
        "Compare claimName in the applied object, and GUARD_VOLUME: one of them is another volume's.",
    )  # fmt: skip
    MARKER_INVALID = Row(
        "marker-invalid", 22, Severity.ERROR,
        "the marker is malformed, too large, not a regular file, behind a linked `.volume-guard`, or of a future schema",
        "Check the files before anything else: what broke the marker can have broken them. A future schema: use the newer "
        "guard that wrote it.",
    )  # fmt: skip
    HELD = Row(
        "held", 23, Severity.ERROR, "`guard hold` announced work on the volume",
        "Wait until the work is done. Only if nobody works on it any more and its files are right: guard release.",
    )  # fmt: skip
    DATA_LOST = Row(
        "data-lost", 30, Severity.ERROR, "the volume is the right one, and its data is gone: nothing is left, or less than the settings for losses allow",
        "Stop what deletes or resets the files, and restore them from a backup. Only if what is there now is right: guard accept.",
    )  # fmt: skip
    FINDINGS = Row(
        "findings", 40, Severity.ERROR, "the doctor found something at or above --fail-on",
        "Fix what is listed; `guard explain VG-ID` explains why and how.",
    )  # fmt: skip

    @property
    def label(self) -> str:
        """The name that users script against."""
        return self.value.label

    @property
    def status(self) -> int:
        """The exit status."""
        return self.value.status

    @property
    def severity(self) -> Severity:
        """Of the log line that reports it."""
        return self.value.severity

    @property
    def runbook(self) -> str:
        """The address of its page; ok has none, since there is nothing to do."""
        return "" if self is Outcome.OK else f"{RUNBOOKS}/{self.label}.md"


#: Where several hold, the first of these is the exit status and the rest are listed with it.
PRECEDENCE = (
    Outcome.MISSING,
    Outcome.UNREACHABLE,
    Outcome.NOT_MOUNTED,
    Outcome.EPHEMERAL,
    Outcome.NODE_DISK,
    Outcome.KIND_REFUSED,
    Outcome.MARKER_INVALID,
    Outcome.MARKER_MISSING,
    Outcome.MARKER_MISMATCH,
    Outcome.HELD,
    Outcome.READ_ONLY,
    Outcome.DATA_LOST,
)

#: What can recover by itself, or be fixed by `kubectl exec` into the waiting gate.
RETRYABLE = frozenset({Outcome.READ_ONLY, Outcome.UNREACHABLE, Outcome.MARKER_MISSING, Outcome.HELD, Outcome.DATA_LOST})

#: What recovers only where a mount can still propagate into this container.
RETRYABLE_BY_PROPAGATION = frozenset(
    {Outcome.NOT_MOUNTED, Outcome.EPHEMERAL, Outcome.NODE_DISK, Outcome.MISSING, Outcome.KIND_REFUSED}
)

#: The exit status of a gate that is stopped while it waits: 128 + SIGTERM. No outcome.
TERMINATED = 143

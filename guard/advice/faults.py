"""Calls on the volume that fail: no answer, no permission, no room. Pure."""

from collections.abc import Callable, Mapping

from guard.advice.case import Advice, Case, who_looked
from guard.report.text import truncate
from guard.volume.cause import Cause

_ANSWER = "an answer from the volume"


def _no_progress(case: Case) -> Advice:
    fault, mount = case.finding.fault, case.look.mount
    where = f" ({mount.fstype} of {truncate(mount.source) or 'no source'})" if mount else ""
    doing = fault.doing if fault else "being checked"
    return case.advice(
        f"{case.path} did not answer for {case.expected.probe_timeout:g} s",
        _ANSWER,
        "Check the storage server or the disk, and the node's mount of it (dmesg on the node). If it is only slow, raise "
        "GUARD_PROBE_TIMEOUT.",
        case.remount,
        found=f"{case.path}{where} made no progress for {case.expected.probe_timeout:g} s while {doing}",
        delete=True,
    )


def _server_gone(case: Case) -> Advice:
    return case.advice(
        f"the storage of {case.path} does not answer ({case.code})",
        _ANSWER,
        "Check that the storage server (or the FUSE daemon on the node) runs and that the node can reach it. If its "
        "keys or passwords were changed, check those.",
        case.remount,
        found=case.failed,
        delete=True,
    )


def _device_gone(case: Case) -> Advice:
    return case.advice(
        f"the disk of {case.path} is gone ({case.code})",
        _ANSWER,
        "Check that the disk is attached to this node (dmesg on the node).",
        case.remount,
        found=case.failed,
        delete=True,
    )


def _damaged(case: Case) -> Advice:
    return case.advice(
        f"the file system of {case.path} is damaged ({case.code})",
        "a file system that can be read",
        "Stop everything that uses the volume, and take a snapshot of the disk.",
        "Unmount it, and repair it where it is attached: fsck (ext4) or xfs_repair (XFS).",
        "Check lost+found: what fsck cannot assign to a folder is moved there.",
        found=case.failed,
    )


def _denied(case: Case) -> Advice:
    who, fault = who_looked(case.look.identity), case.finding.fault
    if fault and fault.writing:
        return case.advice(
            f"uid {case.look.identity.uid} has no permission to write {case.folder}",
            f"permission to write {case.folder}",
            f"Give this uid permission to write {case.folder}, then run the command again.",
            found=f"{case.failed}; wrote as {who}",
        )
    return case.advice(
        f"uid {case.look.identity.uid} has no permission to read {case.path}",
        "permission to read it",
        f"Compare owner, group and mode of what is named above with this uid and its groups: ls -ldn {case.path}",
        "Run the guard with the application's runAsUser, or set the pod's securityContext.fsGroup to the group that "
        "owns the volume.",
        found=f"{case.failed}; checked as {who}",
    )


def _denied_to_root(case: Case) -> Advice:
    return case.advice(
        f"the storage of {case.path} refuses root ({case.code})",
        "access as root, as which the guard runs",
        "Check the storage server: an export that squashes root, an evicted client and an expired key all refuse root.",
        "If only the application's user has access, run the guard as that user (runAsUser).",
        case.remount,
        found=f"{case.failed}; {who_looked(case.look.identity)}",
        delete=True,
    )


def _no_rename(case: Case) -> Advice:
    return case.advice(
        f"the file system of {case.path} cannot rename files",
        "a file system with rename, which a ledger and a hold need",
        "Nothing needs to be done for the gate: it compares the marker. Use another file system for accept, hold, release, "
        "and to see losses.",
        found=f"the file system of {case.path} cannot rename files; {case.failed}",
    )


def _no_space(case: Case) -> Advice:
    return case.advice(
        f"the disk is full: {case.path} has no space left",
        "room for the guard's documents, a few KiB",
        "Free space, or enlarge the volume or its quota: the application's writes fail too.",
        "Run the command again.",
        found=f"the disk is full: {case.path} has no space left; {case.failed}",
    )


def _no_inodes(case: Case) -> Advice:
    used = f" ({case.look.space.used_inodes} are used)" if case.look.space else ""
    return case.advice(
        f"the disk is full: {case.path} has no free inodes{used}",
        "inodes for the guard's documents",
        "Remove files that are not needed, or enlarge the volume: no new file can be created, whatever space is free.",
        "Run the command again.",
        found=f"the disk is full: {case.path} has no free inodes{used}; {case.failed}",
    )


def _limited(case: Case) -> Advice:
    return case.advice(
        f"the guard has too few descriptors or too little memory to check {case.path} ({case.code})",
        "the limits of an ordinary container: 64 open files are enough",
        "Raise the limit of open files (ulimit -n) or of memory that is set for the guard's container.",
        found=case.failed,
    )


def _busy(case: Case) -> Advice:
    return case.advice(
        f"another command changes {case.path}",
        f"to be able to write in {case.folder}",
        "Wait until that command has ended, then run yours again.",
        found=case.failed,
    )


def _changing(case: Case) -> Advice:
    return case.advice(
        f"mounts at {case.path} change all the time",
        "the same mounts during one check",
        "Find what mounts and unmounts there (findmnt on the node), and stop it.",
        found=case.failed,
    )


def _in_the_way(case: Case) -> Advice:
    return case.advice(
        f"{case.folder} cannot be written ({case.code})",
        f"to be able to write in {case.folder}",
        f"Check what is in {case.folder}, and move away what prevents the write. Then run the command again.",
        found=case.failed,
    )


def _no_mount(case: Case) -> Advice:
    return case.advice(
        f"the mount of {case.path} is not in the mount table",
        "a line for it in /proc/self/mountinfo",
        "Compare /proc/self/mountinfo with the mounts that are configured, and report both as a bug.",
        found=case.failed if case.finding.fault else "",
    )


def _other_error(case: Case) -> Advice:
    return case.advice(
        f"{case.path} cannot be checked ({case.code})",
        _ANSWER,
        "Check the storage server or the disk, and the node's mount of it (dmesg on the node).",
        case.remount,
        found=case.failed,
        delete=True,
    )


ADVICE: Mapping[Cause, Callable[[Case], Advice]] = {
    Cause.NO_PROGRESS: _no_progress,
    Cause.SERVER_GONE: _server_gone,
    Cause.DEVICE_GONE: _device_gone,
    Cause.DAMAGED: _damaged,
    Cause.DENIED: _denied,
    Cause.DENIED_TO_ROOT: _denied_to_root,
    Cause.NO_RENAME: _no_rename,
    Cause.NO_SPACE: _no_space,
    Cause.NO_INODES: _no_inodes,
    Cause.LIMITED: _limited,
    Cause.BUSY: _busy,
    Cause.CHANGING: _changing,
    Cause.IN_THE_WAY: _in_the_way,
    Cause.NO_MOUNT: _no_mount,
    Cause.OTHER_ERROR: _other_error,
}

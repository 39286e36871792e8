"""One finding and what its texts are made of. Pure."""

from dataclasses import dataclass

from guard.outcome import Outcome
from guard.pod import PodInfo
from guard.report.text import truncate
from guard.volume.hold import Hold
from guard.volume.loss import Loss
from guard.volume.mountinfo import Mount
from guard.volume.observation import GUARD_FOLDER, FileCount, Identity, InvalidDocument, Look
from guard.volume.verdict import Expectation, Finding

#: Entries that are named in a sentence.
LARGEST = 4


@dataclass(frozen=True)
class Advice:
    """One outcome for a person.

    Attributes:
        outcome: Which.
        headline: What was found, in one clause that can be read alone.
        found: The same in full.
        expected: What was expected instead.
        steps: What to do now, as sentences, in their order.
        commands: The lines of the last step that can be pasted.
    """

    outcome: Outcome
    headline: str
    found: str
    expected: str
    steps: tuple[str, ...]
    commands: tuple[str, ...] = ()

    @property
    def in_one_line(self) -> str:
        """The steps, numbered where there are several."""
        if len(self.steps) == 1:
            return self.steps[0]
        return " ".join(f"{number}. {step}" for number, step in enumerate(self.steps, start=1))


@dataclass(frozen=True)
class Case:
    """What the texts are made of."""

    expected: Expectation
    look: Look
    finding: Finding
    count: FileCount | None
    pod: PodInfo

    @property
    def path(self) -> str:
        """The path, fit to print."""
        return truncate(self.look.path)

    @property
    def folder(self) -> str:
        """The guard's folder."""
        return f"{self.path}/{GUARD_FOLDER}"

    @property
    def mount(self) -> Mount:
        """The mount in force, where there is one."""
        assert self.look.mount is not None
        return self.look.mount

    @property
    def failed(self) -> str:
        """The call that failed."""
        fault, mount = self.finding.fault, self.look.mount
        where = f" ({mount.fstype} of {truncate(mount.source) or 'no source'})" if mount else ""
        return f"{self.path}{where}: {fault.code} while {truncate(fault.doing, 512)}" if fault else self.path

    @property
    def code(self) -> str:
        """The errno of the call that failed."""
        return self.finding.fault.code if self.finding.fault else "no progress"

    @property
    def remount(self) -> str:
        """The step that follows when the storage answers again."""
        return (
            "When that works again, delete the pod, since a restart of the container cannot fix a dead mount: "
            f"{self.pod.delete}"
        )

    def advice(
        self,
        headline: str,
        expected: str,
        *steps: str,
        found: str = "",
        only_if: str = "",
        commands: tuple[str, ...] = (),
        delete: bool = False,
    ) -> Advice:
        """Returns the advice; `commands` are the guard's, and come last, behind "Only if"."""
        lines = tuple(self.pod.guard(command, self.look.container) for command in commands)
        if only_if:
            steps = (*steps, f"Only if {only_if}: {', then: '.join(lines)}" if lines else f"Only if {only_if}.")
        if delete and self.pod.exists(self.look.container):
            lines = (self.pod.delete,)
        return Advice(self.finding.outcome, headline, found or headline, expected, steps, lines)


def entries_lost(loss: Loss) -> str:
    """Returns the entries that lost most, as a clause; empty where none did."""
    return ", ".join(f"{truncate(one.name)} {one.before} to {one.after}" for one in loss.entries[:LARGEST])


def named(names: tuple[str, ...]) -> str:
    """Returns the first of many names."""
    more = f" and {len(names) - LARGEST} more" if len(names) > LARGEST else ""
    return ", ".join(map(truncate, names[:LARGEST])) + more


def who_looked(who: Identity) -> str:
    """Returns the user that checked, for messages about permission."""
    return f"uid {who.uid}, gid {who.gid}, groups {','.join(map(str, who.groups)) or 'none'}"


def holder(hold: Hold | InvalidDocument | None) -> str:
    """Returns by whom a volume is held, since when and why."""
    if not isinstance(hold, Hold):
        return f"by a hold that can't be read ({hold.reason})" if hold else "by nobody"
    return f'by {truncate(hold.by)} since {hold.since}: "{truncate(hold.reason)}"'

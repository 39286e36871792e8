"""Whether a snapshot lost the data of the last good one, by the rule of gate and watcher; and which is the last good one.

A snapshot is good when it was judged against the last good one, and the run that judged it tagged it so. One without a tag
(its run was killed, or the repository was locked) is judged when somebody asks. What lost the data is never good, and a
loss lasts until the data is back or a person tags a later snapshot as good.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from guard.backup.retention import GOOD, WIPED, complete
from guard.backup.sampling import Listing
from guard.backup.snapshot import Node, Snapshot, nanoseconds
from guard.volume.elsewhere import Elsewhere
from guard.volume.ignore import Ignore
from guard.volume.ledger import Reference
from guard.volume.loss import Content, Loss, LossRule, State, Verdict, is_over, judge_loss, states_of
from guard.volume.paths import as_bytes
from guard.volume.sample import SampledFile

#: A copy of a lost file came at most so many seconds before the last good snapshot: those that are older are other files.
_COPIED_WITHIN = 600.0
#: Every file of a good snapshot is known, however young it was.
_FIRST_SIGN = math.inf

OnNode = Callable[[Node], None]


@dataclass(frozen=True)
class LastGood:
    """What a new snapshot is judged against.

    Attributes:
        snapshot: The newest good snapshot; None where there is none.
        in_loss: A later snapshot lost its data, and none that is good came after it.
    """

    snapshot: Snapshot | None = None
    in_loss: bool = False


@dataclass(frozen=True)
class Judge:
    """Judges snapshots of one volume.

    Attributes:
        rule: The rule of loss.
        ignore: What is no data.
        each_node: Calls back with each name of a snapshot.
    """

    rule: LossRule
    ignore: Ignore
    each_node: Callable[[Snapshot, OnNode], None]
    _references: dict[str, Reference] = field(default_factory=dict)  # by tree: to list a snapshot can take minutes

    def last_good(self, snapshots: Sequence[Snapshot]) -> LastGood:
        """Returns the newest good one of all snapshots; those after the last one that is tagged so are judged."""
        order = complete(snapshots)
        first = max((number for number, snapshot in enumerate(order) if GOOD in snapshot.tags), default=0)
        last = LastGood()
        for snapshot in order[first:]:
            is_good = GOOD in snapshot.tags
            if not is_good and WIPED not in snapshot.tags:
                is_good = self.find_loss(last, snapshot).verdict is not Verdict.WIPED
            last = LastGood(snapshot) if is_good else replace(last, in_loss=True)
        return last

    def find_loss(self, last: LastGood, new: Snapshot) -> Loss:
        """Returns what a snapshot lost of the last good one; wiped also where an earlier loss is not over."""
        good = last.snapshot
        if good and good.tree == new.tree:
            return Loss(Verdict.KEPT)
        reference = self.reference(good) if good else None
        sample = reference.sample if reference else ()
        listing = Listing(self.ignore, [file.path for file in sample])
        self.each_node(new, listing.on_node)
        states = states_of(self.rule, sample, listing.checks)
        loss = self._judge(last, reference, Content(states, listing.files))
        lost = [file for file in sample if states[file.path] is State.LOST]
        if good and lost and loss.verdict is not Verdict.KEPT:
            states = states_of(self.rule, sample, listing.checks, self._find_elsewhere(good, new, lost))
            loss = self._judge(last, reference, Content(states, listing.files))
        return loss

    def reference(self, good: Snapshot) -> Reference:
        """Returns what is known of a good snapshot."""
        if good.tree not in self._references:
            listing = Listing(self.ignore)
            self.each_node(good, listing.on_node)
            self._references[good.tree] = listing.reference(good)
        return self._references[good.tree]

    def _judge(self, last: LastGood, reference: Reference | None, content: Content) -> Loss:
        loss = judge_loss(self.rule, reference, content, _FIRST_SIGN)
        if last.in_loss and reference and not is_over(self.rule, reference, content.states, _FIRST_SIGN):
            return replace(loss, verdict=Verdict.WIPED)
        return loss

    def _find_elsewhere(self, good: Snapshot, new: Snapshot, lost: Sequence[SampledFile]) -> frozenset[str]:
        """Returns the paths of lost files that were moved, linked or copied with their times."""
        elsewhere = Elsewhere(lost, good.time.timestamp() - _COPIED_WITHIN, math.inf)
        # When the loss began is not known: a file that was written since is none of the lost ones.
        times = {file.mtime for file in lost}

        def on_node(node: Node) -> None:
            if node.kind == "dir" or self.ignore.ignores(node.path):
                return
            name = as_bytes(node.path.rpartition("/")[2])
            if elsewhere.is_worth_reading(name, node.inode):
                modified = nanoseconds(node.modified)
                if modified in times:
                    changed = nanoseconds(node.changed) / 1e9
                    elsewhere.on_file(node.path, node.inode, node.size, modified, changed)

        self.each_node(new, on_node)
        return frozenset(elsewhere.found)

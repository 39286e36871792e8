"""Write requests: what a command or the watcher decided to write, and only where it was judged. They run in the prober."""

import errno
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from guard.probe import documents, look, mounts, progress
from guard.volume import hold, ledger, marker
from guard.volume.hold import Hold
from guard.volume.ledger import Ledger
from guard.volume.marker import Marker
from guard.volume.observation import DIGITS, GUARD_FOLDER, NOTHING, InvalidDocument, ProbeFault


@dataclass(frozen=True)
class MountRef:
    """What was counted, or looked at, so that nothing is written anywhere else: a mount can change before a write."""

    path: str
    mount_id: int
    root_inode: int


@dataclass(frozen=True)
class Written:
    """The documents are on the volume.

    Attributes:
        ledger: The ledger as written; None if none was: without rename there is a marker only.
        set_aside: What broken and foreign documents are called now.
    """

    ledger: Ledger | None = None
    set_aside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Conflict:
    """Nothing was written: another command was faster, or the mount changed. Look again."""


@dataclass(frozen=True)
class _Write(ABC):
    """A write in `.volume-guard/`, and on which mount."""

    mount: MountRef

    def run(self, report: Callable[[Any], None]) -> Written | Conflict | ProbeFault:
        """Writes, or returns why not."""
        doing = f"writing in {self.mount.path}/{GUARD_FOLDER}"
        try:
            with progress.reporting(lambda: report(doing)), look.opened_root(self.mount.path) as root:
                if (mounts.mount_id(root), os.fstat(root).st_ino) != (self.mount.mount_id, self.mount.root_inode):
                    return Conflict()
                self._make_folder(root)
                with documents.guard_folder(root) as folder:
                    return self._write(root, folder)
        except OSError as error:
            return progress.fault(error)

    def on_timeout(self, partial: Any) -> ProbeFault:
        """Returns that nothing came back."""
        del partial
        return ProbeFault(0, f"writing in {GUARD_FOLDER}")

    def _make_folder(self, root: int) -> None:
        documents.make_folder(root)

    @abstractmethod
    def _write(self, root: int, folder: int) -> Written | Conflict: ...


@dataclass(frozen=True)
class Adopt(_Write):
    """Writes the first ledger, then the marker: killed in between, the volume is not adopted, and adopting it again works.

    Attributes:
        marker: The new marker.
        ledger: The first ledger.
        replacing: The ID of the marker, or the digest of the broken one, that is replaced and kept; None if there is none.
        continues: The marker ID of the ledger that the first one continues; any other is kept under another name.
    """

    marker: Marker
    ledger: Ledger
    replacing: str | None = None
    continues: str | None = None

    def _write(self, root: int, folder: int) -> Written | Conflict:
        if _marker_in(folder) != self.replacing:
            return Conflict()
        text = marker.FORMAT.render(self.marker)
        # The ledger that is continued has its name by a rename, and is not put at risk.
        is_tried = self.continues is None and self.replacing in {None, NOTHING[:DIGITS]} and _is_fuse(root)
        if is_tried and not documents.renames(root):
            documents.create_in_place(folder, documents.MARKER, text)
            return Written()
        old_marker = None
        with documents.staged(folder, documents.MARKER, text) as new_marker:  # first: there must be room for both
            old_ledger = _write_ledger(folder, self.ledger, self.continues)
            if self.replacing is not None:
                old_marker = documents.commit(folder, new_marker, documents.MARKER, self.replacing)
            else:
                try:
                    documents.commit_exclusive(folder, new_marker, documents.MARKER)
                except FileExistsError:
                    return Conflict()
        return Written(self.ledger, tuple(old for old in (old_marker, old_ledger) if old))


@dataclass(frozen=True)
class Accept(_Write):
    """Writes a new ledger of the next generation; only beside the marker that was judged.

    Attributes:
        ledger: The new ledger; its generation is raised above the one that it replaces.
        beside: The marker that was judged, as `name_of` calls it.
    """

    ledger: Ledger
    beside: str | None

    def _write(self, root: int, folder: int) -> Written | Conflict:
        del root
        if _marker_in(folder) != self.beside:
            return Conflict()
        last = look.read_document(folder, ledger.FORMAT)
        known = last.generation if isinstance(last, Ledger) and last.marker_id == self.ledger.marker_id else 0
        accepted = replace(self.ledger, generation=max(known + 1, self.ledger.generation))
        old = _write_ledger(folder, accepted, self.ledger.marker_id)
        return Written(accepted, (old,) if old else ())


@dataclass(frozen=True)
class Release(Accept):
    """Accepts what is there, then ends the hold that was judged: interrupted in between, the volume stays held."""

    hold: Hold | InvalidDocument

    def _write(self, root: int, folder: int) -> Written | Conflict:
        if look.read_document(folder, hold.FORMAT) != self.hold:
            return Conflict()
        written = super()._write(root, folder)
        if isinstance(written, Conflict):
            return written
        old = None
        if isinstance(self.hold, InvalidDocument):  # it may be anything, a folder too: it is kept as a broken marker is
            old = documents.keep(folder, documents.HOLD, self.hold.digest)
        documents.remove(folder, documents.HOLD)
        return replace(written, set_aside=(*written.set_aside, *((old,) if old else ())))


@dataclass(frozen=True)
class WriteHold(_Write):
    """Writes the hold, with the generation of the ledger beside it.

    Attributes:
        hold: By whom, since when, why.
        over: Replace whatever hold there is, so that at no moment there is none; otherwise that one is kept.
    """

    hold: Hold
    over: bool

    def _write(self, root: int, folder: int) -> Written | Conflict:
        del root
        last = look.read_document(folder, ledger.FORMAT)
        text = hold.FORMAT.render(replace(self.hold, generation=last.generation if isinstance(last, Ledger) else 0))
        if not self.over:
            with suppress(FileExistsError), documents.staged(folder, documents.HOLD, text) as temporary:
                documents.commit_exclusive(folder, temporary, documents.HOLD)
                return Written()
            return Conflict()
        held = look.read_document(folder, hold.FORMAT)
        keep_as = held.digest if isinstance(held, InvalidDocument) else None
        old = documents.write(folder, documents.HOLD, text, keep_as=keep_as)
        return Written(set_aside=(old,) if old else ())


@dataclass(frozen=True)
class WriteLedger(_Write):
    """Writes the ledger of a volume that is watched: only beside its marker, and over no later one.

    Attributes:
        ledger: The new ledger.
        replaces: The generation of the ledger that it may replace: a later one was accepted in between.
        despite_stale_hold: Write also where a hold of an earlier generation is set, which came out of an archive.
    """

    ledger: Ledger
    replaces: int
    despite_stale_hold: bool = False

    def _make_folder(self, root: int) -> None:
        pass  # without a marker in it nothing is written

    def _write(self, root: int, folder: int) -> Written | Conflict:
        if _marker_in(folder) != self.ledger.marker_id:
            return Conflict()
        held = look.read_document(folder, hold.FORMAT)
        is_stale = isinstance(held, Hold) and held.generation < self.ledger.generation
        if held is not None and not (self.despite_stale_hold and is_stale):
            return Conflict()
        last = look.read_document(folder, ledger.FORMAT)
        if isinstance(last, InvalidDocument) and last.future:
            return Conflict()  # a newer guard wrote it, and reads more in it than this one can
        if last is None and _is_fuse(root):
            progress.step(f"looking for a ledger in {GUARD_FOLDER} (without rename, the marker is alone)", writing=True)
            raise OSError(errno.ENOSYS, "no ledger to replace")
        ours = isinstance(last, Ledger) and last.marker_id == self.ledger.marker_id
        if isinstance(last, Ledger) and ours and last.generation > self.replaces:
            return Conflict()
        old = _write_ledger(folder, self.ledger, self.ledger.marker_id)
        return Written(self.ledger, (old,) if old else ())


def name_of(found: Marker | InvalidDocument | None) -> str | None:
    """Returns what `--replace` must name to replace a marker; None if there is none."""
    if found is None:
        return None
    return found.marker_id if isinstance(found, Marker) else found.digest


def _marker_in(folder: int) -> str | None:
    found = look.read_document(folder, marker.FORMAT)
    return name_of(found)


def _is_fuse(root: int) -> bool:
    mount, _ = mounts.in_force(root)
    return mount is not None and mount.is_fuse


def _write_ledger(folder: int, new: Ledger, continues: str | None) -> str | None:
    """Writes a ledger; returns what the one is called now that it does not continue."""
    last = look.read_document(folder, ledger.FORMAT)
    keep_as = _name_to_keep(last, continues)
    return documents.write(folder, documents.LEDGER, ledger.FORMAT.render(new), keep_as=keep_as)


def _name_to_keep(last: Ledger | InvalidDocument | None, continues: str | None) -> str | None:
    if isinstance(last, InvalidDocument):
        return last.digest or "unreadable"
    if last is None or last.marker_id == continues:
        return None
    # Whoever can write the volume chose this ID: only what looks like one becomes part of a file's name.
    is_plain = re.fullmatch(r"[0-9A-Za-z-]{1,36}", last.marker_id, re.ASCII)
    return last.marker_id if is_plain else look.sha256(last.marker_id.encode("utf-8", "surrogatepass"))[:DIGITS]

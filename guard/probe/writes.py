"""What a prober can be asked to write: what a command decided, and only where it was judged. Values that run there."""

import errno
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from guard.probe import documents, look, mounts, progress
from guard.volume import hold, ledger, marker
from guard.volume.hold import Hold
from guard.volume.ledger import Ledger
from guard.volume.marker import Marker
from guard.volume.observation import DIGITS, GUARD_FOLDER, InvalidDocument, ProbeFault


@dataclass(frozen=True)
class MountRef:
    """What was judged, so that nothing is written anywhere else: a mount can change between a look and a write."""

    path: str
    mount_id: int
    root_inode: int


@dataclass(frozen=True)
class Written:
    """The documents stand on the volume.

    Attributes:
        ledger: The ledger as written.
        set_aside: What broken and foreign documents are called now.
    """

    ledger: Ledger | None = None
    set_aside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Conflict:
    """Nothing was written: another command was faster, or the mount changed. Look again."""


@dataclass(frozen=True)
class Adopt:
    """Writes the marker, exclusively, then the first ledger; where either can't be written all is left as it was.

    Attributes:
        seen: What was judged.
        marker: The new marker.
        ledger: The first ledger.
        replacing: The ID of the marker, or the digest of the broken one, that is set aside; None where there is none.
        continues: The marker ID of the ledger that the first one continues; any other is set aside.
    """

    seen: MountRef
    marker: Marker
    ledger: Ledger
    replacing: str | None
    continues: str | None

    def run(self, said: Callable[[Any], None]) -> Written | Conflict | ProbeFault:
        """Writes, or says why not."""
        return _writing(self.seen, self._write, said)

    def _write(self, folder: int) -> Written | Conflict:
        standing = _name_of_marker(folder)
        if standing != self.replacing:
            return Conflict()
        text = marker.render(self.marker)
        with (
            ExitStack() as undo,
            documents.prepared(folder, documents.LEDGER, ledger.render(self.ledger)) as new_ledger,
            documents.prepared(folder, documents.MARKER, text) as new_marker,
        ):
            old_marker = documents.set_aside(folder, documents.MARKER, standing) if standing is not None else None
            if old_marker:
                undo.callback(documents.put_back, folder, old_marker, documents.MARKER)
            try:
                documents.settle_new(folder, new_marker, documents.MARKER, text)
            except FileExistsError:
                undo.pop_all()  # what another command wrote meanwhile stands
                return Conflict()
            undo.callback(documents.discard, folder, documents.MARKER)
            keep_as = _name_to_keep(_standing_ledger(folder), self.continues)
            old_ledger = documents.settle(folder, new_ledger, documents.LEDGER, keep_as)
            undo.pop_all()
        documents.sync_folder(folder)
        return Written(self.ledger, tuple(old for old in (old_marker, old_ledger) if old))


@dataclass(frozen=True)
class Accept:
    """Writes a new ledger of the next generation; only beside the marker that was judged.

    Attributes:
        seen: What was judged.
        ledger: The new ledger; its generation is replaced by the next one.
        beside: The marker that was judged, as `name_of` calls it.
    """

    seen: MountRef
    ledger: Ledger
    beside: str | None

    def run(self, said: Callable[[Any], None]) -> Written | Conflict | ProbeFault:
        """Writes, or says why not."""
        return _writing(self.seen, self._write, said)

    def _write(self, folder: int) -> Written | Conflict:
        if _name_of_marker(folder) != self.beside:
            return Conflict()
        last = _standing_ledger(folder)
        keep_as = _name_to_keep(last, self.ledger.marker_id)
        known = last.generation if isinstance(last, Ledger) and keep_as is None else 0
        accepted = replace(self.ledger, generation=max(known + 1, self.ledger.generation))
        aside = documents.replace(folder, documents.LEDGER, ledger.render(accepted), keep_as)
        return Written(accepted, (aside,) if aside else ())


@dataclass(frozen=True)
class Release:
    """Accepts what is there, then ends the hold that was judged: interrupted in between, the volume stays held.

    Attributes:
        accept: What is accepted.
        hold: The hold that ends.
    """

    accept: Accept
    hold: Hold | InvalidDocument

    def run(self, said: Callable[[Any], None]) -> Written | Conflict | ProbeFault:
        """Writes, or says why not."""
        return _writing(self.accept.seen, self._write, said)

    def _write(self, folder: int) -> Written | Conflict:
        if _standing_hold(folder) != self.hold:
            return Conflict()
        written = self.accept._write(folder)  # noqa: SLF001 - one lock for both
        if isinstance(written, Conflict):
            return written
        if not isinstance(self.hold, InvalidDocument):
            documents.remove(folder, documents.HOLD)
            return written
        # What is no hold may be anything, a folder too: it is kept as a broken marker is.
        aside = documents.set_aside(folder, documents.HOLD, self.hold.digest)
        documents.sync_folder(folder)
        return replace(written, set_aside=(*written.set_aside, *((aside,) if aside else ())))


@dataclass(frozen=True)
class WriteHold:
    """Writes the hold.

    Attributes:
        seen: What was judged.
        hold: Who, since when, why.
        over: In place of whatever hold stands, so that at no moment there is none (but of a folder, which is set aside first);
            otherwise that one is kept.
    """

    seen: MountRef
    hold: Hold
    over: bool

    def run(self, said: Callable[[Any], None]) -> Written | Conflict | ProbeFault:
        """Writes, or says why not."""
        return _writing(self.seen, self._write, said)

    def _write(self, folder: int) -> Written | Conflict:
        text = hold.render(self.hold)
        if self.over:
            return self._replace(folder, text)
        try:
            documents.create(folder, documents.HOLD, text)
        except FileExistsError:
            return Conflict()
        return Written()

    def _replace(self, folder: int, text: bytes) -> Written:
        try:
            documents.replace(folder, documents.HOLD, text)
        except IsADirectoryError:  # it is no hold, and may be anything: it is kept, as `release` keeps it
            standing = _standing_hold(folder)
            aside = documents.replace(
                folder, documents.HOLD, text, standing.digest if isinstance(standing, InvalidDocument) else None
            )
            return Written(set_aside=(aside,) if aside else ())
        return Written()


@dataclass(frozen=True)
class WriteLedger:
    """Writes the ledger of a volume that is watched; only beside the marker that it belongs to, and never over a newer one.

    Attributes:
        seen: What was judged.
        ledger: The new ledger.
        replaces: The generation of the ledger that it may replace: a later one was accepted in between.
    """

    seen: MountRef
    ledger: Ledger
    replaces: int

    def run(self, said: Callable[[Any], None]) -> Written | Conflict | ProbeFault:
        """Writes, or says why not."""
        return _writing(self.seen, self._write, said, documents.open_standing)

    def _write(self, folder: int) -> Written | Conflict:
        if _name_of_marker(folder) != self.ledger.marker_id:
            return Conflict()
        if _standing_hold(folder) is not None:
            return Conflict()
        standing = _standing_ledger(folder)
        if isinstance(standing, InvalidDocument) and standing.future:
            return Conflict()  # a newer guard wrote it, and reads more in it than this one can
        keep_as = _name_to_keep(standing, self.ledger.marker_id)
        if isinstance(standing, Ledger) and keep_as is None and standing.generation > self.replaces:
            return Conflict()
        aside = documents.replace(folder, documents.LEDGER, ledger.render(self.ledger), keep_as)
        return Written(self.ledger, (aside,) if aside else ())


def _writing(
    seen: MountRef,
    write: Callable[[int], Written | Conflict],
    said: Callable[[Any], None],
    opening: Callable[[int], int] = documents.open_folder,
) -> Written | Conflict | ProbeFault:
    doing = f"writing in {seen.path}/{GUARD_FOLDER}"
    try:
        with progress.told(lambda: said(doing)), _folder(seen, opening) as folder:
            return Conflict() if folder is None else write(folder)
    except look.Unreachable as error:
        return error.fault
    except OSError as error:
        return ProbeFault(error.errno or errno.EIO, doing, writing=True)


@contextmanager
def _folder(seen: MountRef, opening: Callable[[int], int]) -> Iterator[int | None]:
    root = look.open_root(seen.path)
    try:
        if mounts.mount_id(root) != seen.mount_id or os.fstat(root).st_ino != seen.root_inode:
            yield None
            return
        folder = opening(root)
        try:
            with documents.locked(folder):
                yield folder
        finally:
            os.close(folder)
    finally:
        os.close(root)


def name_of(standing: Marker | InvalidDocument | None) -> str | None:
    """What `--replace` must name to set a marker aside; None where there is none."""
    if standing is None:
        return None
    return standing.marker_id if isinstance(standing, Marker) else standing.digest


def _name_of_marker(folder: int) -> str | None:
    return name_of(look.document(folder, documents.MARKER, marker.LIMIT, marker.parse))


def _standing_ledger(folder: int) -> Ledger | InvalidDocument | None:
    return look.document(folder, documents.LEDGER, ledger.LIMIT, ledger.parse)


def _standing_hold(folder: int) -> Hold | InvalidDocument | None:
    return look.document(folder, documents.HOLD, hold.LIMIT, hold.parse)


def _name_to_keep(standing: Ledger | InvalidDocument | None, continued: str | None) -> str | None:
    """What a ledger is kept under beside the new one; None where the new one continues it, by its marker ID."""
    if isinstance(standing, InvalidDocument):
        return standing.digest
    if standing is None or standing.marker_id == continued:
        return None
    # Whoever can write the volume chose this ID: only what looks like one becomes part of a file's name.
    named = re.fullmatch(r"[0-9A-Za-z-]{1,36}", standing.marker_id, re.ASCII)
    return standing.marker_id if named else look.sha256(standing.marker_id.encode("utf-8", "surrogatepass"))[:DIGITS]

"""What a prober can be asked to write: what a command decided, and only where it was judged. Values that run there."""

import errno
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from guard.volume import hold, ledger, look, marker, mounts, progress, store
from guard.volume.facts import DIGITS, GUARD_FOLDER, Fault, Invalid
from guard.volume.hold import Hold
from guard.volume.ledger import Ledger
from guard.volume.marker import Marker


@dataclass(frozen=True)
class Seen:
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
class Overtaken:
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

    seen: Seen
    marker: Marker
    ledger: Ledger
    replacing: str | None
    continues: str | None

    def run(self, said: Callable[[Any], None]) -> Written | Overtaken | Fault:
        """Writes, or says why not."""
        return _writing(self.seen, self._write, said)

    def _write(self, folder: int) -> Written | Overtaken:
        standing = _name_of_marker(folder)
        if standing != self.replacing:
            return Overtaken()
        text = marker.render(self.marker)
        with (
            ExitStack() as undo,
            store.prepared(folder, store.LEDGER, ledger.render(self.ledger)) as new_ledger,
            store.prepared(folder, store.MARKER, text) as new_marker,
        ):
            old_marker = store.set_aside(folder, store.MARKER, standing) if standing is not None else None
            if old_marker:
                undo.callback(store.put_back, folder, old_marker, store.MARKER)
            try:
                store.settle_new(folder, new_marker, store.MARKER, text)
            except FileExistsError:
                undo.pop_all()  # what another command wrote meanwhile stands
                return Overtaken()
            undo.callback(store.discard, folder, store.MARKER)
            keep_as = _name_to_keep(_standing_ledger(folder), self.continues)
            old_ledger = store.settle(folder, new_ledger, store.LEDGER, keep_as)
            undo.pop_all()
        store.sync_folder(folder)
        return Written(self.ledger, tuple(old for old in (old_marker, old_ledger) if old))


@dataclass(frozen=True)
class Accept:
    """Writes a new ledger of the next generation; only beside the marker that was judged.

    Attributes:
        seen: What was judged.
        ledger: The new ledger; its generation is replaced by the next one.
        beside: The marker that was judged, as `name_of` calls it.
    """

    seen: Seen
    ledger: Ledger
    beside: str | None

    def run(self, said: Callable[[Any], None]) -> Written | Overtaken | Fault:
        """Writes, or says why not."""
        return _writing(self.seen, self._write, said)

    def _write(self, folder: int) -> Written | Overtaken:
        if _name_of_marker(folder) != self.beside:
            return Overtaken()
        last = _standing_ledger(folder)
        keep_as = _name_to_keep(last, self.ledger.marker_id)
        known = last.generation if isinstance(last, Ledger) and keep_as is None else 0
        accepted = replace(self.ledger, generation=max(known + 1, self.ledger.generation))
        aside = store.replace(folder, store.LEDGER, ledger.render(accepted), keep_as)
        return Written(accepted, (aside,) if aside else ())


@dataclass(frozen=True)
class Release:
    """Accepts what is there, then ends the hold that was judged: interrupted in between, the volume stays held.

    Attributes:
        accept: What is accepted.
        hold: The hold that ends.
    """

    accept: Accept
    hold: Hold | Invalid

    def run(self, said: Callable[[Any], None]) -> Written | Overtaken | Fault:
        """Writes, or says why not."""
        return _writing(self.accept.seen, self._write, said)

    def _write(self, folder: int) -> Written | Overtaken:
        if _standing_hold(folder) != self.hold:
            return Overtaken()
        written = self.accept._write(folder)  # noqa: SLF001 - one lock for both
        if isinstance(written, Overtaken):
            return written
        if not isinstance(self.hold, Invalid):
            store.remove(folder, store.HOLD)
            return written
        # What is no hold may be anything, a folder too: it is kept as a broken marker is.
        aside = store.set_aside(folder, store.HOLD, self.hold.digest)
        store.sync_folder(folder)
        return replace(written, set_aside=(*written.set_aside, *((aside,) if aside else ())))


@dataclass(frozen=True)
class Announce:
    """Writes the hold.

    Attributes:
        seen: What was judged.
        hold: Who, since when, why.
        over: In place of whatever hold stands, so that at no moment there is none (but of a folder, which is set aside first);
            otherwise that one is kept.
    """

    seen: Seen
    hold: Hold
    over: bool

    def run(self, said: Callable[[Any], None]) -> Written | Overtaken | Fault:
        """Writes, or says why not."""
        return _writing(self.seen, self._write, said)

    def _write(self, folder: int) -> Written | Overtaken:
        text = hold.render(self.hold)
        if self.over:
            return self._replace(folder, text)
        try:
            store.create(folder, store.HOLD, text)
        except FileExistsError:
            return Overtaken()
        return Written()

    def _replace(self, folder: int, text: bytes) -> Written:
        try:
            store.replace(folder, store.HOLD, text)
        except IsADirectoryError:  # it is no hold, and may be anything: it is kept, as `release` keeps it
            standing = _standing_hold(folder)
            aside = store.replace(folder, store.HOLD, text, standing.digest if isinstance(standing, Invalid) else None)
            return Written(set_aside=(aside,) if aside else ())
        return Written()


@dataclass(frozen=True)
class Keep:
    """Writes the ledger of a volume that is watched; only beside the marker that it belongs to, and never over a newer one.

    Attributes:
        seen: What was judged.
        ledger: The new ledger.
        replaces: The generation of the ledger that it may replace: a later one was accepted in between.
    """

    seen: Seen
    ledger: Ledger
    replaces: int

    def run(self, said: Callable[[Any], None]) -> Written | Overtaken | Fault:
        """Writes, or says why not."""
        return _writing(self.seen, self._write, said, store.open_standing)

    def _write(self, folder: int) -> Written | Overtaken:
        if _name_of_marker(folder) != self.ledger.marker_id:
            return Overtaken()
        if _standing_hold(folder) is not None:
            return Overtaken()
        standing = _standing_ledger(folder)
        if isinstance(standing, Invalid) and standing.future:
            return Overtaken()  # a newer guard wrote it, and reads more in it than this one can
        keep_as = _name_to_keep(standing, self.ledger.marker_id)
        if isinstance(standing, Ledger) and keep_as is None and standing.generation > self.replaces:
            return Overtaken()
        aside = store.replace(folder, store.LEDGER, ledger.render(self.ledger), keep_as)
        return Written(self.ledger, (aside,) if aside else ())


def _writing(
    seen: Seen,
    write: Callable[[int], Written | Overtaken],
    said: Callable[[Any], None],
    opening: Callable[[int], int] = store.open_folder,
) -> Written | Overtaken | Fault:
    doing = f"writing in {seen.path}/{GUARD_FOLDER}"
    try:
        with progress.told(lambda: said(doing)), _folder(seen, opening) as folder:
            return Overtaken() if folder is None else write(folder)
    except look.Unreachable as error:
        return error.fault
    except OSError as error:
        return Fault(error.errno or errno.EIO, doing, writing=True)


@contextmanager
def _folder(seen: Seen, opening: Callable[[int], int]) -> Iterator[int | None]:
    root = look.open_root(seen.path)
    try:
        if mounts.mount_id(root) != seen.mount_id or os.fstat(root).st_ino != seen.root_inode:
            yield None
            return
        folder = opening(root)
        try:
            with store.locked(folder):
                yield folder
        finally:
            os.close(folder)
    finally:
        os.close(root)


def name_of(standing: Marker | Invalid | None) -> str | None:
    """What `--replace` must name to set a marker aside; None where there is none."""
    if standing is None:
        return None
    return standing.marker_id if isinstance(standing, Marker) else standing.digest


def _name_of_marker(folder: int) -> str | None:
    return name_of(look.document(folder, store.MARKER, marker.LIMIT, marker.parse))


def _standing_ledger(folder: int) -> Ledger | Invalid | None:
    return look.document(folder, store.LEDGER, ledger.LIMIT, ledger.parse)


def _standing_hold(folder: int) -> Hold | Invalid | None:
    return look.document(folder, store.HOLD, hold.LIMIT, hold.parse)


def _name_to_keep(standing: Ledger | Invalid | None, continued: str | None) -> str | None:
    """What a ledger is kept under beside the new one; None where the new one continues it, by its marker ID."""
    if isinstance(standing, Invalid):
        return standing.digest
    if standing is None or standing.marker_id == continued:
        return None
    # Whoever can write the volume chose this ID: only what looks like one becomes part of a file's name.
    named = re.fullmatch(r"[0-9A-Za-z-]{1,36}", standing.marker_id, re.ASCII)
    return standing.marker_id if named else look.sha256(standing.marker_id.encode("utf-8", "surrogatepass"))[:DIGITS]

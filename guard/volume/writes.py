"""What a prober can be asked to write: what a command decided, and only where it was judged. Values that run there."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from guard.volume import hold, ledger, look, marker, mounts, store
from guard.volume.facts import GUARD_FOLDER, Fault, Invalid
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
        set_aside: What a broken or foreign document is called now; None where there was none.
    """

    ledger: Ledger | None = None
    set_aside: str | None = None


@dataclass(frozen=True)
class Overtaken:
    """Nothing was written: another command was faster, or the mount changed. Look again."""


@dataclass(frozen=True)
class Adopt:
    """Writes the marker, exclusively, then the first ledger.

    Attributes:
        seen: What was judged.
        marker: The new marker.
        ledger: The first ledger.
        replacing: The ID of the marker, or the digest of the broken one, that may be set aside; None for none.
    """

    seen: Seen
    marker: Marker
    ledger: Ledger
    replacing: str | None

    def run(self, said: Callable[[Any], None]) -> Written | Overtaken | Fault:
        """Writes, or says why not."""
        del said
        return _writing(self.seen, self._write)

    def _write(self, folder: int) -> Written | Overtaken:
        aside = None
        if (standing := _name_of_marker(folder)) is not None:
            if standing != self.replacing:
                return Overtaken()
            aside = store.set_aside(folder, store.MARKER, standing)
        try:
            store.create(folder, store.MARKER, marker.render(self.marker))
        except FileExistsError:
            return Overtaken()
        _keep_broken_ledger(folder)
        store.replace(folder, store.LEDGER, ledger.render(self.ledger))
        return Written(self.ledger, aside)


@dataclass(frozen=True)
class Accept:
    """Writes a new ledger of the next generation.

    Attributes:
        seen: What was judged.
        ledger: The new ledger; its generation is replaced by the next one.
    """

    seen: Seen
    ledger: Ledger

    def run(self, said: Callable[[Any], None]) -> Written | Overtaken | Fault:
        """Writes, or says why not."""
        del said
        return _writing(self.seen, self._write)

    def _write(self, folder: int) -> Written:
        last, aside = _keep_broken_ledger(folder)
        known = last.generation if last and last.marker_id == self.ledger.marker_id else 0
        accepted = replace(self.ledger, generation=max(known + 1, self.ledger.generation))
        store.replace(folder, store.LEDGER, ledger.render(accepted))
        return Written(accepted, aside)


@dataclass(frozen=True)
class Release:
    """Accepts what is there, then removes the hold: interrupted in between, the volume stays held."""

    accept: Accept

    def run(self, said: Callable[[Any], None]) -> Written | Overtaken | Fault:
        """Writes, or says why not."""
        del said
        return _writing(self.accept.seen, self._write)

    def _write(self, folder: int) -> Written:
        written = self.accept._write(folder)  # noqa: SLF001 - one lock for both
        store.remove(folder, store.HOLD)
        return written


@dataclass(frozen=True)
class Announce:
    """Writes the hold; one that stands already is kept.

    Attributes:
        seen: What was judged.
        hold: Who, since when, why.
    """

    seen: Seen
    hold: Hold

    def run(self, said: Callable[[Any], None]) -> Written | Overtaken | Fault:
        """Writes, or says why not."""
        del said
        return _writing(self.seen, self._write)

    def _write(self, folder: int) -> Written | Overtaken:
        try:
            store.create(folder, store.HOLD, hold.render(self.hold))
        except FileExistsError:
            return Overtaken()
        return Written()


@dataclass(frozen=True)
class TakeOver:
    """Writes the hold, in place of whatever hold stands: at no moment is there none.

    Attributes:
        seen: What was judged.
        hold: Who, since when, why.
    """

    seen: Seen
    hold: Hold

    def run(self, said: Callable[[Any], None]) -> Written | Overtaken | Fault:
        """Writes, or says why not."""
        del said
        return _writing(self.seen, self._write)

    def _write(self, folder: int) -> Written:
        store.replace(folder, store.HOLD, hold.render(self.hold))
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
        del said
        return _writing(self.seen, self._write, store.open_standing)

    def _write(self, folder: int) -> Written | Overtaken:
        if _name_of_marker(folder) != self.ledger.marker_id:
            return Overtaken()
        if look.document(folder, store.HOLD, hold.LIMIT, hold.parse) is not None:
            return Overtaken()
        standing = look.document(folder, store.LEDGER, ledger.LIMIT, ledger.parse)
        if isinstance(standing, Ledger) and standing.marker_id == self.ledger.marker_id:
            if standing.generation > self.replaces:
                return Overtaken()
        elif standing is not None:
            if isinstance(standing, Invalid) and standing.future:
                return Overtaken()  # a newer guard wrote it, and reads more in it than this one can
            name = standing.digest if isinstance(standing, Invalid) else standing.marker_id
            store.set_aside(folder, store.LEDGER, name)
        store.replace(folder, store.LEDGER, ledger.render(self.ledger))
        return Written(self.ledger)


def _writing(
    seen: Seen, write: Callable[[int], Written | Overtaken], opening: Callable[[int], int] = store.open_folder
) -> Written | Overtaken | Fault:
    try:
        with _folder(seen, opening) as folder:
            return Overtaken() if folder is None else write(folder)
    except look.Unreachable as error:
        return error.fault
    except OSError as error:
        return Fault(error.errno or errno.EIO, f"writing in {seen.path}/{GUARD_FOLDER}")


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


def _name_of_marker(folder: int) -> str | None:
    """What `--replace` must name to set the standing marker aside; None where there is none."""
    standing = look.document(folder, store.MARKER, marker.LIMIT, marker.parse)
    if standing is None:
        return None
    return standing.marker_id if isinstance(standing, Marker) else standing.digest


def _keep_broken_ledger(folder: int) -> tuple[Ledger | None, str | None]:
    """The standing ledger; a broken one is kept beside the new one, under another name."""
    standing = look.document(folder, store.LEDGER, ledger.LIMIT, ledger.parse)
    if standing is None or isinstance(standing, Ledger):
        return standing, None
    return None, store.set_aside(folder, store.LEDGER, standing.digest)

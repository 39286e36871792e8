"""What a count keeps while it walks: the files that a sample is chosen from, and the entries' figures. Pure, of bounded size."""

import heapq
from collections.abc import Collection, Sequence
from itertools import repeat
from zlib import crc32

from guard.volume.paths import PATH_LIMIT
from guard.volume.sample import BY_ENTRY, CANDIDATES, HASHES, folder_seed, hash_of

#: A hash, and the name and folder that it is of.
Row = tuple[int, bytes, bytes]
#: Entries whose files are kept in mind; above, those that have no file among the candidates are forgotten.
_ENTRIES = 4 * CANDIDATES
#: The longest name that Linux takes, in bytes.
_NAME_LIMIT = 255


class _Smallest:
    """The rows with the smallest hashes.

    Attributes:
        limit: A row with this hash or a larger one is none of them.
    """

    def __init__(self, room: int) -> None:
        self.limit = HASHES if room else 0
        self._room = room
        self._rows: list[Row] = []

    def add(self, rows: Sequence[tuple[int, bytes]], folder: bytes) -> None:
        limit = self.limit
        self._rows += [(number, name, folder) for number, name in rows if number < limit]
        if len(self._rows) > 2 * self._room:
            self.limit = self.rows()[-1][0] + 1

    def rows(self) -> list[Row]:
        """Returns the rows, the smallest hash first."""
        self._rows.sort()
        del self._rows[self._room :]
        return self._rows


class Sampler:
    """Chooses, of all files of a count, those whose sizes are worth reading."""

    def __init__(self, wanted: Collection[bytes] = ()) -> None:
        self._wanted = wanted
        self._everywhere = _Smallest(CANDIDATES)
        self._entry = _Smallest(0)
        self._files: dict[bytes, int] = {}  # of entries
        self._by_entry: dict[bytes, list[Row]] = {}
        self._chosen_entries: list[tuple[int, bytes]] = []  # a heap of those of _by_entry, the largest hash first

    def add(self, folder: bytes, names: Sequence[bytes]) -> None:
        """Handles files of one folder: a name's hash is the one of its path."""
        if len(folder) + _NAME_LIMIT + 1 >= PATH_LIMIT:
            names = [name for name in names if len(folder) + len(name) + 1 < PATH_LIMIT]
        everywhere, entry = self._everywhere, self._entry
        limit = max(everywhere.limit, entry.limit)
        hashes = map(crc32, names, repeat(folder_seed(folder)))
        rows = [(number, name) for number, name in zip(hashes, names, strict=False) if number < limit]
        if rows:
            everywhere.add(rows, folder)
            entry.add(rows, folder)

    def enter(self, entry: bytes, entries: int) -> None:
        """Begins an entry.

        Args:
            entry: Its path.
            entries: How many are known so far, this one included.
        """
        full = len(self._chosen_entries) == BY_ENTRY
        chosen = not full or hash_of(entry) < -self._chosen_entries[0][0]
        self._entry = _Smallest(-(-BY_ENTRY // entries) if chosen else 0)

    def leave(self, entry: bytes, files: int, depth: int) -> None:
        """Ends an entry, of so many files; entries lie so deep."""
        self._files[entry] = files
        if len(self._files) > _ENTRIES:
            live = {self.entry_of(folder, depth) for _, _, folder in self._everywhere.rows()}
            live |= {*self._by_entry, *self._wanted}
            self._files = {name: count for name, count in self._files.items() if name in live}
        rows, self._entry = self._entry.rows(), _Smallest(0)
        if not rows:
            return
        self._by_entry[entry] = rows
        heapq.heappush(self._chosen_entries, (-hash_of(entry), entry))
        if len(self._chosen_entries) > BY_ENTRY:
            del self._by_entry[heapq.heappop(self._chosen_entries)[1]]

    def by_hash(self) -> list[Row]:
        """Returns the files with the smallest hashes, in the order of their hashes."""
        return self._everywhere.rows()

    def by_entry(self, depth: int) -> dict[bytes, list[Row]]:
        """Returns files of the chosen entries, in the order of their hashes."""
        rows = {entry: {*kept} for entry, kept in sorted(self._by_entry.items(), key=lambda item: hash_of(item[0]))}
        for row in self._everywhere.rows():
            if (entry := self.entry_of(row[2], depth)) in rows:
                rows[entry].add(row)
        return {entry: sorted(those) for entry, those in rows.items()}

    def files_in(self, entries: Collection[bytes]) -> dict[bytes, int]:
        """Returns how many files these entries have, as far as they were met."""
        return {entry: self._files[entry] for entry in entries if entry in self._files}

    @staticmethod
    def entry_of(folder: bytes, depth: int) -> bytes:
        """Returns the entry that a folder lies in, or is; empty where it lies in none."""
        folders = folder.split(b"/", depth)
        return b"/".join(folders[:depth]) if 0 < depth <= len(folders) else b""

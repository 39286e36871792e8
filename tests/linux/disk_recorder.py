"""A disk that remembers every write and every flush, in their order: what it held at any moment can be made again.

    python -m tests.linux.disk_recorder MOUNTPOINT IMAGE TRACE

Mounts a FUSE file system whose only file, `disk`, is the image; a loop device on that file is the disk. The trace gets a
record for each call, before it is answered.
"""

import errno
import os
import random
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from tests.linux import fuse_server

_LOOKUP, _GETATTR, _SETATTR, _OPEN, _READ, _WRITE, _STATFS, _RELEASE, _FSYNC, _FLUSH = (
    1,
    3,
    4,
    14,
    15,
    16,
    17,
    18,
    20,
    25,
)
_ROOT, _DISK = 1, 2
#: Seconds for which the kernel can answer from its cache: nobody else writes.
_CACHED = 3600
_RECORD = struct.Struct("<QQ")  # offset and length; what was written follows
#: The offset in the record of a flush.
_FLUSHED = (1 << 64) - 1


@dataclass(frozen=True)
class Write:
    """What was written; None is a flush."""

    offset: int
    text: bytes | None


def read_trace(path: str) -> list[Write]:
    """All records so far."""
    records = []
    with open(path, "rb") as trace:
        while head := trace.read(_RECORD.size):
            offset, length = _RECORD.unpack(head)
            records.append(Write(0, None) if offset == _FLUSHED else Write(offset, trace.read(length)))
    return records


def images(records: list[Write], cuts: list[int], chance: random.Random) -> Iterator[tuple[int, list[Write]]]:
    """What of the records is on the disk where the power fails after so many of them: all, or what was not flushed in part."""
    for cut in cuts:
        flushed = max((number for number, one in enumerate(records[:cut]) if one.text is None), default=0)
        yield cut, records[:cut]
        yield cut, records[:flushed] + [one for one in records[flushed:cut] if chance.random() < 0.5]


class _Disk:
    def __init__(self, image: str, trace: str) -> None:
        self._image = os.open(image, os.O_RDWR)
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def answer(self, operation: int, node: int, body: bytes) -> bytes | int:
        if operation == _LOOKUP:
            if body.rstrip(b"\0") != b"disk":
                return errno.ENOENT
            return struct.pack("<4Q2I", _DISK, 0, _CACHED, _CACHED, 0, 0) + self._attributes(_DISK)
        if operation in {_GETATTR, _SETATTR}:
            return struct.pack("<Q2I", _CACHED, 0, 0) + self._attributes(node)
        if operation == _OPEN:
            return struct.pack("<Q2I", 0, 0, 0)
        if operation in {_READ, _WRITE}:
            _, offset, size = struct.unpack_from("<QQI", body)
            if operation == _READ:
                return os.pread(self._image, size, offset)
            os.write(self._trace, _RECORD.pack(offset, size) + body[40 : 40 + size])
            os.pwrite(self._image, body[40 : 40 + size], offset)
            return struct.pack("<2I", size, 0)
        if operation == _FSYNC:
            os.write(self._trace, _RECORD.pack(_FLUSHED, 0))
            return b""
        if operation == _STATFS:
            return struct.pack("<5Q4I24x", 1000, 500, 500, 1000, 500, 4096, 255, 4096, 0)
        return b"" if operation in {_RELEASE, _FLUSH} else errno.ENOSYS

    def _attributes(self, node: int) -> bytes:
        mode = stat.S_IFDIR | 0o755 if node == _ROOT else stat.S_IFREG | 0o600
        size = os.fstat(self._image).st_size
        return struct.pack("<6Q10I", node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def main() -> None:
    path, image, trace = sys.argv[1:]
    device = os.open("/dev/fuse", os.O_RDWR)
    disk = _Disk(image, trace)
    fuse_server.mount(device, path)
    os.write(1, b"mounted\n")
    with suppress(OSError):  # ENODEV: it was unmounted
        while True:
            fuse_server.serve_one(device, disk.answer)


if __name__ == "__main__":
    main()

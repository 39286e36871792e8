"""A FUSE file system that misbehaves, spoken to /dev/fuse directly (include/uapi/linux/fuse.h): for tests of the gate.

    fuse_server.py hung|slow|fast|bucket|bucket-unlink MOUNTPOINT VOLUME

hung answers nothing after the mount. slow and fast hold a marker of VOLUME and SLOW_FILES names at the top; slow takes its
time for each chunk of them. bucket is empty, and can be written but not rename, link or unlink; bucket-unlink can unlink. SIGUSR1 takes the names away, as another client of the server would. Killed, it leaves a mount
whose every call gives ENOTCONN.
"""

import ctypes
import errno
import json
import os
import signal
import stat
import struct
import sys
import time
from typing import Any

SLOW_FILES = 4000
#: Seconds for each page of names, some 120 of them.
SLOW_CHUNK = 0.15

_LOOKUP, _GETATTR, _OPEN, _READ, _STATFS, _INIT, _OPENDIR, _READDIR = 1, 3, 14, 15, 17, 26, 27, 28
_RELEASES = frozenset({18, 29})
_SETATTR, _MKDIR, _UNLINK, _RMDIR, _RENAME, _LINK, _WRITE, _CREATE, _RENAME2 = 4, 9, 10, 11, 12, 13, 16, 35, 45
_SYNCS = frozenset({20, 25, 30})  # FSYNC, FLUSH, FSYNCDIR
_UNANSWERED = frozenset({2, 36, 42})  # FORGET, INTERRUPT, BATCH_FORGET
_ROOT, _FOLDER, _MARKER, _FILE = 1, 2, 3, 1000
#: Seconds for which the kernel may answer from its cache: as long as FUSE file systems have it unless told otherwise.
_CACHED = 1
_PAGE = 4096


class Tree:
    """Names and content: a marker in its folder, and many empty files."""

    def __init__(self, volume: str, seconds: float) -> None:
        self.seconds = seconds
        identity = "0b9c7f0e-6f4e-4b6e-9d2b-3c1f5a7d9e11"
        marker = {"schema": 1, "volume": volume, "id": identity, "created": "2026-01-02T03:04:05Z"}
        self.marker = json.dumps(marker).encode()
        files = [(f"file{number:04}".encode(), _FILE + number) for number in range(SLOW_FILES)]
        self.folders: dict[int, list[tuple[bytes, int]]] = {
            _ROOT: [(b".volume-guard", _FOLDER), *files],
            _FOLDER: [(b"marker.json", _MARKER)],
        }

    def attributes(self, node: int) -> bytes:
        """struct fuse_attr."""
        mode = stat.S_IFDIR | 0o755 if node in self.folders else stat.S_IFREG | 0o644
        size = len(self.marker) if node == _MARKER else 0
        return struct.pack("<6Q10I", node, size, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def chunk(self, node: int, offset: int, size: int) -> bytes:
        """As many struct fuse_dirent as fit."""
        found = b""
        for number, (name, child) in enumerate(self.folders[node][offset:], start=offset + 1):
            kind = (stat.S_IFDIR if child in self.folders else stat.S_IFREG) >> 12
            entry = struct.pack("<QQII", child, number, len(name), kind) + name
            entry += bytes(-len(entry) % 8)
            if len(found) + len(entry) > size:
                break
            found += entry
        return found

    def answer(self, operation: int, node: int, body: bytes) -> bytes | int:
        """The answer's body, or an errno."""
        if operation == _LOOKUP:
            child = dict(self.folders.get(node, [])).get(body.rstrip(b"\0"))
            if child is None:
                return errno.ENOENT
            return struct.pack("<4Q2I", child, 0, _CACHED, _CACHED, 0, 0) + self.attributes(child)
        if operation == _GETATTR:
            return struct.pack("<Q2I", _CACHED, 0, 0) + self.attributes(node)
        if operation in {_OPEN, _OPENDIR}:
            return struct.pack("<Q2I", 0, 0, 0)
        if operation == _READDIR:
            _, offset, size = struct.unpack_from("<QQI", body)
            if node == _ROOT:
                time.sleep(self.seconds)
            return self.chunk(node, offset, min(size, _PAGE))
        if operation == _READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return self.marker[offset : offset + size]
        if operation == _STATFS:
            return struct.pack("<5Q4I24x", 1000, 500, 500, 1000, 500, 4096, 255, 4096, 0)
        return b"" if operation in _RELEASES else errno.ENOSYS


class Bucket(Tree):
    """As a driver for buckets: names can be made, but not changed."""

    def __init__(self, *, unlinks: bool) -> None:
        super().__init__("", 0)
        self.unlinks = unlinks
        self.folders = {_ROOT: []}
        self.files: dict[int, bytearray] = {}

    def attributes(self, node: int) -> bytes:
        mode = stat.S_IFDIR | 0o755 if node in self.folders else stat.S_IFREG | 0o644
        return struct.pack(
            "<6Q10I", node, len(self.files.get(node, b"")), 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0
        )

    def answer(self, operation: int, node: int, body: bytes) -> bytes | int:
        if operation == _MKDIR:
            return self._made(node, body[8:], self.folders, [])
        if operation == _CREATE:
            return self._made(node, body[16:], self.files, bytearray()) + struct.pack("<Q2I", 0, 0, 0)
        if operation == _WRITE:
            _, offset, size = struct.unpack_from("<QQI", body)
            self.files[node][offset : offset + size] = body[40 : 40 + size]
            return struct.pack("<2I", size, 0)
        if operation == _READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return bytes(self.files[node][offset : offset + size])
        if operation == _SETATTR:
            return super().answer(_GETATTR, node, body)
        if operation == _UNLINK and self.unlinks:
            self.folders[node] = [(name, child) for name, child in self.folders[node] if name != body.rstrip(b"\0")]
            return b""
        if operation in {_UNLINK, _RMDIR, _LINK}:
            return errno.EPERM
        if operation in {_RENAME, _RENAME2}:
            return errno.ENOSYS
        return b"" if operation in _SYNCS else super().answer(operation, node, body)

    def _made(self, folder: int, name: bytes, where: dict[int, Any], content: Any) -> bytes:
        child = len(self.folders) + len(self.files) + _FILE
        where[child] = content
        self.folders[folder].append((name.rstrip(b"\0"), child))
        return struct.pack("<4Q2I", child, 0, _CACHED, _CACHED, 0, 0) + self.attributes(child)


def mount(device: int, path: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    if libc.mount(b"bucket", os.fsencode(path), b"fuse.bucketfs", 0, options.encode()):
        raise OSError(ctypes.get_errno(), "mounting a FUSE file system")


def serve(device: int, tree: Tree, *, hung: bool) -> None:
    while True:
        request = os.read(device, 1 << 18)
        _, operation, unique, node = struct.unpack_from("<IIQQ", request)
        if operation == _INIT:
            answer: bytes | int = struct.pack("<4I2H2I2HI28x", 7, 31, 1 << 16, 0, 12, 9, 1 << 16, 1, 0, 0, 0)
        elif hung or operation in _UNANSWERED:
            continue
        else:
            answer = tree.answer(operation, node, request[40:])
        error, body = (-answer, b"") if isinstance(answer, int) else (0, answer)
        os.write(device, struct.pack("<IiQ", 16 + len(body), error, unique) + body)


def main() -> None:
    mode, path, volume = sys.argv[1:]
    device = os.open("/dev/fuse", os.O_RDWR)
    mount(device, path)
    os.write(1, b"mounted\n")
    tree = Tree(volume, SLOW_CHUNK if mode == "slow" else 0)
    if mode.startswith("bucket"):
        tree = Bucket(unlinks=mode == "bucket-unlink")
    signal.signal(signal.SIGUSR1, lambda *_: tree.folders.update({_ROOT: tree.folders[_ROOT][:1]}))
    serve(device, tree, hung=mode == "hung")


if __name__ == "__main__":
    main()

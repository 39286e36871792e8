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
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType

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
_DIRECT = 1  # FOPEN_DIRECT_IO: reads and writes are not cached
_PAGE = 4096


def dirents(kinds: Sequence[tuple[bytes, int, int]], offset: int, size: int) -> bytes:
    """As many struct fuse_dirent as fit, of names with their numbers and kinds."""
    found = b""
    for number, (name, child, kind) in enumerate(kinds[offset:], start=offset + 1):
        entry = struct.pack("<QQII", child, number, len(name), kind) + name
        entry += bytes(-len(entry) % 8)
        if len(found) + len(entry) > size:
            break
        found += entry
    return found


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
        kinds = [
            (name, child, (stat.S_IFDIR if child in self.folders else stat.S_IFREG) >> 12)
            for name, child in self.folders[node]
        ]
        return dirents(kinds, offset, size)

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


class Memory:
    """A whole file system in memory, in which each call can be refused or made to fail.

    Nothing is cached by the kernel: each call reaches `answer`.

    Attributes:
        refused: Operations that it doesn't have, with the errno that each gives.
    """

    def __init__(self, refused: Mapping[int, int] = MappingProxyType({})) -> None:
        self.refused = refused
        self.nodes: dict[int, Node] = {_ROOT: Node(stat.S_IFDIR | 0o755)}
        self._next = _FILE

    def text(self, path: str) -> bytes | None:
        """The content of a file; None if there is none."""
        node = self._child(path)
        return None if node is None else bytes(self.nodes[node].content)

    def names(self, path: str) -> list[str]:
        """What a folder holds; nothing if there is none."""
        node = self._child(path)
        return [] if node is None else sorted(os.fsdecode(name) for name in self.nodes[node].names)

    def copy(self) -> "Memory":
        """The same content under other numbers, so that the kernel takes none of it for what it knows."""
        copy, moved = Memory(self.refused), {_ROOT: _ROOT}
        copy._next = self._next
        for node in self.nodes:
            moved.setdefault(node, copy._number())
        copy.nodes = {
            moved[number]: Node(
                node.mode, {name: moved[child] for name, child in node.names.items()}, bytearray(node.content), node.changed
            )
            for number, node in self.nodes.items()
        }  # fmt: skip
        return copy

    def add_folder(self, path: str) -> None:
        above, _, name = path.rpartition("/")
        self._add(self._child(above), os.fsencode(name), stat.S_IFDIR | 0o755)

    def add_file(self, path: str, text: bytes = b"") -> None:
        above, _, name = path.rpartition("/")
        self.nodes[self._add(self._child(above), os.fsencode(name), stat.S_IFREG | 0o644)].content += text

    def answer(self, operation: int, node: int, body: bytes) -> bytes | int:
        """The answer's body, or an errno."""
        if operation in self.refused:
            return self.refused[operation]
        if node not in self.nodes:
            return errno.ESTALE
        return self._answer(operation, self.nodes[node], node, body)

    def _answer(self, operation: int, node: "Node", number: int, body: bytes) -> bytes | int:
        if operation == _LOOKUP:
            child = node.names.get(body.rstrip(b"\0"))
            return errno.ENOENT if child is None else self._entry(child)
        if operation in {_GETATTR, _SETATTR}:
            if operation == _SETATTR:
                self._set(node, body)
            return struct.pack("<Q2I", 0, 0, 0) + self._attributes(number)
        if operation in {_OPEN, _OPENDIR}:
            return struct.pack("<Q2I", 0, _DIRECT, 0)
        if operation in {_MKDIR, _CREATE}:
            name = body[8 if operation == _MKDIR else 16 :].rstrip(b"\0")
            if name in node.names:
                return errno.EEXIST
            mode = stat.S_IFDIR | 0o755 if operation == _MKDIR else stat.S_IFREG | 0o644
            entry = self._entry(self._add(number, name, mode))
            return entry if operation == _MKDIR else entry + struct.pack("<Q2I", 0, _DIRECT, 0)
        if operation in {_READ, _WRITE, _READDIR}:
            _, offset, size = struct.unpack_from("<QQI", body)
            if operation == _WRITE:
                node.content[offset : offset + size] = body[40 : 40 + size]
                return struct.pack("<2I", size, 0)
            return bytes(node.content[offset : offset + size]) if operation == _READ else self._list(node, offset, size)
        if operation == _STATFS:
            return struct.pack("<5Q4I24x", 1000, 500, 500, 1000, 500, 4096, 255, 4096, 0)
        return self._rename(operation, node, body)

    def _rename(self, operation: int, node: "Node", body: bytes) -> bytes | int:
        if operation in {_UNLINK, _RMDIR}:
            return b"" if node.names.pop(body.rstrip(b"\0"), None) is not None else errno.ENOENT
        if operation == _LINK:
            (source,) = struct.unpack_from("<Q", body)
            if body[8:].rstrip(b"\0") in node.names:
                return errno.EEXIST
            node.names[body[8:].rstrip(b"\0")] = source
            return self._entry(source)
        if operation in {_RENAME, _RENAME2}:
            (folder,) = struct.unpack_from("<Q", body)
            old, new = body[8 if operation == _RENAME else 16 :].split(b"\0")[:2]
            if old not in node.names:
                return errno.ENOENT
            self.nodes[folder].names[new] = node.names.pop(old)
            return b""
        return b"" if operation in _RELEASES | _SYNCS else errno.ENOSYS

    def _child(self, path: str) -> int | None:
        node: int | None = _ROOT
        for name in filter(None, path.split("/")):
            node = None if node is None else self.nodes[node].names.get(os.fsencode(name))
        return node

    def _number(self) -> int:
        self._next += 1
        return self._next

    def _add(self, folder: int | None, name: bytes, mode: int) -> int:
        assert folder is not None
        number = self._number()
        self.nodes[number] = Node(mode)
        self.nodes[folder].names[name] = number
        return number

    def _set(self, node: "Node", body: bytes) -> None:
        valid, size, mode = struct.unpack_from("<I12xQ48xI", body)
        if valid & 1:
            node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)
        if valid & 8:
            del node.content[size:]

    def _attributes(self, number: int) -> bytes:
        node = self.nodes[number]
        links = 2 if stat.S_ISDIR(node.mode) else 1
        size, at = len(node.content), int(node.changed)
        return struct.pack("<6Q10I", number, size, 0, at, at, at, 0, 0, 0, node.mode, links, 0, 0, 0, 4096, 0)

    def _entry(self, number: int) -> bytes:
        return struct.pack("<4Q2I", number, 0, 0, 0, 0, 0) + self._attributes(number)

    def _list(self, node: "Node", offset: int, size: int) -> bytes:
        kinds = [(name, child, self.nodes[child].mode >> 12) for name, child in node.names.items()]
        return dirents(kinds, offset, size)


@dataclass
class Node:
    """A file or a folder of `Memory`."""

    mode: int
    names: dict[bytes, int] = field(default_factory=dict)
    content: bytearray = field(default_factory=bytearray)
    changed: float = field(default_factory=time.time)


def bucket(*, unlinks: bool) -> Memory:
    """As a driver for buckets: names can be made, but not changed."""
    refused = dict.fromkeys((_UNLINK, _RMDIR, _LINK), errno.EPERM) | dict.fromkeys((_RENAME, _RENAME2), errno.ENOSYS)
    if unlinks:
        del refused[_UNLINK]
    return Memory(refused)


def mount(device: int, path: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    if libc.mount(b"bucket", os.fsencode(path), b"fuse.bucketfs", 0, options.encode()):
        raise OSError(ctypes.get_errno(), "mounting a FUSE file system")


def serve_one(device: int, answer_of: Callable[[int, int, bytes], bytes | int | None]) -> None:
    """Reads one request and answers it; None is no answer."""
    request = os.read(device, 1 << 18)
    _, operation, unique, node = struct.unpack_from("<IIQQ", request)
    answer: bytes | int | None
    if operation == _INIT:
        answer = struct.pack("<4I2H2I2HI28x", 7, 31, 1 << 16, 0, 12, 9, 1 << 16, 1, 0, 0, 0)
    else:
        answer = None if operation in _UNANSWERED else answer_of(operation, node, request[40:])
    if answer is None:
        return
    error, body = (-answer, b"") if isinstance(answer, int) else (0, answer)
    with suppress(FileNotFoundError):  # whoever asked was killed
        os.write(device, struct.pack("<IiQ", 16 + len(body), error, unique) + body)


def _no_answer(*_: object) -> None:
    pass


def main() -> None:
    mode, path, volume = sys.argv[1:]
    device = os.open("/dev/fuse", os.O_RDWR)
    mount(device, path)
    os.write(1, b"mounted\n")
    answer_of: Callable[[int, int, bytes], bytes | int | None] = _no_answer
    if mode.startswith("bucket"):
        answer_of = bucket(unlinks=mode == "bucket-unlink").answer
    elif mode != "hung":
        tree = Tree(volume, SLOW_CHUNK if mode == "slow" else 0)
        signal.signal(signal.SIGUSR1, lambda *_: tree.folders.update({_ROOT: tree.folders[_ROOT][:1]}))
        answer_of = tree.answer
    while True:
        serve_one(device, answer_of)


if __name__ == "__main__":
    main()

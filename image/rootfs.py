"""Assembles the root file system of the image: the interpreter, what the guard loads, and nothing else that runs.

Runs in the build stage of the Dockerfile, with the base image's own Python: `python rootfs.py TARGET ENVIRONMENT`. The
paths stay those of the base, whether its Python is Debian's or the official image's.
"""

import compileall
import fnmatch
import os
import py_compile
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

#: What the guard and its libraries never import, by path below the standard library. `_ssl` and `_hashlib` would bring
#: OpenSSL: the interpreter has the hash functions in itself, and the guard opens no connection.
LEFT_OUT = (
    "__pycache__", "config-*", "site-packages", "dist-packages", "test", "*/test", "*/tests", "idlelib",
    "tkinter", "turtle*", "lib2to3", "ensurepip", "venv", "distutils", "pydoc*", "_pyrepl", "profiling", "profile.py",
    "cProfile.py", "pstats.py", "pdb.py", "doctest.py", "unittest", "sqlite3", "dbm", "curses", "xmlrpc", "wsgiref",
    "lib-dynload/*test*", "lib-dynload/xx*", "lib-dynload/_ssl.*", "lib-dynload/_hashlib.*", "lib-dynload/_sqlite3.*",
    "lib-dynload/_curses*", "lib-dynload/_tkinter.*", "lib-dynload/readline.*", "lib-dynload/_dbm.*",
    "lib-dynload/_gdbm.*", "lib-dynload/_lsprof.*", "lib-dynload/_remote_debugging.*", "lib-dynload/_codecs_*",
    "lib-dynload/_interp*",
)  # fmt: skip
#: What stays of the environment's programs: `activate` needs a shell, and the libraries' own programs are not ours.
COMMANDS = ("guard", "python", "python3", "python3.*")
#: What the base is, for scanners; and where its libraries are: the official image has libpython in /usr/local/lib, where
#: the loader doesn't look by itself.
OF_THE_BASE = (Path("/etc/os-release"), Path("/etc/ld.so.cache"))
#: Where scanners look for the packages of an image that has no package manager.
PACKAGES = Path("/var/lib/dpkg/status.d")


class Root:
    """A root file system in a folder, filled from this machine's."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self._copied: set[Path] = set()

    def add(self, path: Path) -> None:
        """Copies a file under its own path; of a link, also what it leads to, and of a path below a link that link."""
        for parent in reversed(path.parents[:-1]):
            if parent.is_symlink():
                self._link(parent)
                self.add(parent.resolve() / path.relative_to(parent))
                return
        if path in self._copied:
            return
        self._copied.add(path)
        if path.is_symlink():
            self._link(path)
            self.add(Path(os.path.normpath(path.parent / path.readlink())))
            return
        inside = self._inside(path)
        shutil.copyfile(path, inside)
        inside.chmod(0o755 if _is_program(path) or ".so" in path.name else 0o644)

    def write(self, path: Path, text: str) -> None:
        """Writes a file that this machine doesn't have."""
        self._inside(path).write_text(text)

    @property
    def files(self) -> list[Path]:
        """The copied files, by their own paths, links left out."""
        return sorted(path for path in self._copied if not path.is_symlink())

    def _link(self, path: Path) -> None:
        inside = self._inside(path)
        if not inside.is_symlink():
            inside.symlink_to(path.readlink())

    def _inside(self, path: Path) -> Path:
        inside = self.target / path.relative_to("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        return inside


def standard_library() -> Iterator[Path]:
    """The files of the standard library that are shipped."""
    root = Path(sysconfig.get_path("stdlib"))
    for folder, folders, names in os.walk(root):
        here = Path(folder).relative_to(root)
        folders[:] = [name for name in folders if not _is_left_out(here / name)]
        yield from (root / here / name for name in names if not _is_left_out(here / name))


def environment(root: Path) -> Iterator[Path]:
    """The files of the virtual environment that are shipped."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            if folder != f"{root}/bin" or any(fnmatch.fnmatch(name, pattern) for pattern in COMMANDS):
                yield Path(folder, name)


def libraries(files: Iterable[Path]) -> Iterator[Path]:
    """The shared libraries that programs and extension modules need, and the loader."""
    elves = [path for path in files if path.suffix == ".so" or (_is_program(path) and _is_elf(path))]
    for line in _output("ldd", *elves).splitlines():
        words = line.replace("=>", "").split()
        yield from (Path(os.path.normpath(word)) for word in words if word[0] == "/" and not word.endswith(":"))


def packages(files: Iterable[Path]) -> set[str]:
    """The Debian packages that the files come from; what the official image built itself is of none."""
    found = subprocess.run(
        ["dpkg-query", "--search", *map(str, files)], check=False, capture_output=True, text=True
    ).stdout
    return {line.partition(":")[0] for line in found.splitlines() if not line.startswith("diversion ")}


def assemble(target: Path, virtual: Path) -> None:
    """Fills the target."""
    root = Root(target)
    for path in (*standard_library(), *environment(virtual), *OF_THE_BASE):
        root.add(path)
    for path in libraries(root.files):
        root.add(path)
    for name in sorted(packages(root.files)):
        root.write(PACKAGES / name, _output("dpkg-query", "--status", name))
        licence = Path("/usr/share/doc", name, "copyright")
        if licence.exists():
            root.add(licence)
    (target / "tmp").mkdir()
    (target / "tmp").chmod(0o1777)
    compile_all(target)


def compile_all(target: Path) -> None:
    """Writes the bytecode, under the paths that the files have in the image; it is never checked against the sources."""
    done = compileall.compile_dir(
        target, maxlevels=30, stripdir=target, prependdir="/", force=True, quiet=1, workers=0,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )  # fmt: skip
    if not done:
        sys.exit("not everything could be compiled")


def _is_left_out(path: Path) -> bool:
    return any(fnmatch.fnmatch(str(path), pattern) for pattern in LEFT_OUT)


def _is_program(path: Path) -> bool:
    return path.parent.name == "bin"


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _output(*words: str | Path) -> str:
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    assemble(Path(sys.argv[1]), Path(sys.argv[2]))

"""The one room that opens files: files, folders and standard input -> objects, each with its place. No judgement here."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from guard.doctor.inventory import Broken, Repeated
from guard.doctor.json_text import looks_like_json, read_json
from guard.doctor.kube import Kube, Side
from guard.doctor.rule import STDIN
from guard.doctor.text_parts import Document, Unreadable
from guard.doctor.tree import LinedList, dig, text
from guard.doctor.yaml_text import read_yaml

#: Bytes of one input that are read. A dump of 10,000 objects has about 60 MB as JSON; YAML is ten times slower to read.
MAX_JSON = 256 * 1024 * 1024
MAX_YAML = 32 * 1024 * 1024
#: Files of one folder that are read.
MAX_FILES = 10_000
#: Lists in Lists that are opened: kubectl writes none.
MAX_LISTS = 3

_ENDINGS = (".yaml", ".yml", ".json")
_KUSTOMIZATIONS = frozenset({"kustomization.yaml", "kustomization.yml", "Kustomization"})
_CHART = "Chart.yaml"
#: What a pipe that brings nothing usually is.
_HINT = ": the command before the pipe wrote nothing, see its own error"
#: Byte order marks: PowerShell writes UTF-16 when it redirects.
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(slots=True)
class Loaded:
    """What was read.

    Attributes:
        objects: Every object, of any kind.
        repeated: Equal keys.
        broken: What could not be read.
        skipped: What was left out on purpose, as sentences.
        documents: How many documents could be read.
        understood: How many objects, and lists that said that there is none.
        files: Files that were read, by where they really are, each with its side.
    """

    objects: list[Kube] = field(default_factory=list)
    repeated: list[Repeated] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    documents: int = 0
    understood: int = 0
    files: set[tuple[str, Side | None]] = field(default_factory=set)


def load(files: tuple[str, ...], live: tuple[str, ...], stdin: BinaryIO) -> Loaded:
    """Reads everything.

    Args:
        files: Files, folders, or `-`. Where no `live` is given, an object with a uid is the cluster's all the same.
        live: The cluster's side.
        stdin: What `-` reads, once.
    """
    loaded = Loaded()
    for name in files:
        _load(name, None if not live else Side.FILE, stdin, loaded)
    for name in live:
        _load(name, Side.LIVE, stdin, loaded)
    return loaded


def read_text(name: str, stdin: BinaryIO) -> str | Broken:
    """The text of one file or of standard input; what is wrong with it where there is none."""
    content = _read(name, stdin, MAX_JSON)
    return content if isinstance(content, Broken) else _decode(name, content)


def _load(name: str, side: Side | None, stdin: BinaryIO, loaded: Loaded) -> None:
    before = _said(loaded)
    if name == STDIN or not os.path.isdir(name):
        _load_file(name, side, stdin, loaded)
        if _said(loaded) == before:
            loaded.broken.append(Broken(name, None, f"nothing in it{_HINT if name == STDIN else ''}"))
        return
    count = 0
    for path in _walk(name, loaded):
        count += 1
        if count > MAX_FILES:
            loaded.broken.append(Broken(name, None, f"more than {MAX_FILES:,} files: name the folders that matter"))
            return
        _load_file(path, side, stdin, loaded)
    if _said(loaded) == before:
        reason = f"nothing in the {count} files" if count else f"no {', '.join(_ENDINGS)} file"
        loaded.broken.append(Broken(name, None, f"{reason} in this folder that could be read as it is"))


def _said(loaded: Loaded) -> tuple[int, int, int]:
    """How much there is to report: an input that adds nothing must not pass for one that was looked at."""
    return len(loaded.objects), len(loaded.broken), len(loaded.skipped)


def _walk(folder: str, loaded: Loaded) -> Iterator[str]:
    """Regular files of a folder by name, top down; a kustomization holds patches, a chart templates: no objects."""
    for parent, folders, names in os.walk(folder, onerror=lambda error: loaded.broken.append(_unreadable(error))):
        if not _KUSTOMIZATIONS.isdisjoint(names):
            loaded.skipped.append(f"{parent} is a kustomization: kubectl kustomize {parent} | guard doctor -")
            folders.clear()
            continue
        if _CHART in names:
            loaded.skipped.append(f"{parent} is a Helm chart: helm template {parent} | guard doctor -")
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        linked = (path for name in folders if os.path.islink(path := os.path.join(parent, name)))
        loaded.skipped.extend(f"{path} is a link to a folder: name it to have it read" for path in linked)
        for name in sorted(names):
            path = os.path.join(parent, name)
            if name.endswith(_ENDINGS) and _is_regular(path):
                yield path


def _unreadable(error: OSError) -> Broken:
    return Broken(str(error.filename), None, f"cannot be read: {error.strerror or error}")


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True  # reading it will say what is wrong


def _load_file(name: str, side: Side | None, stdin: BinaryIO, loaded: Loaded) -> None:
    if name != STDIN:
        file = os.path.realpath(name), side
        if file in loaded.files:
            loaded.skipped.append(f"{name} was given before: it is read once")
            return
        loaded.files.add(file)
    found = read_text(name, stdin)
    if isinstance(found, Broken):
        loaded.broken.append(found)
        return
    for part in _parts(found):
        if isinstance(part, Unreadable):
            loaded.broken.append(Broken(name, part.line, part.reason))
        else:
            loaded.documents += 1
            _take(part, name, side, loaded)


def _parts(found: str) -> Iterator[Document | Unreadable]:
    if looks_like_json(found):
        parts = list(read_json(found))
        if not isinstance(parts[-1], Unreadable):
            yield from parts
            return
        flow = list(read_yaml(found)) if len(found) <= MAX_YAML else []
        readable = flow and not any(isinstance(part, Unreadable) for part in flow)
        yield from flow if readable else parts
        return
    if len(found) > MAX_YAML:
        limit = MAX_YAML // (1024 * 1024)
        yield Unreadable(None, f"YAML larger than {limit} MiB: give it as JSON (kubectl get -o json), or fewer objects")
        return
    yield from read_yaml(found)


def _read(name: str, stdin: BinaryIO, limit: int) -> bytes | Broken:
    try:
        if name == STDIN:
            content = stdin.read(limit + 1)
        else:
            with open(name, "rb") as stream:
                content = stream.read(limit + 1)
    except OSError as error:
        return Broken(name, None, f"cannot be read: {error.strerror or error}")
    if len(content) > limit:
        return Broken(name, None, f"larger than {limit // (1024 * 1024)} MiB: give fewer kinds, or one namespace")
    return content


def _decode(name: str, content: bytes) -> str | Broken:
    encoding = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), "utf-8")
    if encoding != "utf-16" and (zero := content.find(b"\0", 0, 1024 * 1024)) >= 0:
        line = content.count(b"\n", 0, zero) + 1
        return Broken(name, line, "binary, not text: a zero byte")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Broken(
            name, line, f"not {encoding.upper().removesuffix('-SIG')} text: byte 0x{content[error.start]:02x}"
        )


def _take(document: Document, source: str, side: Side | None, loaded: Loaded) -> None:
    before = len(loaded.objects)
    _take_node(document.root, document.item_lines, document.line, _Origin(source, side, loaded))
    found = loaded.objects[before:]
    for duplicate in document.duplicates:
        kube = next((kube for kube in reversed(found) if (kube.line or 0) <= duplicate.second), None)
        loaded.repeated.append(Repeated(duplicate, source, kube))


@dataclass(frozen=True, slots=True)
class _Origin:
    source: str
    side: Side | None
    loaded: Loaded


def _take_node(node: Any, lines: tuple[int, ...], line: int, origin: _Origin, depth: int = 0) -> None:
    """Takes an object, the items of a List, or the members of a bare array."""
    items = _items(node)
    if items is not None and depth <= MAX_LISTS:
        own = tuple(items.lines) if isinstance(items, LinedList) else lines
        kind = text(node, "kind").removesuffix("List")
        if not items and not depth:
            origin.loaded.understood += 1
            origin.loaded.skipped.append(f"{origin.source}:{line} is a list without objects: kubectl get found none")
        for index, item in enumerate(items):
            if kind and isinstance(item, dict) and not item.get("kind"):
                item["kind"] = kind  # the items of a typed list (PodList) carry no kind of their own
            _take_node(item, (), own[index] if index < len(own) else line, origin, depth + 1)
    elif items is not None or not isinstance(node, dict) or not text(node, "kind"):
        if node is not None:
            origin.loaded.skipped.append(f"{origin.source}:{line} is {_shape(node)}, not a Kubernetes object")
    elif text(node, "apiVersion").startswith("kustomize.config.k8s.io"):
        origin.loaded.understood += 1
        origin.loaded.skipped.append(f"{origin.source}:{line} is a kustomization: render it with kubectl kustomize")
    else:
        side = origin.side or (Side.LIVE if text(node, "metadata", "uid") else Side.FILE)
        origin.loaded.understood += 1
        origin.loaded.objects.append(Kube(node, origin.source, line, side))


def _items(node: Any) -> list[Any] | None:
    if isinstance(node, list):
        return node
    items = dig(node, "items")
    return items if text(node, "kind").endswith("List") and isinstance(items, list) else None


def _shape(node: Any) -> str:
    if _items(node) is not None:
        return "a list in lists in lists"
    return "a mapping without a kind" if isinstance(node, dict) else "a single value"

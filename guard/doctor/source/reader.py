"""Opens files, folders and standard input and reads them as documents. The only module of the doctor that opens anything."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from guard.doctor.source.document import MAX_NOTES, STDIN, Document, Place, ReadError, Side, TextError
from guard.doctor.source.json_text import read_json
from guard.doctor.source.yaml_text import FEWER, MISSING, read_yaml

#: Bytes of one input that are read. A dump of 10,000 objects has about 60 MB as JSON; YAML is ten times slower to read.
MAX_JSON = 256 * 1024 * 1024
MAX_YAML = 32 * 1024 * 1024
#: Files of one folder that are read.
MAX_FILES = 10_000

_ENDINGS = (".yaml", ".yml", ".json")
_KUSTOMIZATIONS = frozenset({"kustomization.yaml", "kustomization.yml", "Kustomization"})
_CHART = "Chart.yaml"
#: Byte order marks: PowerShell writes UTF-16 when it redirects.
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(slots=True)
class Input:
    """All that was read."""

    #: Every document with its source, and its side where that was given.
    documents: list[tuple[Document, str, Side | None]] = field(default_factory=list)
    errors: list[ReadError] = field(default_factory=list)  # what could not be read
    skipped: list[str] = field(default_factory=list)  # what was left out on purpose, as sentences
    #: Files that were read, by where they really are, each with its side.
    files: set[tuple[str, Side | None]] = field(default_factory=set)


def read(files: tuple[str, ...], live: tuple[str, ...], stdin: BinaryIO) -> Input:
    """Reads everything.

    Args:
        files: Files, folders, or `-`. If no `live` is given, an object with a uid is the cluster's all the same.
        live: The cluster's side.
        stdin: What `-` reads, once.
    """
    given = Input()
    for name in files:
        _read(name, None if not live else Side.FILE, stdin, given)
    for name in live:
        _read(name, Side.LIVE, stdin, given)
    return given


def read_text(name: str, stdin: BinaryIO) -> str | ReadError:
    """Returns the text of one file or of standard input; what is wrong with it if there is none."""
    try:
        if name == STDIN:
            content = stdin.read(MAX_JSON + 1)
        else:
            with open(name, "rb") as stream:
                content = stream.read(MAX_JSON + 1)
    except OSError as error:
        return _unreadable(name, error)
    if len(content) > MAX_JSON:
        limit = MAX_JSON // (1024 * 1024)
        return ReadError(Place(name), f"larger than {limit} MiB: give fewer kinds, or one namespace")
    return _decode(name, content)


def _read(name: str, side: Side | None, stdin: BinaryIO, given: Input) -> None:
    before = _amount(given)
    if name == STDIN or not os.path.isdir(name):
        _read_file(name, side, stdin, given, is_named=True)
        hint = ": the command before the pipe wrote nothing, see its own error" if name == STDIN else ""
        nothing = f"nothing in it{hint}"
    else:
        count = 0
        for count, path in enumerate(_walk(name, given), 1):
            if count > MAX_FILES:
                reason = f"more than {MAX_FILES:,} files: name the folders that matter"
                given.errors.append(ReadError(Place(name), reason))
                return
            _read_file(path, side, stdin, given, is_named=False)
        what = f"nothing in the {count} files" if count else f"no {', '.join(_ENDINGS)} file"
        nothing = f"{what} in this folder that could be read as it is"
    if _amount(given) == before:
        given.errors.append(ReadError(Place(name), nothing))


def _amount(given: Input) -> tuple[int, int, int]:
    """Returns how much there is to report: an input that adds nothing must not pass for one that was read."""
    return len(given.documents), len(given.errors), len(given.skipped)


def _walk(folder: str, given: Input) -> Iterator[str]:
    """Yields regular files of a folder by name, top down; a kustomization holds patches, a chart templates: no objects."""

    def on_error(error: OSError) -> None:
        given.errors.append(_unreadable(str(error.filename), error))

    for parent, folders, names in os.walk(folder, onerror=on_error):
        what = "a kustomization: kubectl kustomize" if not _KUSTOMIZATIONS.isdisjoint(names) else ""
        if what or _CHART in names:
            given.skipped.append(f"{parent} is {what or 'a Helm chart: helm template'} {parent} | guard doctor -")
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        linked = (path for name in folders if os.path.islink(path := os.path.join(parent, name)))
        given.skipped.extend(f"{path} is a link to a folder: name it to have it read" for path in linked)
        paths = (os.path.join(parent, name) for name in sorted(names) if name.endswith(_ENDINGS))
        # Reading what cannot be looked at will show what is wrong.
        yield from (path for path in paths if os.path.isfile(path) or not os.path.exists(path))


def _unreadable(name: str, error: OSError) -> ReadError:
    return ReadError(Place(name), f"cannot be read: {error.strerror or error}")


def _read_file(name: str, side: Side | None, stdin: BinaryIO, given: Input, *, is_named: bool) -> None:
    file = os.path.realpath(name), side
    if name != STDIN and file in given.files:
        given.skipped.append(f"{name} was given before: it is read once")
        return
    if name != STDIN:
        given.files.add(file)
    content = read_text(name, stdin)
    if isinstance(content, ReadError):
        given.errors.append(content)
        return
    parts = list(_parts(content))
    roots = (part for part in parts if isinstance(part, Document) and part.root is not None)
    given.documents.extend((part, name, side) for part in roots)
    faults = [part for part in parts if isinstance(part, TextError)]
    if faults:
        _report_faults(name, content, faults, given, is_named=is_named)


def _report_faults(name: str, content: str, faults: list[TextError], given: Input, *, is_named: bool) -> None:
    """Reports what could not be read: a template must be rendered, what is no manifest at all is not our business."""
    first = Place(name, faults[0].line)
    is_manifest = any(word in content for word in ("apiVersion:", "kind:", '"apiVersion"', '"kind"'))
    if "{{" in content:
        render = "(helm template RELEASE CHART | guard doctor -, or kubectl kustomize)"
        given.skipped.append(f"{first} is a template: render it first {render}")
    elif not is_manifest and not is_named:
        given.skipped.append(f"{first} is not a Kubernetes object ({faults[0].reason})")
    else:
        given.errors.extend(
            ReadError(Place(name, fault.line), fault.reason, is_manifest and fault.reason != MISSING)
            for fault in faults[:MAX_NOTES]
        )
        if faults[MAX_NOTES:]:
            given.skipped.append(f"{name} has {len(faults) - MAX_NOTES} more documents that cannot be read")


def _parts(text: str) -> Iterator[Document | TextError]:
    if text.lstrip()[:1] in {"{", "["}:  # YAML can start like this too, so failing is not the end
        documents: list[Document | TextError] = []
        try:
            documents.extend(read_json(text))
        except TextError as error:
            flow = list(read_yaml(text)) if len(text) <= MAX_YAML else []
            is_yaml = flow and not any(isinstance(part, TextError) for part in flow)
            documents = flow if is_yaml else [*documents, error]
        yield from documents
    elif len(text) > MAX_YAML:
        limit = MAX_YAML // (1024 * 1024)
        yield TextError(None, f"YAML larger than {limit} MiB: {FEWER}")
    else:
        yield from read_yaml(text)


def _decode(name: str, content: bytes) -> str | ReadError:
    encoding = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), "utf-8")
    if encoding != "utf-16" and (zero := content.find(b"\0", 0, 1024 * 1024)) >= 0:
        return ReadError(Place(name, content.count(b"\n", 0, zero) + 1), "binary, not text: a zero byte")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        place = Place(name, content.count(b"\n", 0, error.start) + 1)
        label = encoding.upper().removesuffix("-SIG")
        return ReadError(place, f"not {label} text: byte 0x{content[error.start]:02x}")

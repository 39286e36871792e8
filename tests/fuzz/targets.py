"""What is fuzzed: each reader of foreign text, and what the guard does with what was read. A target raises where it fails."""

import gc
import io
import os
import select
import socket
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from typing import Literal, TypeVar

from guard import arguments, settings
from guard.backup import restic, snapshot
from guard.backup.gate import log_object
from guard.backup.snapshot import ListingError
from guard.doctor.command import FORMATS, Options
from guard.doctor.command import run as run_doctor
from guard.doctor.report.checklist import last_result
from guard.event import Event, EventRecord
from guard.outcome import Severity
from guard.report.log import Log
from guard.volume import hold, kinds, ledger, marker, mountinfo
from guard.volume.json_document import DocumentError, Format
from guard.volume.loss import Content, LossRule, is_over, judge_loss, states_of
from guard.volume.paths import is_below
from guard.volume.sample import FileCheck, Presence
from guard.watch.http_server import HttpServer, Page

Target = Callable[[bytes], None]

_RULE = LossRule()
#: Seconds since the epoch of the first sign of a loss.
_FIRST_SIGN = 1_790_000_000.0
#: A line of the log is no longer, whatever is in it.
_LINE = 8 * 1024 + 1


def _log(text: str) -> None:
    """No foreign text may end a line, be obeyed by a terminal, or make a line long."""
    shape: Literal["json", "console"] = "json" if len(text) % 2 else "console"
    lines: list[bytes] = []
    fields = {"volume": text, "entries": {text: [1, 0]}, "names": [text] * 100}
    Log(shape, write=lines.append).emit(EventRecord(Event.VOLUME_WIPED, text, Severity.CRITICAL, fields))
    (line,) = lines
    assert len(line) <= _LINE or shape == "console"
    assert line.decode().replace("\n", "", -1 if shape == "console" else 1).isprintable()


def on_mountinfo(text: bytes) -> None:
    table = mountinfo.parse(os.fsdecode(text))
    kinds.container_name(table)
    kinds.has_overlay_root(table)
    table.in_force_at("/app/skills")
    for mount in table.mounts[:50]:
        kinds.classify(mount, table)
        table.below(mount, mount.mount_point)
        table.around(mount.mount_point)
    for line in table.malformed[:3]:
        _log(str(line))


_Document = TypeVar("_Document")


def _read(kind: Format[_Document], text: bytes) -> _Document | None:
    try:
        return kind.parse(text)
    except DocumentError as error:
        _log(str(error))
        return None


def on_marker(text: bytes) -> None:
    if found := _read(marker.FORMAT, text):
        assert marker.FORMAT.parse(marker.FORMAT.render(found)) == found
        _log(found.volume)


def on_hold(text: bytes) -> None:
    if found := _read(hold.FORMAT, text):
        assert hold.FORMAT.parse(hold.FORMAT.render(found)) == found
        _log(found.reason)


def on_ledger(text: bytes) -> None:
    found = _read(ledger.FORMAT, text)
    if found is None:
        return
    again = ledger.FORMAT.parse(ledger.FORMAT.render(found))
    assert again.reference.files == found.reference.files
    assert replace(again, reference=found.reference) == found
    reference = found.reference
    for checks in (
        {},
        {file.path: FileCheck(Presence.ABSENT) for file in reference.sample},
        {file.path: FileCheck(Presence.PRESENT, file.size // 2) for file in reference.sample if is_below(file.path)},
    ):
        states = states_of(_RULE, reference.sample, checks)
        for files in (None, 0, 1 << 62):
            judge_loss(_RULE, reference, Content(states, files), _FIRST_SIGN)
        is_over(_RULE, reference, states, _FIRST_SIGN)


def on_settings(text: bytes) -> None:
    """`NAME=value` and flags, one each line, for one of the commands."""
    lines = [line.replace(b"\0", b"") for line in text.split(b"\n")[:50]]
    own = {name: value for name, _, value in (line.partition(b"=") for line in lines) if name.startswith(b"GUARD_")}
    words = [os.fsdecode(line) for line in lines if line.startswith(b"-")]
    before = dict(os.environb)
    os.environb.update(own)
    try:
        command = ("check", "watch", "hold", "doctor")[len(text) % 4]
        read = arguments.parse(command, words)
        _, wrong = settings.load(settings.MODELS[command], read.settings)
        settings.reporting(read.settings)
        unknown = [name for name, _, _ in settings.unknown_names(os.environ)]
        _log("; ".join((*read.problems, *wrong, *unknown)))
    finally:
        os.environb.clear()
        os.environb.update(before)


def on_http(text: bytes) -> None:
    """What a client of the watcher's listener sends."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = found.getsockname()
    server = HttpServer(address, {"/metrics": lambda: Page("200 OK", "metrics\n")})
    assert server.listen(0.0) == ""
    with closing(server), socket.create_connection(address) as client:
        client.setblocking(False)
        with suppress(BlockingIOError, ConnectionError):
            client.send(text)
        with suppress(OSError):
            client.shutdown(socket.SHUT_WR)
        answer = b""
        for _ in range(100):
            poll = select.poll()
            for descriptor, events in server.interests():
                poll.register(descriptor, events)
            for descriptor, _ in poll.poll(0):
                server.serve(descriptor, 0.0)
            with suppress(OSError):
                answer += client.recv(1 << 16)
    assert not answer or answer.startswith(b"HTTP/1.1 ")


def on_gate_log(text: bytes) -> None:
    last_result(text.decode("utf-8", "replace").splitlines())
    for line in text.splitlines():
        log_object(line)


def on_restic(text: bytes) -> None:
    with suppress(ListingError):
        for one in snapshot.parse_snapshots(text):
            _log(one.shown)
    message: dict[str, object] = {}
    keep = restic._keep("summary", message)
    for line in text.split(b"\n"):
        with suppress(ListingError):
            snapshot.parse_node(line, "/app/skills")
        keep(line)
        if complaint := restic._complaint(line):
            _log(complaint)


def _on_objects(text: bytes) -> None:
    for output in FORMATS:
        options = Options(("-",), (), (), output, "error", "/app/skills", colour=False, width=100)  # type: ignore[arg-type]
        gc.enable()  # the doctor turns it off: its process ends with the report
        _, report = run_doctor(options, io.BytesIO(text))
        assert len(report) < 1_000_000 + 100 * len(text)
        report.encode("utf-8", "backslashreplace")
        if output == "table":
            assert report.replace("\n", "").isprintable()


def on_yaml(text: bytes) -> None:
    _on_objects(text)


def on_json(text: bytes) -> None:
    _on_objects(b"{" + text if not text.lstrip().startswith((b"{", b"[")) else text)


#: Every target by name.
TARGETS: Mapping[str, Target] = {
    "mountinfo": on_mountinfo,
    "marker": on_marker,
    "hold": on_hold,
    "ledger": on_ledger,
    "settings": on_settings,
    "http": on_http,
    "gate_log": on_gate_log,
    "restic": on_restic,
    "yaml": on_yaml,
    "json": on_json,
}

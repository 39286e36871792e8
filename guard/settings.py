"""Every GUARD_ setting: its reason, unit and default. One model per command, for environment and flags.

The commands get values, never settings. Importing it is most of what a start of the guard costs.
"""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from guard import values
from guard.outcome import Severity
from guard.report.text import edit_distance, nearest, truncate
from guard.volume.kinds import Kind
from guard.volume.loss import LossRule
from guard.volume.verdict import DURABLE_KINDS, Expectation

PREFIX = "GUARD_"

Duration = Annotated[float, BeforeValidator(values.duration)]
PositiveDuration = Annotated[float, BeforeValidator(values.duration), AfterValidator(values.positive)]
Kinds = Annotated[frozenset[Kind], NoDecode, BeforeValidator(values.kinds)]
Patterns = Annotated[tuple[str, ...], NoDecode, BeforeValidator(values.patterns)]
Level = Annotated[Severity, NoDecode, BeforeValidator(values.severity)]
AbsolutePath = Annotated[str, AfterValidator(values.absolute)]
Address = Annotated[str, AfterValidator(values.address)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

_SWITCH, _SHARE, _NAME = "write true or false", "write a share from 0 to 1, such as 0.3", "at most 253 characters"


def setting(name: str, default: Any, reason: str, allowed: str = "", *, shown: str | None = None, **limits: Any) -> Any:
    """Declares one setting.

    Args:
        name: The environment variable; the flag is made of it.
        default: The value if it is unset; `...` for required.
        reason: Why it exists, with its unit.
        allowed: What to write instead of a value that pydantic refuses; our own validators have their own sentences.
        shown: The default as a user would write it.
        limits: What pydantic checks.
    """
    extra: dict[str, JsonValue] = {"shown": _written(default) if shown is None else shown, "allowed": allowed}
    return Field(default, validation_alias=name, description=reason, json_schema_extra=extra, **limits)


def _written(default: object) -> str:
    if default is ...:
        return "required"
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default is None else str(default)


class Reporting(BaseSettings):
    """How every command reports."""

    # Names are compared exactly: `path` or `Guard_Path` in an environment is somebody else's.
    model_config = SettingsConfigDict(case_sensitive=True, env_ignore_empty=True, extra="ignore", defer_build=True)

    log_format: Literal["auto", "json", "console"] = setting(
        "GUARD_LOG_FORMAT",
        "auto",
        "json writes one object a line, console is for people, auto is console on a terminal.",
        "write auto, json or console",
    )
    log_level: Level = setting("GUARD_LOG_LEVEL", Severity.INFO, "The least severity that is logged.", shown="info")
    termination_log: str = setting(
        "GUARD_TERMINATION_LOG",
        "/dev/termination-log",
        "The file from which the kubelet reads the reason for an exit; written if it exists.",
    )
    pod: str | None = setting(
        "GUARD_POD", None, "This pod's name (downward API), for log lines and ledger.", _NAME, max_length=253
    )
    node: str | None = setting(
        "GUARD_NODE", None, "This pod's node (downward API), for log lines and ledger.", _NAME, max_length=253
    )
    namespace: str | None = setting(
        "GUARD_NAMESPACE", None, "This pod's namespace (downward API), for log lines.", _NAME, max_length=253
    )


class VolumeSettings(Reporting):
    """What every command on the volume needs to know."""

    volume: str = setting(
        "GUARD_VOLUME",
        ...,
        "The name that the volume's marker must carry, compared exactly.",
        "write 1 to 253 characters",
        min_length=1,
        max_length=253,
    )
    path: AbsolutePath = setting(
        "GUARD_PATH", "/app/skills", "The directory that is guarded, absolute; links are resolved."
    )
    kinds: Kinds = setting(
        "GUARD_KINDS",
        DURABLE_KINDS,
        "Kinds of mount that are allowed: block, network, fuse, node-disk, memory, empty-dir, config, overlay, unknown, any.",
        shown="block,network,fuse",
    )
    writable: bool = setting("GUARD_WRITABLE", True, "Whether the volume must be writable.", _SWITCH)
    probe_timeout: PositiveDuration = setting(
        "GUARD_PROBE_TIMEOUT", 10.0, "Time without progress after which a volume counts as unreachable.", shown="10s"
    )
    ignore: Patterns = setting(
        "GUARD_IGNORE", (), "Patterns of paths that are not data and never counted, such as cache/**,*.tmp.", shown=""
    )
    max_loss: Share = setting(
        "GUARD_MAX_LOSS", 0.8, "Share of the known files (and of most entries) above which a loss is a wipe.", _SHARE
    )
    shrink: Share = setting(
        "GUARD_SHRINK", 0.3, "Share of the known files from which a loss is reported as a warning.", _SHARE
    )
    min_files: int = setting(
        "GUARD_MIN_FILES",
        0,
        "Fewer files than this are a loss, whatever the ledger remembers.",
        "write a whole number from 0",
        ge=0,
    )

    def expectation(self) -> Expectation:
        """Returns what the rest of the program needs to know of these settings."""
        return Expectation(
            self.path, self.volume, self.kinds, self.writable, self.loss_rule(), self.ignore, self.probe_timeout
        )

    def loss_rule(self) -> LossRule:
        """Returns the loss rule as set."""
        return LossRule(self.max_loss, self.shrink, self.min_files)


class CheckSettings(VolumeSettings):
    """Settings of `guard check`."""

    enforce: bool = setting(
        "GUARD_ENFORCE",
        True,
        "Whether to refuse a start; false only reports, and the application starts anyway (the first week).",
        _SWITCH,
    )
    wait: Duration = setting("GUARD_WAIT", 60.0, "How long to repeat a failed check of what can recover.", shown="60s")


class WatchSettings(VolumeSettings):
    """Settings of `guard watch`."""

    interval: PositiveDuration = setting("GUARD_INTERVAL", 10.0, "Time between two checks.", shown="10s")
    settle: PositiveDuration = setting("GUARD_SETTLE", 2.0, "Quiet time before content is judged.", shown="2s")
    on_wipe: Literal["log", "unready"] = setting(
        "GUARD_ON_WIPE",
        "log",
        "unready makes /readyz fail while the volume is wiped; a single replica then gets no traffic.",
        "write log or unready",
    )
    listen: Address = setting("GUARD_LISTEN", "0.0.0.0:9808", "Address of /livez, /readyz and /metrics; off for none.")


class DoctorSettings(Reporting):
    """Settings of `guard doctor`."""

    path: AbsolutePath | None = setting(
        "GUARD_PATH", None, "Where the application keeps its data; if not given, it is read from the objects."
    )


MODELS: Mapping[str, type[Reporting]] = {
    "check": CheckSettings,
    "adopt": VolumeSettings,
    "accept": VolumeSettings,
    "hold": VolumeSettings,
    "release": VolumeSettings,
    "watch": WatchSettings,
    "doctor": DoctorSettings,
}


def fields(model: type[Reporting]) -> dict[str, FieldInfo]:
    """Returns the settings of a model by their environment names, those of reporting last."""
    every = model.model_fields
    order = [name for name in every if name not in Reporting.model_fields] + list(Reporting.model_fields)
    return {str(every[name].validation_alias): every[name] for name in order}


def shown(field: FieldInfo) -> str:
    """Returns the default as a user writes it: `required`, or empty where there is none."""
    return str(field.json_schema_extra["shown"]) if isinstance(field.json_schema_extra, dict) else ""


def flag(name: str) -> str:
    """Returns the flag of a setting: GUARD_MIN_FILES is --min-files."""
    return "--" + name.removeprefix(PREFIX).lower().replace("_", "-")


def load(model: type[Reporting], flags: Mapping[str, str]) -> tuple[Reporting | None, list[str]]:
    """Reads environment and flags; flags win, empty means unset.

    Returns:
        The settings, None where something is wrong; and everything that is wrong, as sentences.
    """
    found, wrong = _read(model, flags)
    return found, list(wrong.values())


def reporting(flags: Mapping[str, str]) -> Reporting:
    """Returns how to report that settings are wrong: what is set and usable, and the default of what is not."""
    found, wrong = _read(Reporting, flags)
    defaults = {name: field.default for name, field in fields(Reporting).items() if name in wrong}
    return found or Reporting(**{name: value for name, value in flags.items() if value != ""} | defaults)


def _read(model: type[Reporting], flags: Mapping[str, str]) -> tuple[Reporting | None, dict[str, str]]:
    """Returns the settings, and what is wrong by name."""
    given: dict[str, Any] = {name: value for name, value in flags.items() if value != ""}
    # pydantic must not meet bytes that are not UTF-8 (Python gives them as surrogates): it cannot quote them.
    texts = {name: given.get(name, os.environ.get(name, "")) for name in fields(model)}
    escaped = {name: truncate(text) for name, text in texts.items() if not _is_utf_8(text)}
    wrong = {name: f"{_quoted(name, texts[name], flags)}: not UTF-8" for name in escaped}
    try:
        found = model(**given | escaped)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False):
            name = str(problem["loc"][0])
            wrong.setdefault(name, _sentence(name, problem, model, flags))
    return None if wrong else found, wrong


def _is_utf_8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _sentence(name: str, problem: Any, model: type[Reporting], flags: Mapping[str, str]) -> str:
    field = fields(model)[name]
    if problem["type"] == "missing":
        return f"{name} is missing (or {flag(name)}): {decapitalized(field.description or '')}"
    own = str(problem["msg"]).removeprefix("Value error, ") if problem["type"] == "value_error" else ""
    allowed = field.json_schema_extra["allowed"] if isinstance(field.json_schema_extra, dict) else ""
    return f"{_quoted(name, problem['input'], flags)}: {own or allowed}"


def decapitalized(sentence: str) -> str:
    """Returns a sentence as a clause."""
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _quoted(name: str, value: object, flags: Mapping[str, str]) -> str:
    """A value under the name that the user wrote."""
    return f"{flag(name) if flags.get(name) else name}='{truncate(str(value))}'"


#: What a Service called guard... injects into every pod of its namespace.
_SERVICE_LINK = re.compile(
    r"GUARD(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)",
    re.ASCII,
)


def unknown_names(environment: Iterable[str]) -> list[tuple[str, str, int]]:
    """Returns variables with our prefix that no command knows, each with the nearest known name and its edit distance."""
    known = sorted({name for model in MODELS.values() for name in fields(model)})
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    near = [(name, nearest(name, known)) for name in unknown if not _SERVICE_LINK.fullmatch(name)]
    return [(name, other, edit_distance(name, other)) for name, other in near]

"""Every GUARD_ setting: its reason, unit and default. One model per command, for environment and flags.

Only `cli` imports this room; the others get an Expectation. Importing it is what costs the guard's start.
"""

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from guard.outcome import Severity
from guard.volume.judge import DURABLE_KINDS, Expectation
from guard.volume.kinds import Kind
from guard.volume.loss import LossRule

PREFIX = "GUARD_"

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration(text: object) -> float:
    """Seconds of `500ms`, `10s`, `5m`, `2h`, `7d`; `0` needs no unit.

    Raises:
        ValueError: Anything else.
    """
    if isinstance(text, int | float):
        return float(text)
    if text == "0":
        return 0.0
    found = _DURATION.fullmatch(str(text))
    if not found:
        raise ValueError("not a duration: write 500ms, 10s, 5m, 2h or 7d")
    return float(found[1]) * _SECONDS[found[2]]


def kinds(text: object) -> frozenset[Kind]:
    """Kinds from a list with commas; `any` is all of them.

    Raises:
        ValueError: A name that is no kind.
    """
    if isinstance(text, frozenset):
        return text
    names = [name.strip() for name in str(text).split(",") if name.strip()]
    known = {kind.value: kind for kind in Kind}
    unknown = [name for name in names if name not in known and name != "any"]
    if unknown or not names:
        raise ValueError(f"unknown kind {', '.join(unknown) or 'list'}: known are {', '.join(known)}, any")
    return frozenset(Kind) if "any" in names else frozenset(known[name] for name in names)


def absolute(path: str) -> str:
    """The path itself.

    Raises:
        ValueError: It is relative.
    """
    if not path.startswith("/"):
        raise ValueError("not an absolute path")
    return path


def severity(text: object) -> Severity:
    """A severity by its name, in any case.

    Raises:
        ValueError: No such severity.
    """
    if isinstance(text, Severity):
        return text
    try:
        return Severity[str(text).upper()]
    except KeyError:
        raise ValueError(f"known are {', '.join(level.name.lower() for level in Severity)}") from None


def positive(seconds: float) -> float:
    """The duration itself.

    Raises:
        ValueError: It is 0.
    """
    if seconds <= 0:
        raise ValueError("must be longer than 0")
    return seconds


def address(text: str) -> str:
    """`address:port`, `[address]:port` for IPv6, or `off`. A name would have to be looked up while the volume is watched.

    Raises:
        ValueError: Anything else.
    """
    host, _, port = text.rpartition(":")
    if text == "off":
        return text
    try:
        if host != "localhost":
            ip_address(host.removeprefix("[").removesuffix("]") if host.startswith("[") else host)
    except ValueError:
        raise ValueError("not address:port (an IP address, as in 0.0.0.0:9808 or [::]:9808) or off") from None
    if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise ValueError("the port is not a number below 65536")
    return text


Duration = Annotated[float, BeforeValidator(duration)]
PositiveDuration = Annotated[float, BeforeValidator(duration), AfterValidator(positive)]
Kinds = Annotated[frozenset[Kind], NoDecode, BeforeValidator(kinds)]
Level = Annotated[Severity, NoDecode, BeforeValidator(severity)]
AbsolutePath = Annotated[str, AfterValidator(absolute)]
Address = Annotated[str, AfterValidator(address)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def setting(name: str, default: Any, reason: str, *, shown: str | None = None, **limits: Any) -> Any:
    """Declares one setting.

    Args:
        name: The environment variable; the flag is made of it.
        default: The value where nothing is said; `...` for required.
        reason: Why it exists, with its unit.
        shown: The default as a user would write it.
        limits: What pydantic checks.
    """
    extra: dict[str, JsonValue] = {"shown": shown if shown is not None else _written(default)}
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
        "GUARD_LOG_FORMAT", "auto", "json: one object a line; console: for people; auto: console on a terminal."
    )
    log_level: Level = setting("GUARD_LOG_LEVEL", Severity.INFO, "The least severity that is logged.", shown="info")
    termination_log: str = setting(
        "GUARD_TERMINATION_LOG",
        "/dev/termination-log",
        "Where the kubelet reads the reason of an exit; skipped where absent.",
    )
    pod: str | None = setting(
        "GUARD_POD", None, "This pod's name (downward API), for log lines and ledger.", max_length=253
    )
    node: str | None = setting(
        "GUARD_NODE", None, "This pod's node (downward API), for log lines and ledger.", max_length=253
    )
    namespace: str | None = setting("GUARD_NAMESPACE", None, "This pod's namespace (downward API).", max_length=253)


class VolumeSettings(Reporting):
    """What every command needs that touches the volume."""

    path: AbsolutePath = setting(
        "GUARD_PATH", "/app/skills", "The directory that is guarded, absolute; links are resolved."
    )
    volume: str = setting(
        "GUARD_VOLUME",
        ...,
        "The name that the volume's marker must carry, compared exactly.",
        min_length=1,
        max_length=253,
    )
    kinds: Kinds = setting(
        "GUARD_KINDS",
        DURABLE_KINDS,
        "Kinds of mount that are allowed: block, network, fuse, node-disk, memory, empty-dir, config, overlay, unknown, any.",
        shown="block,network,fuse",
    )
    writable: bool = setting("GUARD_WRITABLE", True, "Whether it must be possible to write on the volume.")
    probe_timeout: PositiveDuration = setting(
        "GUARD_PROBE_TIMEOUT", 10.0, "Time without progress after which a volume counts as unreachable.", shown="10s"
    )

    def expectation(self) -> Expectation:
        """What the rooms below need to know."""
        return Expectation(self.path, self.volume, self.kinds, self.writable, self.loss_rule(), self.probe_timeout)

    def loss_rule(self) -> LossRule:
        """The loss rule; commands without its settings use the defaults."""
        return LossRule()


class JudgingSettings(VolumeSettings):
    """What every command needs that judges the content."""

    min_files: int = setting("GUARD_MIN_FILES", 0, "Fewer files than this are a loss, whatever the ledger says.", ge=0)
    max_loss: Share = setting(
        "GUARD_MAX_LOSS", 0.8, "Share of all files (and of most entries) above which a loss is a wipe."
    )
    shrink: Share = setting("GUARD_SHRINK", 0.3, "Share of all files from which a loss is worth a warning.")
    window: Duration = setting(
        "GUARD_WINDOW", 604800.0, "Age at which the reference gives way to a smaller baseline.", shown="7d"
    )

    def loss_rule(self) -> LossRule:
        """The loss rule as set."""
        return LossRule(self.max_loss, self.shrink, self.min_files)


class CheckSettings(JudgingSettings):
    """Settings of `guard check`."""

    enforce: bool = setting("GUARD_ENFORCE", True, "false: say everything, but exit 0 (the first week).")
    wait: Duration = setting("GUARD_WAIT", 60.0, "How long to look again where it may mend.", shown="60s")


class AdoptionSettings(JudgingSettings):
    """Settings of `guard adopt`, `accept`, `hold` and `release`."""


class WatchSettings(JudgingSettings):
    """Settings of `guard watch`."""

    interval: PositiveDuration = setting("GUARD_INTERVAL", 10.0, "Time between two cheap looks.", shown="10s")
    settle: PositiveDuration = setting("GUARD_SETTLE", 2.0, "Quiet time before the content is judged.", shown="2s")
    on_wipe: Literal["log", "unready"] = setting(
        "GUARD_ON_WIPE",
        "log",
        "unready: /readyz fails while the volume is wiped; a single replica then gets no traffic.",
    )
    listen: Address = setting("GUARD_LISTEN", "0.0.0.0:9808", "Address of /livez, /readyz and /metrics; off for none.")


class DoctorSettings(Reporting):
    """Settings of `guard doctor`."""

    path: AbsolutePath = setting(
        "GUARD_PATH", "/app/skills", "Where the application keeps its data; if not given, the objects themselves tell."
    )


MODELS: Mapping[str, type[Reporting]] = {
    "check": CheckSettings,
    "adopt": AdoptionSettings,
    "accept": AdoptionSettings,
    "hold": AdoptionSettings,
    "release": AdoptionSettings,
    "watch": WatchSettings,
    "doctor": DoctorSettings,
}


def fields(model: type[Reporting]) -> dict[str, FieldInfo]:
    """The settings of a model by their environment names."""
    return {str(field.validation_alias): field for field in model.model_fields.values()}


def flag(name: str) -> str:
    """The flag of a setting: GUARD_MIN_FILES is --min-files."""
    return "--" + name.removeprefix(PREFIX).lower().replace("_", "-")


def known_names() -> frozenset[str]:
    """Names that any command knows."""
    return frozenset(name for model in MODELS.values() for name in fields(model))


def load(model: type[Reporting], flags: Mapping[str, str]) -> tuple[Reporting | None, list[str]]:
    """Reads environment and flags; flags win, empty means unset.

    Returns:
        The settings, None where something is wrong; and everything that is wrong, as sentences.
    """
    given: dict[str, Any] = {name: value for name, value in flags.items() if value != ""}
    try:
        return model(**given), []
    except ValidationError as error:
        return None, [_sentence(problem, model) for problem in error.errors(include_url=False, include_context=False)]


def reporting(flags: Mapping[str, str]) -> Reporting:
    """How to report that settings are wrong: what is set and usable, and the default of what is not."""
    given: dict[str, Any] = {name: value for name, value in flags.items() if value != ""}
    try:
        return Reporting(**given)
    except ValidationError as error:
        wrong = {str(problem["loc"][0]) for problem in error.errors(include_url=False, include_context=False)}
        return Reporting(**given | {name: field.default for name, field in fields(Reporting).items() if name in wrong})


def _sentence(problem: Any, model: type[Reporting]) -> str:
    name = ".".join(str(part) for part in problem["loc"][:1])
    if not name:
        return str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "missing":
        reason = (fields(model)[name].description or "").rstrip(".")
        return f"{name} is missing (or {flag(name)}): {reason}"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{name}={problem['input']!r}: {message[:1].lower()}{message[1:]}"


_SERVICE_LINK = re.compile(
    r"GUARD(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_[A-Z0-9_]+)", re.ASCII
)


def unknown_names(environment: Iterable[str]) -> list[tuple[str, str, int]]:
    """Variables with our prefix that no command knows, each with the nearest known name and its edit distance.

    A Service called guard... injects names of its own into every pod of its namespace: those are let through.
    """
    known = known_names()
    unknown = [
        name
        for name in environment
        if name.startswith(PREFIX) and name not in known and not _SERVICE_LINK.fullmatch(name)
    ]
    found = []
    for name in sorted(unknown):
        nearest = min(sorted(known), key=lambda one: edit_distance(name, one))
        found.append((name, nearest, edit_distance(name, nearest)))
    return found


def edit_distance(one: str, other: str) -> int:
    """Levenshtein's: insertions, deletions and substitutions between two names."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        last, row[0] = row[0], i
        for j, right in enumerate(other, start=1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (left != right))
    return row[-1]

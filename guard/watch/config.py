"""What the watcher was asked for, as a value: its settings are read where their memory is given back."""

from dataclasses import dataclass

from guard.outcome import Severity
from guard.pod import PodInfo
from guard.report.text import Format
from guard.volume.verdict import Expectation


@dataclass(frozen=True)
class WatchConfig:
    """Settings of `guard watch`.

    Attributes:
        expected: What the volume must be.
        interval: GUARD_INTERVAL, in seconds.
        settle: GUARD_SETTLE, in seconds.
        unready: GUARD_ON_WIPE=unready: /readyz fails while the data is not there.
        listen: Host and port of GUARD_LISTEN; None for off.
        log_format: GUARD_LOG_FORMAT.
        log_level: GUARD_LOG_LEVEL.
        pod: This pod.
    """

    expected: Expectation
    interval: float
    settle: float
    unready: bool
    listen: tuple[str, int] | None
    log_format: Format
    log_level: Severity
    pod: PodInfo


@dataclass(frozen=True)
class ConfigErrors:
    """Settings that are wrong, and how to report them.

    Attributes:
        problems: All of them, as sentences.
        log_format: GUARD_LOG_FORMAT.
        termination_log: GUARD_TERMINATION_LOG.
    """

    problems: tuple[str, ...]
    log_format: Format
    termination_log: str

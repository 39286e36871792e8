"""How values of settings are written: durations, lists, addresses. Pure; every error names what to write instead."""

import re
from ipaddress import ip_address

from guard.outcome import Severity
from guard.report.text import nearest, truncate
from guard.volume.kinds import Kind

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration(text: object) -> float:
    """Returns the seconds of `500ms`, `10s`, `5m`, `2h`, `7d`; `0` needs no unit."""
    if isinstance(text, int | float):
        return float(text)
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(str(text))
    if not match:
        raise ValueError("not a duration: write 500ms, 10s, 5m, 2h or 7d")
    return float(match[1]) * _SECONDS[match[2]]


def positive(seconds: float) -> float:
    """Returns the duration itself, which must not be 0."""
    if seconds <= 0:
        raise ValueError("must be longer than 0: write 500ms, 10s, 5m, 2h or 7d")
    return seconds


def kinds(text: object) -> frozenset[Kind]:
    """Returns the kinds of a list with commas; `any` is all of them."""
    if isinstance(text, frozenset):
        return text
    names, known = [name for name in _items(text) if name], [*(kind.value for kind in Kind), "any"]
    meant = ",".join(dict.fromkeys(nearest(name, known) for name in names)) or "block,network,fuse"
    if not names or not set(names) <= set(known):
        raise ValueError(f"write {meant}, or others of {','.join(known)}")
    return frozenset(Kind) if "any" in names else frozenset(map(Kind, names))


def patterns(text: object) -> tuple[str, ...]:
    """Returns the patterns of a list with commas: paths below the guarded one."""
    if isinstance(text, tuple):
        return text
    found = tuple(_items(text))
    for pattern in found:
        if not pattern or pattern.startswith("/") or ".." in pattern.split("/"):
            wrong = f"{truncate(pattern)!r} is absolute or leaves the volume" if pattern else "an item is empty"
            raise ValueError(f"{wrong}: write patterns of paths below GUARD_PATH, such as cache/**,*.tmp")
    return found


def _items(text: object) -> list[str]:
    return [item.strip() for item in str(text).split(",")]


def absolute(path: str) -> str:
    """Returns the path itself, which must be absolute."""
    if not path.startswith("/"):
        raise ValueError("not an absolute path: write one that begins with /, such as /app/skills")
    return path


def severity(text: object) -> Severity:
    """Returns a severity by its name, in any case."""
    if isinstance(text, Severity):
        return text
    known = [level.name.lower() for level in Severity]
    if str(text).lower() not in known:
        raise ValueError(f"write {nearest(str(text).lower(), known)}, or another of {', '.join(known)}")
    return Severity[str(text).upper()]


def address(text: str) -> str:
    """Returns `address:port`, `[address]:port` for IPv6, or `off`."""
    # A name would have to be looked up while the volume is watched, and a scope that is not ASCII cannot be.
    host, _, port = text.rpartition(":")
    if text == "off":
        return text
    plain = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if host != "localhost" and not (host.isascii() and _is_ip(plain)):
        raise ValueError("not address:port: write an IP address and a port, as in 0.0.0.0:9808 or [::]:9808, or off")
    if not re.fullmatch("[0-9]{1,5}", port) or int(port) >= 1 << 16:
        raise ValueError("the port is not a number below 65536: write 0.0.0.0:9808, or off")
    return text


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True

"""Where Prometheus and promtool are: on PATH, or unpacked by tests/packages.sh."""

import os
import shutil
from pathlib import Path

import pytest

_CACHE = Path(os.environ.get("VOLUME_GUARD_CACHE") or Path.home() / ".cache" / "volume-guard")


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`."""
    unpacked = _CACHE / "programs" / "prometheus" / "usr" / "bin" / name
    found = shutil.which(name) or (str(unpacked) if unpacked.exists() else None)
    if found is None:
        pytest.skip(f"no {name}: neither on PATH nor fetched by `sh tests/packages.sh` (which needs apt-get)")
    return found

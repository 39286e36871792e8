"""Keeps the kernel settings that a cluster changes, and puts them back. No other setting is touched."""

import json
from pathlib import Path

from tests.cluster.kubernetes.layout import Layout

#: The kubelet sets the first three (kubelet's --protect-kernel-defaults), the bridge plugin the last.
CHANGED = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")


def keep(layout: Layout) -> None:
    """Writes down what is set before the first start; a second `up` must not take the cluster's values for the machine's."""
    file = layout.state / "sysctls.json"
    if not file.exists():
        file.write_text(json.dumps({name: _path(name).read_text().strip() for name in CHANGED}))


def restore(layout: Layout) -> None:
    """Sets what was kept, and forgets it."""
    file = layout.state / "sysctls.json"
    if not file.exists():
        return
    for name, setting in json.loads(file.read_text()).items():
        if _path(name).read_text().strip() != setting:
            _path(name).write_text(setting)
    file.unlink()


def _path(name: str) -> Path:
    return Path("/proc/sys") / name

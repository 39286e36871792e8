"""Brings images into the nodes' containerds, and remembers which are there: unpacking one takes seconds."""

import json
from pathlib import Path

from tests.cluster.kubernetes import nodes
from tests.cluster.kubernetes.build import Programs
from tests.cluster.kubernetes.command import run
from tests.cluster.kubernetes.layout import Layout


def missing(layout: Layout, images: dict[str, str]) -> list[str]:
    """The names of the images, given with their IDs, that the nodes do not have in this version."""
    loaded = _loaded(layout)
    return [name for name, image in images.items() if loaded.get(name) != image]


def load(layout: Layout, programs: Programs, archives: list[Path]) -> None:
    """Imports image archives into every node."""
    for node in layout.nodes:
        for archive in archives:
            run(*nodes.containerd_client(programs, node), "images", "import", "--local", archive)


def remember(layout: Layout, images: dict[str, str]) -> None:
    """Notes what the nodes have now."""
    _note(layout).write_text(json.dumps(_loaded(layout) | images))


def _loaded(layout: Layout) -> dict[str, str]:
    note = _note(layout)
    known: dict[str, str] = json.loads(note.read_text()) if note.exists() else {}
    return known


def _note(layout: Layout) -> Path:
    return layout.state / "images.json"

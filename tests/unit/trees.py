"""A snapshot's listing, counted."""

from collections.abc import Iterable

from guard.backup.snapshot import Node, Tree
from guard.volume.observation import FileCount


def counted(nodes: Iterable[Node]) -> FileCount:
    tree = Tree()
    for node in nodes:
        tree.add(node)
    return tree.census()

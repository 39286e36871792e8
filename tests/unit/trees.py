"""A snapshot's listing, counted."""

from collections.abc import Iterable

from guard.backup.snapshot import Node, Tree
from guard.volume.facts import Census


def counted(nodes: Iterable[Node]) -> Census:
    tree = Tree()
    for node in nodes:
        tree.add(node)
    return tree.census()

"""VG401 and VG402: what is wrong with the text itself. Pure."""

from collections.abc import Iterator

from guard.doctor.inventory import Inventory
from guard.doctor.rule import Finding, Place, Rule, Severity, Verdict

DUPLICATE_KEY = Rule(
    "VG401", "duplicate-key", Severity.ERROR,
    "A key stands twice in one mapping.",
    "YAML forbids it, many readers take the second and say nothing: a second `volumes:` throws the first one away.",
    "Merge the two into one.",
    "https://yaml.org/spec/1.2.2/#3213-node-comparison",
)  # fmt: skip
UNREADABLE = Rule(
    "VG402", "unreadable", Severity.ERROR,
    "A text, or one document of it, could not be read, so nothing in it was checked.",
    "kubectl will refuse it too, or it is not what it was taken for.",
    "Correct the text at the place named. A template must be rendered first.",
    "https://yaml.org/spec/1.2.2/",
)  # fmt: skip


def _duplicate_key(inventory: Inventory) -> Iterator[Verdict]:
    for repeated in inventory.repeated:
        duplicate = repeated.duplicate
        way = ".".join(str(step) for step in duplicate.path)
        first, second = Place(repeated.source, duplicate.first), Place(repeated.source, duplicate.second)
        message = f"{way} stands on line {duplicate.first} and again on line {duplicate.second}: the second wins, the first is lost"
        if duplicate.first == duplicate.second:
            message = f"{duplicate.path[-1]} stands twice in one object: the second wins, the first is lost"
        yield Finding(message, second, repeated.kube, also=(first,) if first != second else ())


def _unreadable(inventory: Inventory) -> Iterator[Verdict]:
    for broken in inventory.broken:
        yield Finding(broken.reason, Place(broken.source, broken.line))


CHECKS = (
    (DUPLICATE_KEY, _duplicate_key),
    (UNREADABLE, _unreadable),
)

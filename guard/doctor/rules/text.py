"""VG401 and VG402: what is wrong with the text itself. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import Finding, Rule, Severity, Verdict
from guard.doctor.index import ObjectIndex
from guard.doctor.source.document import Place

DUPLICATE_KEY = Rule(
    "VG401", "duplicate-key", Severity.ERROR,
    "A key is set twice in one mapping.",
    "YAML forbids it, many readers take the second without a word: a second `volumes:` throws the first one away.",
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


def _duplicate_key(index: ObjectIndex) -> Iterator[Verdict]:
    for key, source, holder in index.duplicate_keys:
        way = ".".join(str(step) for step in key.path)
        first, last = Place(source, key.first), Place(source, key.last)
        message = (
            f"{way} is set on line {key.first} and again on line {key.last}: the last one wins, the others are lost"
        )
        if key.first == key.last:
            message = f"{key.path[-1]} is set {key.times} times in one object: the last one wins, the others are lost"
        yield Finding(message, last, holder, also=(first,) if first != last else ())


def _unreadable(index: ObjectIndex) -> Iterator[Verdict]:
    for error in index.errors:
        if error.is_text:
            yield Finding(error.reason, error.place)


CHECKS = (
    (DUPLICATE_KEY, _duplicate_key),
    (UNREADABLE, _unreadable),
)

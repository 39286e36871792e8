"""VG401 and VG402: what is wrong with the text itself. Pure."""

from collections.abc import Iterator

from guard.doctor.finding import Finding, Severity, Verdict, rule
from guard.doctor.index import ObjectIndex
from guard.doctor.source.document import Place


@rule("VG401", Severity.ERROR, "https://yaml.org/spec/1.2.2/#3213-node-comparison")
def duplicate_key(index: ObjectIndex) -> Iterator[Verdict]:
    """A key is set twice in one mapping.

    Why: YAML forbids it, many readers take the second without a word: a second `volumes:` throws the first one away.
    Fix: Merge the two into one.
    """
    for key, source, holder in index.duplicate_keys:
        way = ".".join(str(step) for step in key.path)
        first, last = Place(source, key.first), Place(source, key.last)
        message = (
            f"{way} is set on line {key.first} and again on line {key.last}: the last one wins, the others are lost"
        )
        if key.first == key.last:
            message = f"{key.path[-1]} is set {key.times} times in one object: the last one wins, the others are lost"
        yield Finding(message, last, holder, also=(first,) if first != last else ())


@rule("VG402", Severity.ERROR, "https://yaml.org/spec/1.2.2/")
def unreadable(index: ObjectIndex) -> Iterator[Verdict]:
    """A text, or one document of it, could not be read, so nothing in it was checked.

    Why: kubectl will refuse it too, or it is not what it was taken for.
    Fix: Correct the text at the place named. A template must be rendered first.
    """
    for error in index.errors:
        if error.is_text:
            yield Finding(error.reason, error.place)

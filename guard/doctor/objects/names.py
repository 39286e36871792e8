"""Names: whether two are about the same thing, and the claims that an object of any kind names. Pure."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any


def word_set(words: str) -> frozenset[str]:
    """Returns the words of a text: how the tables of names are written."""
    return frozenset(words.split())


#: Words that mean "a volume", not which.
_GENERIC = word_set(
    "data storage store volume vol pvc pv claim disk path dir directory root home folder app application dev test prod "
    "staging stage main default mnt var lib opt srv usr file files db"
)
_WORD = re.compile(r"[a-z]+", re.ASCII)
#: A field that names a claim: `claimName`, `existingClaim`, `pvcName`; in a text, with its value.
_CLAIM = re.compile(r"claim|pvc_?name", re.IGNORECASE)
_CLAIM_IN_TEXT = re.compile(r"(?:claim|pvc_?name)\w{0,20}[\"']? ?[:=] ?[\"']?([a-z0-9][a-z0-9.-]*)", re.IGNORECASE)


@lru_cache(maxsize=4096)
def words(name: str) -> frozenset[str]:
    """Returns the telling words of a name, in lower case: `claude-skills-storage` -> {claude, skills}."""
    return frozenset(_WORD.findall(name.lower())) - _GENERIC


def shared(one: str, *others: str) -> frozenset[str]:
    """Returns the telling words that `one` shares with any of the others."""
    return words(one) & frozenset().union(*(words(other) for other in others))


def named_claims(node: Any) -> Iterator[str]:
    """Yields the claims that a tree names, in fields or in texts such as a chart's values."""
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, str) and _CLAIM.search(str(key)):
                yield value
            yield from named_claims(value)
    elif isinstance(node, list):
        for item in node:
            yield from named_claims(item)
    elif isinstance(node, str):
        yield from _CLAIM_IN_TEXT.findall(node)

"""Whether two names are about the same thing: their words, without those that every volume has. Pure."""

import re
from functools import lru_cache


def word_set(words: str) -> frozenset[str]:
    """Returns the words of a text: how the tables of names are written."""
    return frozenset(words.split())


#: Words that mean "a volume", not which.
_GENERIC = word_set(
    "data storage store volume vol pvc pv claim disk path dir directory root home folder app application dev test prod "
    "staging stage main default mnt var lib opt srv usr file files db"
)
_WORD = re.compile(r"[a-z]+", re.ASCII)


@lru_cache(maxsize=4096)
def words(name: str) -> frozenset[str]:
    """Returns the telling words of a name, in lower case: `claude-skills-storage` -> {claude, skills}."""
    return frozenset(_WORD.findall(name.lower())) - _GENERIC


def shared(one: str, *others: str) -> frozenset[str]:
    """Returns the telling words that `one` shares with any of the others."""
    return words(one) & frozenset().union(*(words(other) for other in others))

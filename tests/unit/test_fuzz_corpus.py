"""Each fuzz target holds on its corpus, and on the corpus bent a little: `make fuzz` goes on from there."""

import os
import random
import time

import pytest

from tests.fuzz.targets import TARGETS

_CORPUS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fuzz", "corpus")
_BENT = 5
#: What text formats make of themselves: depth, length, numbers without an end, names twice.
_ODD = [b"", b"[" * 20_000, b'{"a":' * 20_000, b"9" * 20_000, b"1e400", b"\xff\xfe", b"a: &a [*a]\n", b"\0", b"-" * 20_000,
        b"{" * 20_000, b"- " * 10_000, b"a: 1\n" * 4_000, b"\\040" * 5_000, b"/a" * 10_000, b"\n" * 20_000]  # fmt: skip


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_of_the_corpus_makes_a_reader_fail_or_take_long(name: str) -> None:
    target, chance = TARGETS[name], random.Random(22)
    texts = []
    for file in sorted(os.listdir(f"{_CORPUS}/{name}")):
        with open(f"{_CORPUS}/{name}/{file}", "rb") as kept:
            texts.append(kept.read())
    assert texts
    for text in list(texts):
        for _ in range(_BENT):
            at, end = sorted(chance.choices(range(len(text) + 1), k=2))
            texts.append(text[:at] + chance.choice([b"", chance.randbytes(3), text[:at], b"9" * 30]) + text[end:])
    for text in [*texts, *_ODD]:
        began = time.process_time()
        target(text)
        assert time.process_time() - began < 1, text[:80]

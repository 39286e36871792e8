"""No object, of whatever shape, makes the doctor fail: foreign trees are never trusted."""

import copy
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.doctor.command import Options, run
from guard.outcome import Outcome
from tests.unit.doctor.bodies import load

CASES = sorted((Path(__file__).parent / "cases").glob("*/*.yaml"))
Way = tuple[str | int, ...]
#: One object that stays one, however the others are bent: a text without any was not read.
WHOLE = {"kind": "ConfigMap", "metadata": {"name": "a"}}
#: What may stand where another shape is expected.
SHAPES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "x",
    "/app/skills",
    [],
    [None],
    ["x"],
    [[]],
    {},
    {"x": None},
    {"name": []},
)


def objects_of(case: Path) -> list[dict[str, Any]]:
    return [dict(kube.body) for kube in load((str(case),)).objects]


def ways(node: Any, way: Way = ()) -> Iterator[Way]:
    """Every way into a tree."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for step, inner in items:
        yield (*way, step)
        yield from ways(inner, (*way, step))


def put(tree: Any, way: Way, shape: Any) -> None:
    for step in way[:-1]:
        tree = tree[step]
    tree[way[-1]] = shape


@st.composite
def bent_objects(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The objects of a case, up to three of their parts replaced by another shape."""
    bodies: list[dict[str, Any]] = json.loads(json.dumps(objects_of(draw(st.sampled_from(CASES)))))
    for _ in range(draw(st.integers(1, 3))):
        found = list(ways(bodies))
        if found:
            put(bodies, draw(st.sampled_from(found)), copy.deepcopy(draw(st.sampled_from(SHAPES))))
    return bodies


@settings(max_examples=100)
@given(bent_objects())
def test_objects_with_parts_of_another_shape_end_in_a_report(bodies: list[dict[str, Any]]) -> None:
    text = json.dumps([WHOLE, *bodies]).encode()
    for options in (Options(("-",)), Options(("-",), output="json")):
        outcome, said = run(options, io.BytesIO(text))
        assert outcome in {Outcome.OK, Outcome.FINDINGS, Outcome.USAGE}
        assert said.encode()


@pytest.mark.parametrize("shape", SHAPES, ids=repr)
def test_a_deployment_of_one_wrong_part_ends_in_a_report(shape: Any) -> None:
    bodies = objects_of(next(case for case in CASES if "clean/cluster" in str(case)))
    for way in list(ways(bodies[0])):
        bent = json.loads(json.dumps(bodies[:3]))
        put(bent[0], way, shape)
        assert run(Options(("-",)), io.BytesIO(json.dumps(bent).encode()))[1]


@settings(max_examples=100)
@given(st.text(st.sampled_from("kind: A\n-[]{}&*a!|>'\"#%\t,?0"), max_size=60))
def test_any_text_ends_in_a_report(text: str) -> None:
    outcome, said = run(Options(("-",)), io.BytesIO(text.encode()))
    assert outcome in {Outcome.OK, Outcome.FINDINGS, Outcome.USAGE}
    assert said


@settings(max_examples=100)
@given(st.binary(max_size=60))
def test_any_bytes_end_in_a_report(content: bytes) -> None:
    outcome, said = run(Options(("-",)), io.BytesIO(content))
    assert outcome in {Outcome.OK, Outcome.FINDINGS, Outcome.USAGE}
    assert said

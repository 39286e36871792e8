"""The corpus: cases/<rule>/<fail|pass|unknown>-<what>.yaml, each named for its verdict.

A comment at the top can also hold what the rule must say, as parts of its text: `# message: claim data`, `# fix: claimName: CLAIM`,
and `# never: PART` what neither may say.
"""

import re
from itertools import takewhile
from pathlib import Path

import pytest

from guard.doctor.catalogue import RULES
from guard.doctor.report.diagnosis import Diagnosis, diagnose
from tests.unit.doctor.bodies import index_of

CASES = Path(__file__).parent / "cases"
ALL = sorted(CASES.glob("VG*/*.yaml"))


def diagnosis_of(case: Path) -> Diagnosis:
    return diagnose(index_of(case))


def name_of(case: Path) -> str:
    return f"{case.parent.name}/{case.stem}"


@pytest.mark.parametrize("case", ALL, ids=name_of)
def test_a_case_gets_the_verdict_in_its_name(case: Path) -> None:
    rule, verdict = case.parent.name, case.stem.partition("-")[0]
    diagnosis = diagnosis_of(case)
    failed = rule in {found.rule.id for found in diagnosis.findings}
    unknown = rule in {rule.id for rule, _ in diagnosis.unknown}
    expected = {"fail": (True, False), "pass": (False, False), "unknown": (False, True)}
    assert (failed, unknown) == expected[verdict]


def _expected(case: Path) -> list[tuple[str, str]]:
    head = takewhile(lambda line: line.startswith("#"), case.read_text().splitlines())
    return [(match[1], match[2]) for line in head if (match := re.match(r"# (message|fix|never): (.+)", line))]


@pytest.mark.parametrize("case", [case for case in ALL if _expected(case)], ids=name_of)
def test_a_finding_says_what_its_case_expects(case: Path) -> None:
    own = [result for result in diagnosis_of(case).findings if result.rule.id == case.parent.name]
    fixes = " ".join(result.finding.fix or result.rule.fix for result in own)
    messages = " ".join(result.finding.message for result in own)
    for kind, part in _expected(case):
        if kind == "never":
            assert part not in f"{messages} {fixes}"
        else:
            assert part in {"message": messages, "fix": fixes}[kind]


@pytest.mark.parametrize("case", sorted(CASES.glob("clean/*.yaml")), ids=name_of)
def test_objects_that_are_right_give_no_finding_of_any_rule(case: Path) -> None:
    assert [f"{found.rule.id}: {found.finding.message}" for found in diagnosis_of(case).findings] == []


def test_the_manifests_of_this_project_give_no_finding() -> None:
    diagnosis = diagnosis_of(Path(__file__).parents[3] / "k8s")
    assert [f"{found.rule.id}: {found.finding.message}" for found in diagnosis.findings] == []


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_failing_and_a_passing_case(rule: str) -> None:
    verdicts = {case.stem.partition("-")[0] for case in (CASES / rule).glob("*.yaml")}
    assert {"fail", "pass"} <= verdicts


def test_the_corpus_holds_at_least_400_cases() -> None:
    assert len(ALL) >= 400


@pytest.mark.parametrize("case", sorted(CASES.glob("*/*.yaml")), ids=name_of)
def test_every_finding_points_at_a_line_of_its_file(case: Path) -> None:
    lines = case.read_text().count("\n")
    for found in diagnosis_of(case).findings:
        for place in (found.finding.place, *found.finding.also):
            assert place.source == str(case)
            assert place.line is not None
            assert 1 <= place.line <= lines + 1

"""The rule table: ids and slugs that scripts can rely on, and the reference page that comes from it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from guard.doctor.catalogue import RULES, explain, find_rule
from guard.doctor.finding import Rule
from guard.doctor.index import READ
from tests.unit.doctor.rules_page import PAGE, THEMES, reference_page

ROOT = Path(__file__).parents[3]
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)


@every_rule
def test_a_rule_is_complete(rule: Rule) -> None:
    assert re.fullmatch(r"VG[1-6][0-9]{2}", rule.id)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.slug)
    assert rule.reference.startswith("https://")
    assert rule.title.endswith(".")
    assert rule.why.endswith(".")
    assert len(rule.fix) > len("replicas: 1")


@every_rule
def test_a_rule_explains_itself_with_its_reference_and_how_to_ignore_it(rule: Rule) -> None:
    text = explain(rule)
    assert text.startswith(f"{rule.id} {rule.slug} ({rule.severity.value})")
    assert rule.reference in text
    assert f"volume-guard/ignore-{rule.id}" in text


def test_every_kind_that_a_check_names_is_among_those_read() -> None:
    code = "".join(path.read_text() for path in (ROOT / "guard/doctor/rules").glob("*.py"))
    named = set(re.findall(r"(?:index\.(?:of|live|every|named|find)\()\"([A-Z][A-Za-z]+)\"", code))
    assert named <= READ
    assert len(named) > 3


def test_slugs_are_unique() -> None:
    assert len({rule.slug for rule in RULES.values()}) == len(RULES)


def test_every_rule_has_a_theme() -> None:
    assert {rule.id[:3] for rule in RULES.values()} == set(THEMES)


@pytest.mark.parametrize("name", ["VG101", "vg101", "volume-not-mounted", "Volume-Not-Mounted"])
def test_a_rule_is_found_by_id_and_by_slug(name: str) -> None:
    assert find_rule(name) is RULES["VG101"]


def test_an_unknown_name_finds_nothing() -> None:
    assert find_rule("VG999") is None


def test_the_reference_page_is_the_rule_table() -> None:
    assert PAGE.read_text() == reference_page(), "python tests/unit/doctor/rules_page.py writes it"


def test_explaining_a_rule_loads_no_yaml_library_and_no_other_room() -> None:
    code = (
        "import sys; import guard.doctor.catalogue as c; c.explain(c.RULES['VG101']); "
        "print([m for m in sys.modules if m.startswith(('yaml', 'structlog', 'watchdog', 'guard.volume', 'guard.watch'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

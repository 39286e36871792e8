"""The pages for people: one for every outcome, none out of reach, no dead link, no command that the guard does not know."""

import importlib
import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import yaml

from guard import explain
from guard.arguments import COMMANDS, parse
from guard.event import Event
from guard.outcome import RUNBOOKS, Outcome, Severity
from tests.unit import markdown

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "docs" / "runbooks"
INDEX = FOLDER / "README.md"
ALERTS = REPOSITORY / "k8s" / "monitoring" / "prometheus" / "alerts.yaml"
#: What is no alert and no outcome: done by a person, in steps.
PROCEDURES = frozenset({"restore", "migrate", "recreate-claim"})
RUNBOOK_PAGES = sorted(page for page in FOLDER.glob("*.md") if page != INDEX)
ENTRANCES = sorted(REPOSITORY.glob("*.md"))
PAGES = sorted({*ENTRANCES, *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("k8s/**/*.md")})
FOUR = ("Meaning", "Impact", "Diagnosis", "Mitigation")
#: Pages that are there for one kind of reader, and name it in their first lines.
FOR = [page for page in sorted((REPOSITORY / "docs").glob("*.md")) if page.name != "rules.md"]
#: Placeholders that a command of a page may have in the place of a rule's or an outcome's name.
NAMES = frozenset({"NAME", "NAME|STATUS|VG-ID", "VG-ID"})


def _name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


@pytest.mark.parametrize("outcome", [one for one in Outcome if one is not Outcome.OK], ids=lambda one: one.label)
def test_every_outcome_has_its_page_where_its_message_says(outcome: Outcome) -> None:
    page = FOLDER / outcome.runbook.removeprefix(RUNBOOKS + "/")
    assert RUNBOOKS.endswith(f"/blob/main/{_name(FOLDER)}")
    assert markdown.read(page).headings[0][1].startswith(f"{outcome.label}: ")
    assert f"xit status {outcome.status}" in page.read_text()
    assert f"Page: {outcome.runbook}\n" in (explain.explain(outcome.label) or "")


def test_where_nothing_is_to_do_there_is_no_page() -> None:
    assert Outcome.OK.runbook == ""
    assert "Page:" not in (explain.explain("ok") or "Page:")


@pytest.mark.parametrize("page", RUNBOOK_PAGES, ids=_name)
def test_a_runbook_says_what_it_means_what_it_does_how_to_find_the_cause_and_how_to_fix_it(page: Path) -> None:
    read = markdown.read(page)
    assert read.levels()[0] == 1
    assert read.levels().count(1) == 1
    if page.stem not in PROCEDURES:
        assert tuple(text for level, text in read.headings if level == 2) == FOUR
        assert any(block.language == "sh" for block in read.blocks), "no command to run"


def test_every_runbook_can_be_reached_from_the_readme_by_way_of_the_index() -> None:
    assert "docs/runbooks/README.md" in markdown.read(REPOSITORY / "README.md").links
    assert {page.name for page in RUNBOOK_PAGES} <= set(markdown.read(INDEX).links)


def test_the_index_has_every_status_with_its_page() -> None:
    by_status = {row[0]: row[1] for row in markdown.read(INDEX).tables[0][2:]}
    assert by_status == {str(one.status): f"[{one.label}]({one.label}.md)" for one in Outcome if one.runbook}


def test_the_index_has_every_event_that_wants_something_done() -> None:
    told = {event.strip("`") for row in markdown.read(INDEX).tables[1][2:] for event in row[2].split()}
    assert (
        {event.label for event in Event if event.severity >= Severity.WARNING} <= told <= {one.label for one in Event}
    )


@pytest.mark.skipif(not ALERTS.exists(), reason="k8s/monitoring is not in this tree")
def test_every_alert_has_its_page_and_the_page_and_the_index_name_it() -> None:
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    pages = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in rules if "alert" in rule}
    assert pages
    for alert, address in pages.items():
        page = FOLDER / address.removeprefix(RUNBOOKS + "/")
        assert f"`{alert}`" in page.read_text(), address
    index = {row[1].strip("`"): f"{RUNBOOKS}/{row[0].partition('](')[2][:-1]}" for row in _alert_table()}
    assert index == pages


def _alert_table() -> list[tuple[str, ...]]:
    """The rows of the index that name an alert."""
    return [row for row in markdown.read(INDEX).tables[1] if row[1].startswith("`VolumeGuard")]


@pytest.mark.skipif(importlib.util.find_spec("guard.backup") is None, reason="guard.backup is not in this tree")
def test_every_status_that_is_the_backup_s_own_is_explained_on_a_page() -> None:
    own = {one.status for one in importlib.import_module("guard.backup.result").Result} - {
        one.status for one in Outcome
    }
    pages = " ".join((FOLDER / f"{name}.md").read_text() for name in ("backup-refused", "drill-failed", "restore"))
    assert own
    assert {status for status in own if not re.search(rf"\b{status}\b", pages)} == set()


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_of_a_page_leads_to_what_is_there(page: Path) -> None:
    for link in markdown.read(page).links:
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        if anchor:
            assert anchor in {_anchor(text) for _, text in markdown.read(path).headings}, link


@pytest.mark.parametrize("page", FOR, ids=_name)
def test_a_page_of_the_docs_names_its_readers_at_its_top(page: Path) -> None:
    assert markdown.read(page).paragraphs[0].startswith("For ")


def _anchor(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_guard_command_of_a_page_is_one_that_the_guard_knows(page: Path) -> None:
    for block in markdown.read(page).blocks:
        if block.language not in {"sh", "console"}:
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            if block.language == "console" and not line.startswith("$ "):
                continue
            for arguments in _guard_commands(line):
                assert _problems(*arguments) == (), line


def _guard_commands(line: str) -> list[list[str]]:
    """What follows `guard` in each part of a pipe."""
    words = shlex.split(line.removeprefix("$ "), comments=True)
    starts = [number for number, word in enumerate(words) if word == "guard"]
    ends = [next((end for end in range(start, len(words)) if words[end] in {"|", "&&", ";"}), None) for start in starts]
    return [words[start + 1 : end] for start, end in zip(starts, ends, strict=True)]


def _problems(command: str, *arguments: str) -> tuple[str, ...]:
    if command in {"--version", "--help"} or "--help" in arguments:
        return ()
    if command == "explain":
        (name,) = arguments
        known = name in NAMES or explain.explain(name)
        return () if known else (f"nothing to explain under {name}",)
    if command not in COMMANDS:
        return (f"unknown command {command}",)
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return parse(command, own).problems


@pytest.mark.parametrize(
    "line",
    ["guard chek", "guard check --wiat 0", "kubectl exec POD -- guard accept now", "guard explain VG999"],
)
def test_a_command_that_the_guard_does_not_know_is_found(line: str) -> None:
    (arguments,) = _guard_commands(line)
    assert _problems(*arguments) != ()

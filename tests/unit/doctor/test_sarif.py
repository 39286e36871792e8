"""`--output sarif`: valid by the standard's own schema, with file, line, rule and reason kept."""

import io
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from guard.doctor.catalogue import RULES
from guard.doctor.command import Options, run
from guard.doctor.report.review import artifact

CASES = Path(__file__).parent / "cases"
SCHEMA = Path(__file__).parents[2] / "data" / "sarif" / "sarif-schema-2.1.0.json"
BROKEN = "VG101/fail-applied-deployment-without-volume"
every_case = pytest.mark.parametrize(
    "case", sorted(CASES.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CASES).with_suffix(""))
)
#: What review tools call the doctor's severities.
LEVELS = {"error": "error", "warning": "warning", "info": "note"}


@cache
def schema() -> Any:
    return jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()))


def sarif(*files: str, stdin: bytes = b"") -> dict[str, Any]:
    return json.loads(run(Options(files, output="sarif"), io.BytesIO(stdin))[1])  # type: ignore[no-any-return]


def results(*files: str, stdin: bytes = b"") -> list[dict[str, Any]]:
    return sarif(*files, stdin=stdin)["runs"][0]["results"]  # type: ignore[no-any-return]


def findings(*files: str) -> list[dict[str, Any]]:
    return json.loads(run(Options(files, output="json"), io.BytesIO())[1])["findings"]  # type: ignore[no-any-return]


def nodes(tree: Any) -> Iterator[Any]:
    yield tree
    for child in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from nodes(child)


@every_case
def test_it_is_valid_by_the_schema_of_the_standard(case: Path) -> None:
    schema().validate(sarif(str(case)))


def test_the_schema_refuses_what_is_not_sarif() -> None:
    log = sarif(str(CASES / f"{BROKEN}.yaml"))
    del log["runs"][0]["results"][0]["message"]
    with pytest.raises(jsonschema.ValidationError, match="message"):
        schema().validate(log)


@every_case
def test_each_finding_is_a_result_with_its_rule_level_file_and_line(case: Path) -> None:
    expected = [
        (found["rule"], LEVELS[found["severity"]], f"file://{place['source']}", place["line"])
        for found in findings(str(case))
        for place in [found["place"] if found["place"]["line"] else [*found["also"], found["place"]][0]]
    ]
    said = [
        (result["ruleId"], result["level"], where["artifactLocation"]["uri"], where.get("region", {}).get("startLine"))
        for result in results(str(case))
        if "suppressions" not in result
        for where in [result["locations"][0]["physicalLocation"]]
    ]
    assert said == expected


@every_case
def test_each_rule_stands_once_and_each_result_points_at_its_own(case: Path) -> None:
    one = sarif(str(case))["runs"][0]
    rules = one["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    assert {result["ruleId"] for result in one["results"]} == {rule["id"] for rule in rules}
    for result in one["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]


def test_a_rule_carries_what_a_reviewer_reads() -> None:
    (rule,) = [
        one
        for one in sarif(str(CASES / f"{BROKEN}.yaml"))["runs"][0]["tool"]["driver"]["rules"]
        if one["id"] == "VG101"
    ]
    expected = RULES["VG101"]
    assert rule["name"] == "VolumeNotMounted"
    assert rule["shortDescription"]["text"] == expected.title
    assert expected.fix in rule["help"]["text"]
    assert expected.reference in rule["help"]["markdown"]
    assert rule["helpUri"].endswith("docs/rules.md#vg101-volume-not-mounted")


def test_a_result_says_what_to_do_and_names_its_object() -> None:
    first = results(str(CASES / f"{BROKEN}.yaml"))[0]
    assert " Fix: " in first["message"]["text"]
    (logical,) = first["locations"][0]["logicalLocations"]
    assert logical["fullyQualifiedName"] == "Deployment/dev/claude-skills"


def test_a_file_is_named_from_where_the_doctor_was_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "k8s").mkdir()
    (tmp_path / "k8s" / "a b#1.yaml").write_text((CASES / "VG223/fail-selector.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    where = results("./k8s")[0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert where == {"uri": "k8s/a%20b%231.yaml", "uriBaseId": "%SRCROOT%"}


def test_standard_input_has_a_name_since_a_result_without_one_is_refused() -> None:
    text = (CASES / "VG223/fail-selector.yaml").read_bytes()
    uris = {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in results("-", stdin=text)
    }
    assert uris == {"stdin"}


def test_what_file_and_cluster_both_show_is_placed_in_the_file() -> None:
    text = (CASES / "VG223/fail-selector.yaml").read_bytes()
    file = str(CASES / "VG223/fail-selector.yaml")
    log = run(Options((file,), live=("-",), output="sarif"), io.BytesIO(text))[1]
    both = [one for one in json.loads(log)["runs"][0]["results"] if one["ruleId"] == "VG223"]
    assert len(both) == 1
    place, related = both[0]["locations"][0], both[0]["relatedLocations"]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == f"file://{file}"
    assert [one["physicalLocation"]["artifactLocation"]["uri"] for one in related] == ["stdin"]
    schema().validate(json.loads(log))


def test_what_is_ignored_is_suppressed_with_its_reason() -> None:
    text = (CASES / "VG223/fail-selector.yaml").read_text()
    old = "metadata: {name: claude-skills, namespace: dev"
    assert old in text
    text = text.replace(old, f'{old}, annotations: {{volume-guard/ignore-VG223: "scratch data"}}', 1)
    log = sarif("-", stdin=text.encode())
    schema().validate(log)
    suppressed = {one["ruleId"]: one["suppressions"] for one in log["runs"][0]["results"] if "suppressions" in one}
    assert suppressed == {"VG223": [{"kind": "inSource", "justification": "scratch data"}]}


def test_a_foreign_name_stays_within_its_text() -> None:
    text = b'kind: Deployment\nmetadata: {name: "a\\e[2J\\n\\u200b"}\nspec: {template: {spec: {containers: [{name: x}]}}}\n'
    log = sarif("-", stdin=text)
    schema().validate(log)
    assert all(node.isprintable() for node in nodes(log["runs"][0]["results"]) if isinstance(node, str))


def test_nothing_found_is_a_run_without_results() -> None:
    log = sarif(str(CASES / "clean/file.yaml"))
    schema().validate(log)
    assert log["runs"][0]["results"] == []


def test_a_file_name_that_is_not_utf_8_keeps_its_bytes() -> None:
    assert artifact("k8s/\udcff.yaml")["uri"] == "k8s/%FF.yaml"

"""The report: a table for people, JSON whose fields are documented and stay."""

import io
import json
import re
from pathlib import Path

import pytest

from guard.doctor.command import Options, run
from guard.doctor.source import yaml_text
from guard.outcome import Outcome
from tests.unit.doctor.bodies import claim, deployment, pod_spec, volume

CASES = Path(__file__).parent / "cases"
DOCS = Path(__file__).parents[3] / "docs" / "rules.md"
BROKEN = "VG101/fail-applied-deployment-without-volume"
ESCAPE = re.compile(r"\x1b\[[0-9]+m")


def said(case: str, **options: object) -> str:
    return run(Options((str(CASES / f"{case}.yaml"),), **options), io.BytesIO())[1]  # type: ignore[arg-type]


def as_json(case: str) -> dict[str, object]:
    return json.loads(said(case, output="json"))  # type: ignore[no-any-return]


class TestTable:
    def test_the_cause_comes_first_and_the_checklist_behind_the_findings_with_the_path_and_why(self) -> None:
        blocks = said(BROKEN, width=300).split("\n\n")
        assert blocks[0].startswith("error   VG101 volume-not-mounted")
        (checklist,) = (block for block in blocks if block.startswith("Deployment"))
        assert checklist.startswith(
            "Deployment dev/claude-skills: /app/skills (the default; claim claude-skills-storage bears its name and nothing "
            "uses it)\n  yes     the claim names a storage class"
        )

    def test_a_report_on_many_workloads_starts_with_what_is_wrong_and_ends_with_the_missing_guard(self) -> None:
        right = [deployment(pod_spec(initContainers=[], volumes=[volume(f"c{n}")]), f"app{n}") for n in range(14)]
        right[9]["spec"]["template"]["spec"]["volumes"] = []
        claims = [claim(f"c{n}") for n in range(14)]
        table = run(Options(("-",)), io.BytesIO(json.dumps([*right, *claims]).encode()))[1]
        assert table.startswith("error   VG101 volume-not-mounted  Deployment dev/app9 (live)")
        blocks = table.split("\n\n")
        headings = [block.split()[1] for block in blocks if block.startswith(("error", "warning", "info"))]
        assert headings.count("VG501") == 1
        assert headings[-1] == "VG501"
        assert "The same in 12 more" in table
        checklists = [block for block in blocks if block.startswith("Deployment")]
        assert [block.split()[1] for block in checklists] == ["dev/app9:"]

    @pytest.mark.parametrize("width", [60, 100, 160])
    def test_no_line_of_words_is_wider_than_the_terminal(self, width: int) -> None:
        headings = re.compile(r"(error|warning|info) +VG[0-9]{3} |Deployment | +[^ ]+\.yaml:| +to know: ")
        for line in said(BROKEN, width=width).splitlines():
            assert len(line) <= width or headings.match(line)

    def test_colour_is_only_added_never_needed(self) -> None:
        plain, coloured = said(BROKEN), said(BROKEN, colour=True)
        assert "\x1b" not in plain
        assert ESCAPE.sub("", coloured) == plain
        assert "\x1b[31merror" in coloured

    def test_what_is_right_is_said_in_one_line_of_noughts(self) -> None:
        assert "0 error, 0 warning, 0 info" in said("clean/cluster")

    def test_what_is_unknown_comes_with_the_command_to_know(self) -> None:
        assert "VG208 storage-class-missing" in said("VG208/unknown-no-class-given")
        said_narrow = said("VG208/unknown-no-class-given", width=60).splitlines()
        assert "        to know: kubectl get storageclass standard-rwo -o yaml" in said_narrow

    def test_advice_of_other_tools_that_contradicts_is_named_where_it_applies(self) -> None:
        assert "kube-linter (no-rolling-update-strategy)" in said("VG221/fail-default-strategy", width=300)
        assert "kube-linter (minimum-three-replicas)" in said("VG222/fail-three-replicas", width=300)
        assert "kubescape C-0257" in said(BROKEN, width=300)
        assert "k8sgpt" in said("VG212/fail-claim-is-gone", width=300)

    def test_a_kind_that_no_rule_reads_is_said_once_with_its_first_place(self) -> None:
        table = said("clean/unknown-kinds", width=300)
        assert f"skipped Whatever: no rule reads this kind ({CASES / 'clean/unknown-kinds.yaml'}:2)" in table

    def test_a_few_unknowns_of_a_rule_stand_for_all(self) -> None:
        claim = "kind: PersistentVolumeClaim\nmetadata: {name: c%d, namespace: x}\nspec: {storageClassName: s%d}\n"
        text = "---\n".join(claim % (number, number) for number in range(9))
        table = run(Options(("-",)), io.BytesIO(text.encode()))[1]
        assert "VG208 storage-class-missing: 4 more like these" in table

    def test_deleting_a_released_volume_is_never_advised(self) -> None:
        for case in ("VG212/fail-claim-is-gone", "VG205/fail-released-old-volume"):
            assert "delete pv" not in said(case, width=300)

    def test_a_foreign_name_cannot_drive_the_terminal(self) -> None:
        text = b'kind: Deployment\nmetadata: {name: "a\\e[2Jb"}\nspec: {template: {spec: {containers: [{name: x}]}}}\n'
        table = run(Options(("-",)), io.BytesIO(text))[1]
        assert "\x1b" not in table
        assert "\\x1b[2J" in table


class TestJson:
    def test_its_top_level_is_the_documented_one(self) -> None:
        assert list(as_json(BROKEN)) == [
            "schema", "path", "outcome", "read", "advice", "checklist", "findings", "ignored", "unknown", "errors", "skipped",
        ]  # fmt: skip

    def test_every_field_stands_in_the_reference_page(self) -> None:
        page = DOCS.read_text()
        page = page[page.index("## JSON output") :]
        report = as_json("VG303/fail-argo")
        named: set[str] = set()
        nodes: list[object] = [report]
        while nodes:
            node = nodes.pop()
            if isinstance(node, dict):
                named |= node.keys()
                nodes.extend(node.values())
            elif isinstance(node, list):
                nodes.extend(node)
        assert {
            name
            for name in named
            if f"`{name}`" not in page
            and f"`{name}[]`" not in page
            and f".{name}`" not in page
            and f"{name}[]" not in page
        } == set()

    def test_a_finding_says_what_where_why_and_what_to_do(self) -> None:
        first = as_json(BROKEN)["findings"][0]  # type: ignore[index]
        assert first["rule"] == "VG101"
        assert first["object"] == {
            "kind": "Deployment", "namespace": "dev", "name": "claude-skills", "side": "live", "made_by": "",
        }  # fmt: skip
        assert first["place"]["line"] > 1
        assert all(first[field] for field in ("message", "why", "fix", "reference", "title", "slug"))

    def test_it_is_plain_ascii_whatever_the_objects_hold(self) -> None:
        text = "kind: Deployment\nmetadata: {name: 스킬}\nspec: {template: {spec: {containers: [{name: x}]}}}\n"
        out = run(Options(("-",), output="json", path="/x"), io.BytesIO(text.encode()))[1]
        assert out.isascii()
        assert json.loads(out)["findings"][0]["object"]["name"] == "스킬"


class TestOutcome:
    def test_an_error_is_a_finding(self) -> None:
        assert run(Options((str(CASES / f"{BROKEN}.yaml"),)), io.BytesIO())[0] is Outcome.FINDINGS

    def test_what_is_right_is_ok_even_when_asked_for_advice(self) -> None:
        assert run(Options((str(CASES / "clean/file.yaml"),), fail_on="info"), io.BytesIO())[0] is Outcome.OK

    def test_advice_counts_only_where_it_is_asked_for(self) -> None:
        case = (str(CASES / "VG505/fail-enforce-false.yaml"),)
        assert run(Options(case, fail_on="warning"), io.BytesIO())[0] is Outcome.OK
        assert run(Options(case, fail_on="info"), io.BytesIO())[0] is Outcome.FINDINGS

    @pytest.mark.parametrize("content", [b"", b"\x00", b"kind: [", b"# nothing\n"])
    def test_nothing_readable_is_a_usage_error_that_says_why(self, content: bytes) -> None:
        outcome, table = run(Options(("-",)), io.BytesIO(content))
        assert outcome is Outcome.USAGE
        assert "unread  -" in table or "VG402 unreadable" in table

    def test_a_cluster_s_side_without_anything_does_not_pass_for_one_that_was_compared(self) -> None:
        outcome, table = run(Options((str(CASES / "clean/file.yaml"),), ("-",)), io.BytesIO())
        assert outcome is Outcome.USAGE
        assert "nothing in it: the command before the pipe wrote nothing" in table

    def test_something_broken_beside_something_right_is_a_finding(self) -> None:
        text = (CASES / "clean/file.yaml").read_bytes() + b"---\nkind: [\n"
        assert run(Options(("-",)), io.BytesIO(text))[0] is Outcome.FINDINGS

    def test_a_log_that_cannot_be_read_is_said(self) -> None:
        outcome, table = run(Options((str(CASES / "clean/file.yaml"),), logs=("/nowhere/gate.log",)), io.BytesIO())
        assert outcome is Outcome.USAGE
        assert "/nowhere/gate.log" in table


class TestIgnore:
    def ignoring(self, rule: str, where: str) -> bytes:
        text = (CASES / "VG223/fail-selector.yaml").read_text()
        note = f'annotations: {{volume-guard/ignore-{rule}: "scratch, rebuilt in a minute"}}'
        old = "metadata: {name: claude-skills, namespace: dev}" if where == "object" else "labels: {app: claude-skills}"
        assert old in text
        new = old[:-1] + f", {note}}}" if where == "object" else f"{old}\n      {note}"
        return text.replace(old, new, 1).encode()

    @pytest.mark.parametrize("where", ["object", "template"])
    def test_an_annotation_takes_a_finding_out_and_its_reason_is_printed(self, where: str) -> None:
        _, table = run(Options(("-",)), io.BytesIO(self.ignoring("VG223", where)))
        assert (
            "ignored VG223 one-disk-on-spot-nodes, Deployment dev/claude-skills: scratch, rebuilt in a minute"
            in table.replace("\n        ", " ")
        )
        assert "0 error, 0 warning" in table

    def test_it_takes_out_no_other_rule(self) -> None:
        _, table = run(Options(("-",)), io.BytesIO(self.ignoring("VG221", "object")))
        assert "1 warning" in table

    def test_json_carries_the_reason(self) -> None:
        _, out = run(Options(("-",), output="json"), io.BytesIO(self.ignoring("VG223", "object")))
        (ignored,) = json.loads(out)["ignored"]
        assert (ignored["rule"], ignored["reason"]) == ("VG223", "scratch, rebuilt in a minute")


class TestTemplates:
    def test_a_template_that_was_not_rendered_is_left_out_with_what_to_run(self) -> None:
        outcome, table = run(Options((str(CASES / "template.yaml"),), width=300), io.BytesIO())
        assert outcome is Outcome.USAGE
        assert "helm template" in table
        assert "VG402" not in table

    def test_a_json_file_of_a_folder_that_is_no_manifest_is_left_out(self, tmp_path: Path) -> None:
        (tmp_path / "tsconfig.json").write_text('{\n  // strict\n  "compilerOptions": {"strict": true,},\n}\n')
        (tmp_path / "a.yaml").write_text((CASES / "clean/file.yaml").read_text())
        outcome, table = run(Options((str(tmp_path),)), io.BytesIO())
        assert outcome is Outcome.OK
        assert "tsconfig.json" in table

    def test_a_yaml_file_without_the_library_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(yaml_text, "yaml", None)
        outcome, table = run(Options((str(CASES / "clean/file.yaml"),), width=300), io.BytesIO())
        assert outcome is Outcome.USAGE
        assert "pip install 'volume-guard[doctor]'" in table


class TestNothingToJudge:
    def ended(self, *bodies: object) -> tuple[Outcome, str]:
        return run(Options(("-",), width=300), io.BytesIO(json.dumps(bodies).encode()))

    @pytest.mark.parametrize(
        ("version", "kind", "command"),
        [
            ("helm.toolkit.fluxcd.io/v2", "HelmRelease", "helm get manifest"),
            ("argoproj.io/v1alpha1", "Application", "argocd app manifests"),
            ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "kubectl kustomize"),
            ("acid.zalan.do/v1", "postgresql", "kubectl get deploy,sts"),
        ],
    )
    def test_what_stands_for_workloads_is_no_clean_bill(self, version: str, kind: str, command: str) -> None:
        outcome, table = self.ended({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}})
        assert outcome is Outcome.USAGE
        assert "no workload was judged" in table
        assert command in table
        assert "0 error" not in table

    def test_claims_alone_are_judged_and_the_sum_says_that_no_workload_was(self) -> None:
        body = claim()
        del body["spec"]["storageClassName"], body["spec"]["volumeName"]
        outcome, table = self.ended(body)
        assert outcome is Outcome.OK
        assert "0 error, 1 warning, 0 info, but no workload was judged" in table

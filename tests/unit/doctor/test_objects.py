"""Reading: any mix of inputs, every object with its line, and broken input that spoils nothing else."""

import io
import json
import os
import sys
from pathlib import Path

import pytest

from guard.doctor.command import Options, run
from guard.doctor.index import ObjectIndex
from guard.doctor.source import reader, yaml_text
from guard.doctor.source.document import Side
from guard.doctor.source.tree import MAX_DEPTH
from guard.outcome import Outcome
from tests.unit.doctor.bodies import Loaded, load

GOOD = "kind: ConfigMap\nmetadata: {name: good}\n"


def read(text: str | bytes) -> Loaded:
    return load(("-",), (), text.encode() if isinstance(text, str) else text)


def names(loaded: Loaded) -> list[str]:
    return [kube.name for kube in loaded.objects]


def reasons(loaded: Loaded) -> list[str]:
    return [f"{broken.place.line}: {broken.reason}" for broken in loaded.errors]


class TestShapes:
    def test_every_document_of_a_file_keeps_its_lines(self) -> None:
        loaded = read("# one\nkind: A\nmetadata:\n  name: a\n---\n\nkind: B\nmetadata:\n  name: b\n")
        assert [str(kube.place("metadata", "name")) for kube in loaded.objects] == ["-:4", "-:9"]

    def test_the_items_of_a_list_are_objects(self) -> None:
        loaded = read("kind: List\nitems:\n- kind: A\n  metadata: {name: a}\n- kind: B\n  metadata: {name: b}\n")
        assert [(kube.name, kube.line) for kube in loaded.objects] == [("a", 3), ("b", 5)]

    def test_the_items_of_a_typed_list_get_their_kind_from_it(self) -> None:
        loaded = read('{"kind": "PodList", "items": [{"metadata": {"name": "a"}}]}')
        assert [(kube.kind, kube.name) for kube in loaded.objects] == [("Pod", "a")]

    def test_the_items_of_a_json_list_keep_the_line_on_which_they_start(self) -> None:
        items = [{"kind": "A", "metadata": {"name": "a"}}, {"kind": "B", "metadata": {"name": "b"}}]
        loaded = read(json.dumps({"kind": "List", "items": items}, indent=1))
        assert [(kube.name, kube.line) for kube in loaded.objects] == [("a", 4), ("b", 10)]

    def test_json_documents_may_follow_each_other(self) -> None:
        assert names(read('{"kind": "A", "metadata": {"name": "a"}}\n{"kind": "B", "metadata": {"name": "b"}}')) == [
            "a",
            "b",
        ]

    def test_yaml_that_starts_like_json_is_yaml(self) -> None:
        assert names(read("{kind: A, metadata: {name: a}}\n---\nkind: B\nmetadata: {name: b}\n")) == ["a", "b"]

    def test_anchors_and_merges_are_resolved(self) -> None:
        loaded = read("kind: A\nmetadata: &m {name: a, labels: {x: y}}\nmore: *m\nspec:\n  <<: *m\n  name: own\n")
        (kube,) = loaded.objects
        assert kube.text("more", "name") == "a"
        assert (kube.text("spec", "name"), kube.text("spec", "labels", "x")) == ("own", "y")

    def test_scalars_are_what_the_api_server_takes_them_for(self) -> None:
        (kube,) = read('kind: A\na: 1\nb: "1"\nc: true\nd: ~\ne: 1.5\nf: 1.2.3\ng: on\nh: 0x\ni: |\n  text\n').objects
        assert [kube.get(key) for key in "abcdefghi"] == [1, "1", True, None, 1.5, "1.2.3", "on", "0x", "text\n"]

    def test_an_object_with_a_uid_is_the_clusters_unless_the_cluster_is_given_apart(self, tmp_path: Path) -> None:
        path = tmp_path / "a.yaml"
        path.write_text("kind: A\nmetadata: {name: a, uid: u}\n")
        alone = load((str(path),))
        apart = load((str(path),), ("-",), GOOD.encode())
        assert [kube.side for kube in alone.objects] == [Side.LIVE]
        assert [kube.side for kube in apart.objects] == [Side.FILE, Side.LIVE]

    def test_utf_16_of_a_powershell_redirect_is_read(self) -> None:
        assert names(read(GOOD.encode("utf-16"))) == ["good"]

    def test_a_byte_order_mark_is_no_part_of_the_first_key(self) -> None:
        assert names(read(b"\xef\xbb\xbf" + GOOD.encode())) == ["good"]

    def test_windows_line_ends_change_nothing(self) -> None:
        assert [(kube.name, kube.line) for kube in read(f"---\n{GOOD}---\n{GOOD}".replace("\n", "\r\n")).objects] == [
            ("good", 2),
            ("good", 5),
        ]

    def test_what_is_no_object_is_left_out_and_said(self) -> None:
        loaded = read("just text\n---\n- 1\n---\na: 1\n---\n" + GOOD)
        assert names(loaded) == ["good"]
        assert len(loaded.skipped) == 3


class TestFolders:
    def test_a_folder_gives_its_yaml_and_json_files_by_name(self, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        (tmp_path / "b.yaml").write_text(GOOD.replace("good", "b"))
        (tmp_path / "a.json").write_text('{"kind": "A", "metadata": {"name": "a"}}')
        (tmp_path / "sub" / "c.yml").write_text(GOOD.replace("good", "c"))
        (tmp_path / "README.md").write_text("# not this\n")
        assert names(load((str(tmp_path),))) == ["a", "b", "c"]

    def test_a_kustomizations_folder_holds_patches_and_is_left_to_kustomize(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text(GOOD)
        (tmp_path / "overlay").mkdir()
        (tmp_path / "overlay" / "kustomization.yaml").write_text("resources: []\n")
        (tmp_path / "overlay" / "patch.yaml").write_text("kind: Deployment\nmetadata: {name: patch}\n")
        loaded = load((str(tmp_path),))
        assert names(loaded) == ["good"]
        assert "kubectl kustomize" in loaded.skipped[0]

    def test_a_charts_folder_holds_templates_and_is_left_to_helm(self, tmp_path: Path) -> None:
        (tmp_path / "Chart.yaml").write_text("name: x\n")
        (tmp_path / "templates").mkdir()
        (tmp_path / "templates" / "a.yaml").write_text("kind: {{ .Values.kind }}\n")
        loaded = load((str(tmp_path),))
        assert loaded.errors == []
        assert "helm template" in loaded.skipped[0]

    def test_a_folder_without_objects_is_said(self, tmp_path: Path) -> None:
        assert "no .yaml, .yml, .json file" in load((str(tmp_path),)).errors[0].reason

    def test_a_missing_file_does_not_keep_the_others_from_being_read(self, tmp_path: Path) -> None:
        loaded = load((str(tmp_path / "gone.yaml"), "-"), (), GOOD.encode())
        assert names(loaded) == ["good"]
        assert "No such file" in loaded.errors[0].reason

    def test_a_pipe_is_read_like_a_file(self) -> None:
        end, other = os.pipe()
        os.write(other, GOOD.encode())
        os.close(other)
        try:
            assert names(load((f"/dev/fd/{end}",))) == ["good"]
        finally:
            os.close(end)


class TestNothing:
    @pytest.mark.parametrize("content", [b"", b"\n", b"# nothing\n", b"---\n---\n", b"null\n"])
    def test_an_input_without_anything_is_said(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.yaml"
        path.write_text(GOOD)
        loaded = load((str(path),), ("-",), content)
        assert names(loaded) == ["good"]
        (broken,) = loaded.errors
        assert (broken.place.source, broken.reason.partition(":")[0]) == ("-", "nothing in it")
        path.write_bytes(content)
        assert reasons(load((str(path),))) == ["None: nothing in it"]

    @pytest.mark.parametrize("content", [b'{"kind": "List", "items": []}', b"kind: PodList\nitems: []\n", b"[]"])
    def test_a_list_without_objects_is_said_and_is_not_broken(self, content: bytes) -> None:
        loaded = load((), ("-",), content)
        assert loaded.errors == []
        assert loaded.skipped == ["-:1 is a list without objects: kubectl get found none"]

    def test_an_empty_file_of_a_folder_is_left_out_as_kubectl_does(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text(GOOD)
        (tmp_path / "b.yaml").write_text("# later\n")
        assert load((str(tmp_path),)).errors == []

    def test_a_folder_of_empty_files_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "b.yaml").write_text("# later\n")
        assert "nothing in the 1 files in this folder" in load((str(tmp_path),)).errors[0].reason

    def test_a_folder_below_that_cannot_be_read_is_broken(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "a.yaml").write_text(GOOD)
        (tmp_path / "below").mkdir()
        scan = os.scandir

        def refuse(path: str) -> object:
            if str(path).endswith("below"):
                raise PermissionError(13, "Permission denied", path)
            return scan(path)

        monkeypatch.setattr(os, "scandir", refuse)
        loaded = load((str(tmp_path),))
        assert [(broken.place.source, broken.reason) for broken in loaded.errors] == [
            (str(tmp_path / "below"), "cannot be read: Permission denied")
        ]
        assert names(loaded) == ["good"]

    def test_a_linked_folder_below_is_left_out_and_said(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text(GOOD)
        (tmp_path / "below").symlink_to(tmp_path)
        loaded = load((str(tmp_path),))
        assert loaded.skipped == [f"{tmp_path / 'below'} is a link to a folder: name it to have it read"]
        assert names(loaded) == ["good"]

    def test_a_file_that_is_named_twice_is_read_once_for_each_side(self, tmp_path: Path) -> None:
        file = tmp_path / "a.yaml"
        file.write_text(GOOD)
        (tmp_path / "b.yaml").symlink_to(file)
        loaded = load((str(file), str(tmp_path)), (str(file),))
        assert [(kube.name, kube.side) for kube in loaded.objects] == [("good", Side.FILE), ("good", Side.LIVE)]
        assert loaded.skipped == [
            f"{tmp_path / name} was given before: it is read once" for name in ("a.yaml", "b.yaml")
        ]
        assert loaded.errors == []


class TestOutcome:
    @pytest.mark.parametrize(
        "text",
        [
            "NAME   READY\nskills 1/1\n",
            "Name: skills\nNamespace: dev\n",
            "replicas: 1\n",
            "[1, 2]",
            '"x"',
            "# nothing\n",
        ],
        ids=["table", "describe", "values", "numbers", "string", "comment"],
    )
    def test_a_text_without_any_object_was_not_read(self, text: str) -> None:
        assert run(Options(("-",)), io.BytesIO(text.encode()))[0] is Outcome.USAGE

    @pytest.mark.parametrize("text", [GOOD, '{"kind": "List", "items": []}', "[]", f"replicas: 1\n---\n{GOOD}"])
    def test_an_object_and_a_list_that_says_there_is_none_were(self, text: str) -> None:
        assert run(Options(("-",)), io.BytesIO(text.encode()))[0] is Outcome.OK

    def test_equal_keys_are_found_in_any_mapping(self) -> None:
        assert run(Options(("-",)), io.BytesIO(b"replicas: 1\nreplicas: 2\n"))[0] is Outcome.FINDINGS


class TestHostileInput:
    def test_a_broken_document_leaves_the_others_readable(self) -> None:
        loaded = read(f"{GOOD}---\nkind: [\n---\n{GOOD}")
        assert names(loaded) == ["good", "good"]
        assert reasons(loaded)[0].startswith("5: not YAML")

    def test_broken_json_says_where(self) -> None:
        assert reasons(read('{"kind": "A",\n "metadata": {"name" \n}'))[0].startswith("3: not JSON")

    @pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "{a: " * 100_000, "? " * 100_000])
    def test_deep_nesting_is_refused_with_its_place(self, text: str) -> None:
        (reason,) = reasons(read(f"kind: A\nx:\n  {text}"))
        assert reason.startswith("3: ")

    def test_deep_nesting_in_json_is_refused(self) -> None:
        loaded = read('{"kind":"A","x":' + "[" * 200_000 + "]" * 200_000 + "}")
        assert names(loaded) == []
        assert "nested" in reasons(loaded)[0]

    def test_a_depth_below_the_limit_is_read(self) -> None:
        assert names(read(GOOD + "x: " + "[" * (MAX_DEPTH - 2) + "]" * (MAX_DEPTH - 2) + "\n")) == ["good"]

    def test_lists_in_lists_in_lists_end(self) -> None:
        node: object = {"kind": "A", "metadata": {"name": "deep"}}
        for _ in range(90):
            node = {"kind": "List", "items": [node]}
        loaded = read(json.dumps(node))
        assert names(loaded) == []
        assert len(loaded.skipped) == 1

    def test_an_alias_bomb_is_refused_and_the_rest_read(self) -> None:
        bomb = "kind: A\na0: &a0 [x]\n" + "".join(
            f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
        )
        loaded = read(f"{bomb}---\n{GOOD}")
        assert names(loaded) == ["good"]
        assert "alias bomb" in reasons(loaded)[0]

    def test_a_wide_alias_bomb_is_refused(self) -> None:
        wide = "kind: A\na: &a [" + "x, " * 5000 + "]\nb: [" + "*a, " * 5000 + "]\n"
        assert "alias bomb" in reasons(read(wide))[0]

    def test_an_alias_of_itself_is_refused(self) -> None:
        assert "alias is inside" in reasons(read("kind: A\na: &a [*a]\n"))[0]

    def test_a_bomb_of_empty_values_is_refused(self) -> None:
        assert "alias bomb" in reasons(read("kind: A\na: &a {}\nb: [" + "*a, " * 200_001 + "]\n"))[0]

    def test_an_anchor_that_is_set_again_marks_the_later_value(self) -> None:
        (obj,) = read("kind: A\nmetadata:\n  name: &a x\n  namespace: &a dev\n  uid: *a\n").objects
        assert (obj.name, obj.namespace, obj.uid) == ("x", "dev", "dev")

    @pytest.mark.parametrize("content", [b"\x00\x01\x02" * 100, b"\x7fELF" + bytes(1000), bytes(range(256)) * 10])
    def test_binary_is_refused_in_a_clear_line(self, content: bytes) -> None:
        (reason,) = reasons(read(content))
        assert "binary" in reason

    def test_text_that_is_not_utf_8_is_refused_with_its_line(self) -> None:
        assert reasons(read(b"kind: A\nname: caf\xe9\n")) == ["2: not UTF-8 text: byte 0xe9"]

    def test_control_characters_are_refused_with_their_line(self) -> None:
        assert reasons(read("kind: A\nname: \x07\n"))[0].startswith(("1: ", "2: "))

    def test_input_above_the_limit_is_refused_not_swallowed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reader, "MAX_JSON", 1024 * 1024)
        assert "larger than 1 MiB" in reasons(read(b"#" * (1024 * 1024 + 1)))[0]

    @pytest.mark.parametrize("content", ["a: 1\n" * 600, "---\na: 1\n" * 600, "b: {" + "a: 1, " * 600 + "}"])
    def test_yaml_of_too_many_values_is_refused_once(self, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
        monkeypatch.setattr(yaml_text, "MAX_NODES", 1000)
        (reason,) = reasons(read(content))
        assert "YAML of more than 1,000 values: give it as JSON" in reason

    def test_yaml_of_100_mb_is_refused_in_a_clear_line(self) -> None:
        loaded = read(b"kind: A\nx: abcdefghij\n---\n" * 4_000_000)
        assert "give it as JSON" in reasons(loaded)[0]

    def test_endless_digits_are_a_text(self) -> None:
        assert names(read(f"{GOOD}x: {'9' * 10_000}\n")) == ["good"]
        loaded = read('{"kind": "A", "metadata": {"name": "a"}, "x": ' + "9" * 10_000 + "}")
        assert (names(loaded), reasons(loaded)) == (["a"], [])

    def test_equal_keys_in_json_are_found(self) -> None:
        loaded = read('{"kind": "A", "metadata": {"name": "a", "name": "b"}}')
        assert [key.path for key, _, _ in loaded.duplicate_keys] == [("name",)]
        assert names(loaded) == ["b"]

    def test_equal_keys_are_found_with_their_way_and_both_lines(self) -> None:
        loaded = read("kind: A\nspec:\n  list:\n  - x: 1\n    y: 2\n    x: 3\n")
        ((key, _, holder),) = loaded.duplicate_keys
        assert (key.path, key.first, key.last) == (
            ("spec", "list", 0, "x"),
            4,
            6,
        )
        assert holder is loaded.objects[0]


def test_the_inventory_of_nothing_has_nothing() -> None:
    assert not ObjectIndex((), "/app/skills").guarded


def test_the_recursion_limit_is_left_as_it_was() -> None:
    before = sys.getrecursionlimit()
    read("[" * 10_000)
    assert sys.getrecursionlimit() == before

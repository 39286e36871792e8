"""The admission policies, offline: their parameters, labels and containers agree with the rest of the project."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from guard import __version__
from guard.doctor.rules.guard_presence import PARAMETERS
from guard.settings import MODELS, fields

REPOSITORY = Path(__file__).parents[2]
POLICY = REPOSITORY / "k8s" / "policy"
COMPONENT = REPOSITORY / "k8s" / "kustomize" / "component" / "containers.yaml"

Object = dict[str, Any]


def _every() -> list[Object]:
    paths = [path for path in sorted(POLICY.rglob("*.yaml")) if path.name != "kustomization.yaml"]
    return [one for path in paths for one in yaml.safe_load_all(path.read_text())]


def _of(kind: str) -> dict[str, Object]:
    return {one["metadata"]["name"]: one for one in _every() if one["kind"] == kind}


def _expressions(node: Any) -> Iterator[str]:
    """Every expression of an object, messages too."""
    if isinstance(node, list):
        for one in node:
            yield from _expressions(one)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key.lower().endswith("expression") and isinstance(value, str):
                yield value
            else:
                yield from _expressions(value)


def _all_expressions() -> str:
    return "\n".join(_expressions(_every()))


def _known_keys() -> set[str]:
    """The keys that volume-guard-keep-parameters lets parameters have."""
    variables = _of("ValidatingAdmissionPolicy")["volume-guard-keep-parameters"]["spec"]["variables"]
    (known,) = [one["expression"] for one in variables if one["name"] == "known"]
    return set(re.findall(r"'(\w+)'", known))


def test_every_parameter_that_a_policy_reads_is_known_to_the_one_that_checks_parameters() -> None:
    read = set(re.findall(r"(?:variables\.setting|data)\[\?'(\w+)'\]", _all_expressions()))
    read |= set(re.findall(r"(?:variables\.setting|params\.data)\.(\w+)(?![\w(])", _all_expressions()))
    assert read >= {"application", "containers", "claim", "path", "volume"}
    settings = {name for model in MODELS.values() for name in fields(model)}
    assert read <= _known_keys() | settings


def test_every_known_parameter_is_explained_to_people() -> None:
    cells = re.findall(r"^\| (`.+?`)(?: and others)? \|", (POLICY / "README.md").read_text(), re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(cells))) >= _known_keys()


def test_the_example_s_parameters_are_known_and_have_the_names_of_the_component_s() -> None:
    (example,) = _of("ConfigMap").values()
    component = yaml.safe_load((REPOSITORY / "k8s" / "kustomize" / "base" / "guard.yaml").read_text())
    assert set(example["data"]) <= _known_keys()
    both = set(example["data"]) & set(component)
    assert both >= {"volume", "path", "kinds", "enforce", "user", "group"}
    assert {key: example["data"][key] for key in both} == {key: str(component[key]) for key in both}


def test_every_label_and_annotation_that_a_policy_looks_for_is_explained_to_people() -> None:
    looked_for = set(re.findall(r"'(volume-guard/[\w-]+)'", _all_expressions()))
    readme = (POLICY / "README.md").read_text()
    assert looked_for == {
        "volume-guard/break-glass",
        "volume-guard/delete",
        "volume-guard/inject",
        "volume-guard/parameters",
        "volume-guard/protected",
    }
    assert [name for name in looked_for if name not in readme] == []


def test_every_binding_names_a_policy_and_finds_parameters_by_the_label_that_the_example_and_the_doctor_use() -> None:
    policies = {**_of("ValidatingAdmissionPolicy"), **_of("MutatingAdmissionPolicy")}
    bindings = {**_of("ValidatingAdmissionPolicyBinding"), **_of("MutatingAdmissionPolicyBinding")}
    (example,) = _of("ConfigMap").values()
    assert {binding["spec"]["policyName"] for binding in bindings.values()} == set(policies)
    for name, binding in bindings.items():
        assert name.startswith(binding["spec"]["policyName"])
        selector = binding["spec"].get("paramRef", {}).get("selector")
        if selector:
            assert selector == {"matchLabels": {PARAMETERS: "true"}}, name
    assert example["metadata"]["labels"] == {PARAMETERS: "true"}


def test_every_policy_that_refuses_but_the_one_about_namespaces_holds_only_in_protected_namespaces() -> None:
    bindings = {**_of("ValidatingAdmissionPolicyBinding"), **_of("MutatingAdmissionPolicyBinding")}
    everywhere = []
    for name, binding in bindings.items():
        if binding["spec"].get("validationActions") == ["Warn", "Audit"]:
            continue
        selector = binding["spec"].get("matchResources", {}).get("namespaceSelector")
        if selector != {"matchLabels": {"volume-guard/protected": "true"}}:
            everywhere.append(name)
    # That one reads the label of the namespace itself.
    assert everywhere == ["volume-guard-keep-namespace"]


def test_every_policy_fails_closed_but_the_one_that_only_warns() -> None:
    policies = {**_of("ValidatingAdmissionPolicy"), **_of("MutatingAdmissionPolicy")}
    open_ones = [name for name, policy in policies.items() if policy["spec"]["failurePolicy"] != "Fail"]
    assert open_ones == ["volume-guard-reclaim"]


def test_parameters_that_are_not_there_hold_up_nothing_since_a_label_needs_none() -> None:
    bindings = {**_of("ValidatingAdmissionPolicyBinding"), **_of("MutatingAdmissionPolicyBinding")}
    references = [one["spec"]["paramRef"] for one in bindings.values() if "paramRef" in one["spec"]]
    assert len(references) >= 4
    assert {one["parameterNotFoundAction"] for one in references} == {"Allow"}


def test_a_patch_s_value_is_never_a_list_of_objects() -> None:
    # API servers 1.36.0 to 1.36.4 panic on one.
    for policy in _of("MutatingAdmissionPolicy").values():
        for mutation in policy["spec"]["mutations"]:
            assert re.findall(r"value:\s*\[\s*Object", mutation["jsonPatch"]["expression"]) == []


def test_what_is_injected_and_asked_for_is_of_this_version() -> None:
    images = re.findall(r"'([^'\s]+/volume-guard:[^'\s]+)'", _all_expressions())
    assert images == [f"ghcr.io/uengine-oss/volume-guard:{__version__}"] * 2
    component = yaml.safe_load(COMPONENT.read_text())["spec"]["template"]["spec"]["initContainers"]
    assert {container["image"] for container in component} == set(images)


def test_the_containers_that_the_policies_name_are_the_component_s() -> None:
    component = yaml.safe_load(COMPONENT.read_text())["spec"]["template"]["spec"]["initContainers"]
    named = set(re.findall(r"'(volume-guard-(?:gate|watch))'", _all_expressions()))
    assert named == {container["name"] for container in component}

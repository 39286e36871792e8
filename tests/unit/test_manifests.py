"""k8s/ and the Dockerfiles, offline: strictly valid, the plain files equal to the rendered base, and clean of lint."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from guard import __version__
from tests import chart

REPOSITORY = Path(__file__).parents[2]
MANIFESTS = REPOSITORY / "k8s"
OVERLAYS = MANIFESTS / "kustomize" / "overlays"
PLAIN = sorted(MANIFESTS.glob("*.yaml"))
EXAMPLES = MANIFESTS / "kustomize" / "examples"
#: Everything that is applied as it stands: all but what kustomize and helm assemble, and the custom resources of the
#: monitoring, which tests/monitoring holds to their own schemas.
ELSEWHERE = {MANIFESTS / "kustomize", MANIFESTS / "helm", MANIFESTS / "monitoring"}
APPLIED = sorted(
    path
    for path in MANIFESTS.rglob("*.yaml")
    if ELSEWHERE.isdisjoint(path.parents) and path.name != "kustomization.yaml"
)
RENDERED = [
    MANIFESTS / "kustomize" / "base",
    *sorted(OVERLAYS.iterdir()),
    *sorted(EXAMPLES.iterdir()),
    *sorted(path.parent for path in (MANIFESTS / "policy").rglob("kustomization.yaml")),
]
#: Native sidecars are on by default from 1.29; the newest is what the validator ships.
VERSIONS = ("1.29", kubernetes_validate.latest_version())
#: Kinds that came later, with their first version.
SINCE = {
    "ValidatingAdmissionPolicy": "1.30",
    "ValidatingAdmissionPolicyBinding": "1.30",
    "MutatingAdmissionPolicy": "1.36",
    "MutatingAdmissionPolicyBinding": "1.36",
}
#: A chart's templates are no YAML yet, and its made files have kustomize's style.
YAMLLINT = {
    "extends": "default",
    "rules": {"line-length": {"max": 120}},
    "ignore": ["**/templates/*.yaml", "**/helm/*/files/**"],
}

Object = dict[str, Any]


def _objects(text: str) -> list[Object]:
    return [loaded for loaded in yaml.safe_load_all(text) if loaded is not None]


def _render(folder: Path) -> list[Object]:
    try:
        done = chart.render(folder)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "kustomize warns"
    return _objects(done.stdout)


def _by_identity(objects: list[Object]) -> dict[tuple[str, str], Object]:
    return {(one["kind"], one["metadata"]["name"]): one for one in objects}


def _guards(objects: list[Object]) -> list[Object]:
    """Every container of the guard."""
    templates = [one["spec"]["template"]["spec"] for one in objects if "template" in one.get("spec", {})]
    containers = [one for spec in templates for one in [*spec.get("initContainers", []), *spec["containers"]]]
    return [one for one in containers if "/volume-guard:" in one["image"]]


def _validate(one: Object, version: str) -> None:
    since = SINCE.get(one["kind"], version)
    kubernetes_validate.validate(one, max(version, since, key=_numbers), strict=True)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", APPLIED, ids=lambda path: str(path.relative_to(MANIFESTS)))
def test_a_manifest_is_strictly_valid(path: Path, version: str) -> None:
    for one in _objects(path.read_text()):
        if one["apiVersion"].startswith(("snapshot.storage.k8s.io/", "volsync.backube/")):
            continue  # not of Kubernetes itself: test_backup_manifests holds the first to its own schema
        _validate(one, version)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", RENDERED, ids=lambda folder: folder.name)
def test_a_rendered_kustomization_is_strictly_valid(folder: Path, version: str) -> None:
    rendered = _render(folder)
    assert rendered
    for one in rendered:
        _validate(one, version)


@pytest.mark.parametrize(("step", "actions"), [("warn", ["Warn", "Audit"]), ("deny", ["Deny", "Audit"])])
def test_each_step_of_the_policies_binds_each_to_its_own_actions(step: str, actions: list[str]) -> None:
    rendered = _by_identity(_render(MANIFESTS / "policy" / "require" / step))
    kind = "ValidatingAdmissionPolicy"
    bindings = {name: one["spec"] for (one_kind, name), one in rendered.items() if one_kind == f"{kind}Binding"}
    # kustomize rewrites names that it takes for references: each binding must still mean the policy of its name.
    assert {name: (spec["policyName"], spec["validationActions"]) for name, spec in bindings.items()} == {
        "volume-guard-require": ("volume-guard-require", actions),
        "volume-guard-tolerate": ("volume-guard-tolerate", ["Warn", "Audit"]),
    }
    conditions = {name: rendered[kind, name]["spec"]["matchConditions"] for name in bindings}
    strict, lenient = conditions.values()
    assert strict[0] == lenient[0]
    assert (strict[1]["name"], lenient[1]["name"]) == ("of-a-new-pod-spec", "of-an-old-pod-spec-or-with-break-glass")
    same = ("paramKind", "matchConstraints", "variables", "validations")
    specs = [rendered[kind, name]["spec"] for name in bindings]
    assert {key: specs[0][key] for key in same} == {key: specs[1][key] for key in same}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_misspelt_field_is_not_valid(version: str) -> None:
    (deployment,) = _objects((MANIFESTS / "deployment.yaml").read_text())
    deployment["spec"]["template"]["spec"]["initContainers"][1]["restartpolicy"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, version, strict=True)


def test_the_plain_files_are_the_rendered_base() -> None:
    plain = [one for path in PLAIN for one in _objects(path.read_text())]
    assert _by_identity(plain) == _by_identity(_render(MANIFESTS / "kustomize" / "base"))


def _write_guarded(folder: Path, workload: Object, parameters: Object, component: str = "") -> None:
    """Writes a kustomization of a workload with the component."""
    component = component or os.path.relpath(MANIFESTS / "kustomize" / "component", folder)
    (folder / "parameters.json").write_text(json.dumps(parameters))
    (folder / "workload.json").write_text(json.dumps(workload))
    kustomization = {"resources": ["parameters.json", "workload.json"], "components": [component]}
    (folder / "kustomization.yaml").write_text(json.dumps(kustomization))


def _workload(kind: str, name: str, *own: Object) -> Object:
    """A workload with init containers of its own."""
    pod = {"initContainers": list(own), "containers": [{"name": "app", "image": "app:1"}]}
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


def _parameters(**values: object) -> Object:
    """The base's parameters with other values."""
    (parameters,) = _objects((MANIFESTS / "kustomize" / "base" / "guard.yaml").read_text())
    return parameters | values


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_the_component_puts_gate_and_watcher_before_a_workload_s_own_init_containers(kind: str, tmp_path: Path) -> None:
    parameters = _parameters(volume="orders", path="/var/lib/orders", podVolume="data", user=1000, nonRoot=True)
    own = {"name": "own", "image": "own:1"}
    _write_guarded(tmp_path, _workload(kind, "orders", own), parameters)

    (rendered,) = _render(tmp_path)

    first, second, last = rendered["spec"]["template"]["spec"]["initContainers"]
    assert [first["name"], second["name"], last] == ["volume-guard-gate", "volume-guard-watch", own]
    for container in (first, second):
        settings = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert (settings["GUARD_VOLUME"], settings["GUARD_PATH"]) == ("orders", "/var/lib/orders")
        assert container["volumeMounts"] == [{"name": "data", "mountPath": "/var/lib/orders"}]
        assert container["securityContext"]["runAsUser"] == 1000
        assert container["securityContext"]["runAsNonRoot"] is True


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the component in a git repository, in the form that kustomize reads from other servers too."""
    repository = tmp_path_factory.mktemp("remote")
    shutil.copytree(MANIFESTS / "kustomize", repository / "k8s" / "kustomize")
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    for words in (("init", "--quiet"), ("add", "."), (*identity, "commit", "--quiet", "-m", "all"), ("tag", "v1")):
        _run("git", "-C", repository, *words)
    return f"file://{repository}//k8s/kustomize/component?ref=v1"


def test_the_component_from_a_git_address_is_the_local_one(remote: str, tmp_path: Path) -> None:
    workload, parameters = _workload("Deployment", "orders"), _parameters(podVolume="data")
    (tmp_path / "remote").mkdir()
    _write_guarded(tmp_path / "remote", workload, parameters, remote)
    _write_guarded(tmp_path, workload, parameters)

    (rendered,) = _render(tmp_path / "remote")

    assert rendered == _render(tmp_path)[0]
    assert rendered["spec"]["strategy"] == {"type": "Recreate"}
    assert rendered["spec"]["template"]["spec"]["initContainers"][0]["volumeMounts"][0]["name"] == "data"


@pytest.mark.parametrize("left_out", ["volume", "path", "podVolume", "strategy"])
def test_the_component_refuses_parameters_that_lack_what_only_the_application_knows(
    left_out: str, remote: str, tmp_path: Path
) -> None:
    parameters = {key: value for key, value in _parameters().items() if key != left_out}
    _write_guarded(tmp_path, _workload("Deployment", "orders"), parameters, remote)
    if chart.program("kubectl") is None:
        pytest.skip("no kubectl to render with")
    done = chart.render(tmp_path)
    assert done.returncode != 0
    assert f"fieldPath `{left_out}` is missing for replacement source Parameters" in done.stderr


def test_two_guarded_applications_are_one_kustomization_where_their_parameters_have_names_of_their_own(
    tmp_path: Path,
) -> None:
    names = ["orders", "letters"]
    for name in names:
        (tmp_path / name).mkdir()
        parameters = _parameters(volume=name, metadata={**_parameters()["metadata"], "name": f"guard-of-{name}"})
        _write_guarded(tmp_path / name, _workload("Deployment", name), parameters)
    (tmp_path / "kustomization.yaml").write_text(json.dumps({"resources": names}))

    rendered = _by_identity(_render(tmp_path))

    assert set(rendered) == {("Deployment", name) for name in names}
    for (_, name), deployment in rendered.items():
        for container in deployment["spec"]["template"]["spec"]["initContainers"]:
            settings = {entry["name"]: entry.get("value") for entry in container["env"]}
            assert settings["GUARD_VOLUME"] == name


@pytest.mark.parametrize("path", APPLIED, ids=lambda path: str(path.relative_to(MANIFESTS)))
def test_the_guard_s_containers_are_of_this_version_and_have_no_privilege(path: Path) -> None:
    for container in _guards(_objects(path.read_text())):
        assert container["image"].endswith(f"/volume-guard:{__version__}")
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert "cpu" not in container["resources"]["limits"]


def test_the_application_and_the_guard_see_the_same_volume_at_the_same_path() -> None:
    (deployment,) = _objects((MANIFESTS / "deployment.yaml").read_text())
    pod = deployment["spec"]["template"]["spec"]
    gate, watcher = pod["initContainers"]
    (application,) = pod["containers"]
    assert gate["volumeMounts"] == watcher["volumeMounts"] == application["volumeMounts"]
    assert application["volumeMounts"] == [{"name": "skills-storage", "mountPath": "/app/skills"}]
    assert {"name": "SKILLS_STORAGE_PATH", "value": "/app/skills"} in application["env"]
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("folder", sorted(EXAMPLES.iterdir()), ids=lambda folder: folder.name)
def test_an_example_runs_on_any_cluster_as_the_application_s_own_user(folder: Path) -> None:
    rendered = _render(folder)
    (workload,) = [one for one in rendered if one["kind"] in {"Deployment", "StatefulSet"}]
    pod = workload["spec"]["template"]["spec"]
    (application,) = pod["containers"]
    claims = [one["spec"] for one in rendered if one["kind"] == "PersistentVolumeClaim"]
    claims += [one["spec"] for one in workload["spec"].get("volumeClaimTemplates", [])]
    assert len(claims) == 1
    assert "storageClassName" not in claims[0]
    for container in pod["initContainers"]:
        settings = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert "node-disk" in settings["GUARD_KINDS"].split(",")
        assert container["volumeMounts"] == application["volumeMounts"][:1]
        security = pod["securityContext"]
        assert container["securityContext"]["runAsUser"] == security["runAsUser"] == security["fsGroup"]


def test_yamllint_is_content_with_every_yaml_file() -> None:
    folders = [MANIFESTS, *(REPOSITORY / name for name in ("tests/cluster", "examples", ".github", "action.yml"))]
    _run(sys.executable, "-m", "yamllint", "--strict", "--config-data", json.dumps(YAMLLINT), *folders)


def test_hadolint_is_content_with_every_dockerfile() -> None:
    dockerfiles = [REPOSITORY / "Dockerfile", MANIFESTS / "backup" / "Dockerfile"]
    for folder in (REPOSITORY / "tests" / "cluster", REPOSITORY / "examples"):
        dockerfiles += sorted(folder.rglob("*Dockerfile"))
    assert len(dockerfiles) > 2
    _run(Path(sys.executable).with_name("hadolint"), "--failure-threshold", "style", *dockerfiles)


def _run(*argv: str | Path) -> None:
    done = subprocess.run([str(word) for word in argv], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

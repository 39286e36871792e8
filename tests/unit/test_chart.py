"""The Helm chart, offline: its files are made from the plain ones, and it renders what those are."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from guard import __version__
from tests import chart

#: Somebody's chart, and values for such.
SOMEBODYS = Path(__file__).parents[1] / "cluster" / "chart"
EXAMPLES = chart.MANIFESTS / "helm" / "examples"
PERSISTENT = {"persistence": {"enabled": True}}

Object = dict[str, Any]
EXAMPLE = {
    "name": "claude-skills",
    "namespace": "dev",
    "labels": {"app": "claude-skills"},
    "containers": ["claude-skills"],
    "claim": "claude-skills-storage",
    "path": "/app/skills",
    "inject": False,
    "volume": "claude-skills-dev",
    "kinds": "block,network,fuse",
    "enforce": True,
    "user": 0,
    "group": 0,
}
MONITORING = {"operator": {"enabled": True}, "google": {"enabled": True}, "dashboard": {"enabled": True}}


def _objects(text: str) -> list[Object]:
    return [loaded for loaded in yaml.safe_load_all(text) if loaded is not None]


def _read(*paths: Path) -> list[Object]:
    return [one for path in paths for one in _objects(path.read_text())]


def _kustomized(folder: Path) -> list[Object]:
    try:
        return _objects(chart.render(folder).stdout)
    except FileNotFoundError as error:
        pytest.skip(str(error))


def _helm(
    *words: str | Path, values: Object | None = None, kubernetes: str = "1.36", plugins: Path | None = None
) -> subprocess.CompletedProcess[str]:
    helm = chart.program("helm")
    if helm is None:
        pytest.skip("no helm: neither on PATH nor built by `python -m tests.cluster.kubernetes helm`")
    return subprocess.run(
        [helm, *words, "--values=-", f"--kube-version={kubernetes}"],
        check=False, capture_output=True, text=True, input=json.dumps(values or {}),
        env={**os.environ, "HELM_PLUGINS": str(plugins or "")},
    )  # fmt: skip


def _rendered(values: Object | None = None) -> list[Object]:
    """What the chart gives, without its test."""
    done = _helm("template", "release", chart.CHART, "--namespace=monitoring", "--skip-tests", values=values)
    assert done.returncode == 0, done.stderr
    return _objects(done.stdout)


def _by_identity(objects: list[Object]) -> dict[tuple[str, str], Object]:
    return {(one["kind"], one["metadata"]["name"]): _folded(one) for one in objects}


def _folded(node: Any) -> Any:
    """The same with each run of white space as one blank: kustomize adds empty lines to folded expressions."""
    if isinstance(node, dict):
        return {key: _folded(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_folded(one) for one in node]
    return " ".join(node.split()) if isinstance(node, str) else node


def test_the_made_files_of_the_chart_are_what_they_are_made_from() -> None:
    try:
        made = chart.files()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert {path for path in (chart.CHART / "files").rglob("*") if path.is_file()} == set(made)
    for path, text in made.items():
        assert path.read_text() == text, "run: python -m tests.chart"


def test_the_chart_is_of_this_version() -> None:
    (about,) = _read(chart.CHART / "Chart.yaml")
    assert (about["version"], about["appVersion"]) == (__version__, __version__)


@pytest.mark.parametrize(
    ("require", "folder"), [("warn", chart.POLICY), ("deny", chart.POLICY / "require" / "deny")], ids=["warn", "deny"]
)
def test_the_chart_without_values_is_the_plain_policies(require: str, folder: Path) -> None:
    rest = {} if require == "warn" else {"inject": {"enabled": False}, "keep": {"enabled": False}}
    ours, theirs = _rendered({"require": require, **rest}), _kustomized(folder)
    assert len(ours) == len(theirs) > 0
    assert _by_identity(ours) == _by_identity(theirs)


def test_an_application_of_the_values_is_the_plain_parameters() -> None:
    everything_off = {"require": "off", "inject": {"enabled": False}, "keep": {"enabled": False}}
    (ours,) = _rendered({**everything_off, "applications": [EXAMPLE]})
    (theirs,) = _read(chart.POLICY / "parameters.yaml")
    assert ours["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert ours == theirs


def test_the_values_reach_the_injected_containers() -> None:
    values = {
        "image": {"repository": "registry.local:5000/guard", "digest": f"sha256:{'0' * 64}"},
        "inject": {"kinds": "block,node-disk"},
        "applications": [{**EXAMPLE, "user": 1000650000, "settings": {"GUARD_MAX_LOSS": "0.9"}}],
    }
    rendered = {(one["kind"], one["metadata"]["name"]): one for one in _rendered(values)}
    policies = {name: json.dumps(one) for (kind, name), one in rendered.items() if kind.endswith("Policy")}
    for name in ("volume-guard-inject", "volume-guard-require"):
        assert f"registry.local:5000/guard@sha256:{'0' * 64}'" in policies[name]
    assert not [name for name, policy in policies.items() if "ghcr.io" in policy]
    assert "'kinds': 'block,node-disk'" in policies["volume-guard-inject"]
    data = rendered["ConfigMap", "volume-guard-claude-skills"]["data"]
    assert (data["user"], data["GUARD_MAX_LOSS"]) == ("1000650000", "0.9")


def test_the_monitoring_of_the_chart_is_the_plain_one_for_all_namespaces() -> None:
    rest = {"require": "off", "inject": {"enabled": False}, "keep": {"enabled": False}}
    ours = {one["kind"]: one for one in _rendered({**rest, "monitoring": MONITORING})}
    folder = chart.MONITORING
    theirs = {one["kind"]: one for one in _read(*folder.glob("operator/*.yaml"), *folder.glob("google/*.yaml"))}

    assert ours["ClusterRules"] == theirs["ClusterRules"]
    for kind in ("PodMonitor", "PrometheusRule"):
        theirs[kind]["metadata"]["namespace"] = "monitoring"
    assert ours["PrometheusRule"] == theirs["PrometheusRule"]
    assert ours["PodMonitor"]["spec"].pop("namespaceSelector") == {"any": True}
    assert ours["PodMonitor"] == theirs["PodMonitor"]
    assert ours["ClusterPodMonitoring"]["spec"]["targetLabels"]["metadata"] == ["container", "pod", "namespace"]
    assert ours["ClusterPodMonitoring"]["spec"]["endpoints"] == theirs["PodMonitoring"]["spec"]["endpoints"]
    dashboard = (folder / "grafana" / "volume-guard.json").read_text()
    assert json.loads(ours["ConfigMap"]["data"]["volume-guard.json"]) == json.loads(dashboard)


def test_helm_lint_is_content_with_the_chart() -> None:
    done = _helm("lint", chart.CHART, "--strict", values={"applications": [EXAMPLE], "monitoring": MONITORING})
    assert done.returncode == 0, done.stdout + done.stderr


def test_injection_is_refused_where_the_cluster_has_none() -> None:
    done = _helm("template", "release", chart.CHART, kubernetes="1.35")
    assert done.returncode != 0
    assert "inject needs Kubernetes 1.36" in done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        {"require": "yes"},
        {"injct": {}},
        {"inject": {"kinds": "disk"}},
        {"image": {"repository": "ghcr.io/a'b"}},
        {"applications": [{**EXAMPLE, "path": "skills"}]},
        {"applications": [{**EXAMPLE, "claimTemplate": "data"}]},
        {"applications": [{key: value for key, value in EXAMPLE.items() if key != "claim"}]},
        {"applications": [{key: value for key, value in {**EXAMPLE, "inject": True}.items() if key != "volume"}]},
        {"applications": [{**EXAMPLE, "user": "root"}]},
        {"applications": [{**EXAMPLE, "settings": {"MAX_LOSS": "0.9"}}]},
    ],
    ids=lambda wrong: json.dumps(wrong)[:40],
)
def test_the_schema_refuses_values_that_could_not_be_meant(wrong: Object) -> None:
    schema = json.loads((chart.CHART / "values.schema.json").read_text())
    values = yaml.safe_load((chart.CHART / "values.yaml").read_text())
    jsonschema.validate({**values, "applications": [EXAMPLE]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**values, **wrong}, schema)


def _workload(done: subprocess.CompletedProcess[str]) -> Object:
    assert done.returncode == 0, done.stderr
    (workload,) = [one for one in _objects(done.stdout) if one["kind"] == "Deployment"]
    return workload


@pytest.fixture
def post_rendered(tmp_path: Path) -> Object:
    """The workload of somebody's chart after the post-renderer, which writes beside the files that it reads."""
    if chart.program("kubectl") is None:
        pytest.skip("no kubectl for the post-renderer")
    for name in ("helm", "kustomize"):
        shutil.copytree(chart.MANIFESTS / name, tmp_path / name)
    folder = tmp_path / "helm" / "examples" / "kustomize"
    renderer = ("--post-renderer=volume-guard", f"--post-renderer-args={folder}")
    done = _helm("template", "orders", SOMEBODYS, *renderer, values=PERSISTENT, plugins=tmp_path / "helm")
    assert sorted(path.name for path in folder.iterdir()) == ["guard.yaml", "kustomization.yaml"]
    return _workload(done)


def test_the_post_renderer_adds_to_somebody_s_chart_what_the_component_adds(post_rendered: Object) -> None:
    pod = post_rendered["spec"]["template"]["spec"]
    gate, watcher = pod["initContainers"]
    assert (gate["name"], watcher["name"]) == ("volume-guard-gate", "volume-guard-watch")
    assert gate["volumeMounts"] == watcher["volumeMounts"] == pod["containers"][0]["volumeMounts"]
    assert post_rendered["spec"]["strategy"] == {"type": "Recreate"}


def test_the_example_s_containers_for_a_chart_s_values_are_the_component_s(post_rendered: Object) -> None:
    done = _helm("template", "orders", SOMEBODYS, f"--values={EXAMPLES}/containers.yaml")
    by_values = _workload(done)["spec"]["template"]["spec"]
    by_component = post_rendered["spec"]["template"]["spec"]
    for container in by_component["initContainers"]:
        # The default.
        container["env"] = [entry for entry in container["env"] if entry["name"] != "GUARD_ENFORCE"]
    assert by_values == by_component


def test_the_example_s_label_reaches_the_pods_of_a_chart() -> None:
    done = _helm("template", "orders", SOMEBODYS, f"--values={EXAMPLES}/label.yaml", values=PERSISTENT)
    assert _workload(done)["spec"]["template"]["metadata"]["labels"]["volume-guard/inject"] == "orders-data"


def test_the_post_renderer_and_the_remote_component_are_of_this_version() -> None:
    (plugin,) = _read(chart.MANIFESTS / "helm" / "post-renderer" / "plugin.yaml")
    assert plugin["version"] == __version__
    pages = [*chart.MANIFESTS.rglob("*.md"), *EXAMPLES.rglob("*.yaml")]
    references = [word for page in pages for word in re.findall(r"\?ref=v([\w.]+)", page.read_text())]
    assert references
    assert set(references) == {__version__}

"""Which containers are the guard's, and what they are told: by flag, by variable, or by a reference that only the cluster knows."""

from typing import Any

import pytest

from tests.unit.doctor.bodies import (
    CLAIM,
    PATH,
    Body,
    app,
    claim,
    deployment,
    env,
    findings,
    gate,
    made,
    mount,
    pod_spec,
    unknown,
    volume,
)

SCRATCH = [{"name": "skills", "emptyDir": {}}]
VOLUME = env(GUARD_VOLUME="v")


def with_gate(**more: Any) -> Body:
    return deployment(pod_spec(initContainers=[gate(**more)]))


def with_app(**more: Any) -> Body:
    """An application that brings the guard itself."""
    return deployment(pod_spec(initContainers=[], containers=[app(**more)]))


class TestReferences:
    def test_a_variable_in_a_variable_is_filled_in_as_the_kubelet_does(self) -> None:
        settings = env(ROOT="/app", GUARD_VOLUME="v", GUARD_PATH="$(ROOT)/skills")
        assert findings(with_gate(env=settings), claim()) == []
        assert findings(with_gate(env=env(ROOT="/srv", GUARD_VOLUME="v", GUARD_PATH="$(ROOT)/skills")), claim()) == [
            "VG503 claude-skills"
        ]
        assert findings(with_gate(args=["check", "--path=$(ROOT)/skills"], env=settings), claim()) == []

    @pytest.mark.parametrize(
        "more",
        [
            {"envFrom": [{"configMapRef": {"name": "guard"}}]},
            {"env": env(GUARD_VOLUME="v", GUARD_PATH="$(ROOT)/skills")},
            {
                "env": [
                    *VOLUME,
                    {"name": "GUARD_PATH", "valueFrom": {"configMapKeyRef": {"name": "guard", "key": "path"}}},
                ]
            },
            {"args": ["check", "--path", "$(ROOT)"]},
        ],
        ids=["envFrom", "unknown-variable", "valueFrom", "flag"],
    )
    def test_a_path_that_only_the_cluster_knows_is_not_judged(self, more: Body) -> None:
        there = [mount("/data/skills")]
        right = {"containers": [app(volumeMounts=there)], "initContainers": [gate(volumeMounts=there, **more)]}
        assert findings(deployment(pod_spec(**right)), claim()) == []

    def test_a_variable_that_is_written_down_comes_before_those_from_elsewhere(self) -> None:
        settings = {"env": env(GUARD_VOLUME="v", GUARD_PATH="/data"), "envFrom": [{"configMapRef": {"name": "guard"}}]}
        assert findings(with_gate(**settings), claim()) == ["VG503 claude-skills"]

    def test_kinds_that_only_the_cluster_knows_leave_open_whether_an_emptydir_is_meant(self) -> None:
        told = gate(envFrom=[{"configMapRef": {"name": "guard"}}])
        given = deployment(pod_spec(initContainers=[told], volumes=SCRATCH))
        assert findings(given) == []
        assert "VG106" in unknown(given)

    def test_variables_that_double_each_other_stay_short(self) -> None:
        doubling = {f"A{number + 1}": f"$(A{number})$(A{number})" for number in range(64)}
        assert findings(with_gate(env=[*VOLUME, *env(A0="x", **doubling)]), claim()) == []


class TestKinds:
    def told(self, kinds: str, medium: str) -> list[str]:
        volumes = [{"name": "skills", "emptyDir": {"medium": medium}}]
        return findings(
            deployment(pod_spec(initContainers=[gate(env=[*VOLUME, *env(GUARD_KINDS=kinds)])], volumes=volumes))
        )

    def test_an_emptydir_in_memory_is_memory(self) -> None:
        assert self.told("memory", "Memory") == self.told("empty-dir", "") == self.told("any", "Memory") == []
        assert self.told("empty-dir", "Memory") == self.told("memory", "") == ["VG106 claude-skills"]


@pytest.mark.parametrize("word", ["0", "off", "f", "false", "n", "no", "False", "OFF"])
def test_every_word_that_the_gate_takes_for_false_makes_it_only_observe(word: str) -> None:
    assert findings(with_gate(env=env(GUARD_VOLUME="v", GUARD_ENFORCE=word)), claim()) == ["VG505 claude-skills"]


class TestVolumeNames:
    def two(self, first: Body, second: Body) -> list[str]:
        volumes = [volume(), volume("models", "models")]
        mounts = [mount(), mount("/models", "models")]
        return findings(
            deployment(pod_spec(initContainers=[first, second], containers=[app(volumeMounts=mounts)], volumes=volumes)),
            claim(), claim("models"),
        )  # fmt: skip

    def test_a_gate_for_each_volume_has_a_name_for_each(self) -> None:
        other = gate("b", env=env(GUARD_VOLUME="m", GUARD_PATH="/models"), volumeMounts=[mount("/models", "models")])
        assert self.two(gate(), other) == []

    def test_two_that_look_at_one_volume_have_one_name(self) -> None:
        assert self.two(gate(), gate("b", env=env(GUARD_VOLUME="m"))) == ["VG504 claude-skills"]

    def test_each_folder_of_a_claim_has_a_marker_of_its_own(self) -> None:
        parts = [mount(subPath="a"), mount("/models", subPath="b")]
        other = gate("b", env=env(GUARD_VOLUME="m", GUARD_PATH="/models"), volumeMounts=parts[1:])
        pod = pod_spec(initContainers=[gate(volumeMounts=parts[:1]), other], containers=[app(volumeMounts=parts)])
        assert findings(deployment(pod), claim()) == []


class TestApplicationsThatBringTheGuard:
    SCRIPTS = (
        "exec guard check -- python s.py",
        "set -e\n/opt/guard/bin/guard check && exec python s.py",
        'guard check --path "/app/skills" -- python s.py || exit 1',
        "set -e\nguard check\nexec python s.py",
        "if guard check --path $SKILLS; then exec python s.py; fi",
    )

    @pytest.mark.parametrize("script", SCRIPTS)
    @pytest.mark.parametrize("shell", [["sh", "-c"], ["/bin/bash", "-euo", "pipefail", "-c"]], ids=["sh", "bash"])
    def test_a_shell_that_starts_the_application_behind_the_guard_is_both(self, shell: list[str], script: str) -> None:
        own = {"command": [*shell, script], "env": VOLUME}
        assert findings(with_app(**own), claim()) == []
        scratch = deployment(pod_spec(initContainers=[], containers=[app(**own)], volumes=SCRATCH))
        assert findings(scratch) == ["VG106 claude-skills"]
        bare = deployment(pod_spec(initContainers=[], containers=[app(**own, volumeMounts=[])], volumes=[]))
        assert findings(bare) == ["VG101 claude-skills"]

    def test_a_script_that_only_speaks_of_the_guard_runs_the_application(self) -> None:
        own = {"command": ["sh", "-c", "echo run guard check first; exec python s.py"]}
        assert findings(with_app(**own), claim()) == ["VG501 claude-skills"]

    def test_an_image_that_may_start_with_the_guard_is_the_application(self) -> None:
        right = with_app(env=VOLUME)
        assert findings(right, claim()) == []
        assert "VG501" in unknown(right, claim())
        bare = deployment(pod_spec(initContainers=[], containers=[app(env=VOLUME, volumeMounts=[])], volumes=[]))
        assert findings(bare, made("Deployment", "web", {"template": {"spec": {"containers": [{"name": "a"}]}}})) == [
            "VG101 claude-skills"
        ]

    def test_its_own_check_needs_a_mount_too(self) -> None:
        own = {"command": ["guard", "check", "--", "python", "s.py"]}
        assert findings(with_app(**own, env=VOLUME), claim()) == []
        assert findings(with_app(**own, env=env(GUARD_VOLUME="v", GUARD_PATH="/data")), claim()) == [
            "VG503 claude-skills"
        ]


class TestShapes:
    def test_a_source_without_a_value_is_none(self) -> None:
        both = [{"name": "skills", "emptyDir": None, "persistentVolumeClaim": {"claimName": CLAIM}}]
        assert findings(deployment(pod_spec(volumes=both)), claim()) == []

    def test_a_relative_mount_path_starts_at_the_root(self) -> None:
        relative = [mount(PATH.removeprefix("/"))]
        pod = pod_spec(initContainers=[gate(volumeMounts=relative)], containers=[app(volumeMounts=relative)])
        assert findings(deployment(pod), claim()) == []

"""Where an application keeps its data: given, found, or only the default, and what each is worth."""

import io
import json

import pytest

from guard.doctor.command import Options, run
from tests.unit.doctor.bodies import (
    CLAIM,
    Body,
    app,
    as_file,
    bare,
    claim,
    deployment,
    env,
    gate,
    mount,
    pod_spec,
    volume,
)

NO_GUARD: Body = {"initContainers": []}


def judged(*bodies: Body, path: str = "") -> list[tuple[str, str]]:
    """Rule and severity of what is found about the path."""
    _, text = run(Options(("-",), output="json", path=path), io.BytesIO(json.dumps(bodies).encode()))
    found = json.loads(text)["findings"]
    return [(one["rule"], one["severity"]) for one in found if one["rule"] in {"VG101", "VG102", "VG106", "VG108"}]


def targets(*bodies: Body, path: str = "") -> dict[str, tuple[str, str]]:
    """Path and reason, by workload."""
    _, text = run(Options(("-",), output="json", path=path), io.BytesIO(json.dumps(bodies).encode()))
    return {one["subject"].rpartition("/")[2]: (one["path"], one["path_from"]) for one in json.loads(text)["checklist"]}


class TestGiven:
    def test_a_path_that_nobody_gave_is_not_a_fact(self) -> None:
        assert judged(deployment(bare())) == []

    def test_a_given_path_at_which_nothing_is_mounted_is_an_error(self) -> None:
        assert judged(deployment(bare()), path="/data") == [("VG101", "error")]

    def test_a_given_path_with_the_claim_elsewhere_is_an_error(self) -> None:
        assert judged(deployment(pod_spec(**NO_GUARD)), claim(), path="/srv/wiki") == [("VG102", "error")]

    def test_a_given_path_that_none_of_several_mounts_is_an_error(self) -> None:
        assert judged(deployment(bare()), deployment(bare(), "web"), path="/data") == [("VG101", "error")]


class TestFound:
    def test_the_guards_own_path_comes_first(self) -> None:
        there = [mount("/srv")]
        guard = gate(env=env(GUARD_VOLUME="v", GUARD_PATH="/srv"), volumeMounts=there)
        given = deployment(pod_spec(initContainers=[guard], containers=[app(volumeMounts=[*there, mount("/cache", "c")])],
                                    volumes=[volume(), volume("c", "c")]))  # fmt: skip
        assert targets(given, claim()) == {"claude-skills": ("/srv", "GUARD_PATH of container gate")}

    def test_the_label_that_asks_for_injection_guards_the_first_mount_of_the_only_claim(self) -> None:
        body = deployment(pod_spec(containers=[app(volumeMounts=[mount("/srv"), mount("/etc/x", "x")])], **NO_GUARD))
        body["spec"]["template"]["metadata"] = {"labels": {"volume-guard/inject": "skills-data"}}
        reason = "the mount of its claim, by the label volume-guard/inject"
        assert targets(body, claim()) == {"claude-skills": ("/srv", reason)}

    def test_the_only_claims_mountpath_is_the_path(self) -> None:
        given = deployment(pod_spec(containers=[app(volumeMounts=[mount("/srv")])], **NO_GUARD))
        assert targets(given, claim()) == {"claude-skills": ("/srv", "the mountPath of its only volume that lasts")}

    @pytest.mark.parametrize(
        ("more", "path"),
        [
            ({"env": env(DATA_DIR="/two/files")}, "/two/files"),
            ({"args": ["--data-dir=/two"]}, "/two"),
            ({"image": "postgres:16", "volumeMounts": [mount("/one"), mount("/var/lib/postgresql/data", "b")]},
             "/var/lib/postgresql/data"),
        ],
        ids=["variable", "argument", "image"],
    )  # fmt: skip
    def test_of_several_claims_the_one_that_a_setting_or_the_image_names_is_meant(self, more: Body, path: str) -> None:
        mounts = {"volumeMounts": [mount("/one"), mount("/two", "b")]}
        volumes = [volume("a"), volume("b", "b")]
        given = deployment(pod_spec(containers=[app(**{**mounts, **more})], volumes=volumes, **NO_GUARD))
        assert targets(given, claim("a"), claim("b"))["claude-skills"][0] == path

    def test_of_several_claims_the_one_that_a_configmap_names_is_meant(self) -> None:
        mounts = [mount("/one"), mount("/two", "b"), mount("/etc/app", "config")]
        volumes = [volume("a"), volume("b", "b"), {"name": "config", "configMap": {"name": "app"}}]
        given = deployment(pod_spec(containers=[app(volumeMounts=mounts)], volumes=volumes, **NO_GUARD))
        settings = {"kind": "ConfigMap", "metadata": {"name": "app", "namespace": "dev"}}
        told = {**settings, "data": {"app.yaml": "data_dir: /two/files"}}
        assert targets(given, claim("a"), claim("b"), told)["claude-skills"][0] == "/two/files"
        assert targets(given, claim("a"), claim("b"), settings)["claude-skills"][0] == "/one"

    def test_a_variable_alone_is_a_guess_and_gives_a_warning(self) -> None:
        assert judged(deployment(bare(containers=[app(volumeMounts=[], env=env(SKILLS_PATH="/x"))]))) == [
            ("VG101", "warning")
        ]

    def test_with_a_claim_that_bears_its_name_it_is_a_fact(self) -> None:
        given = deployment(bare(containers=[app(volumeMounts=[], env=env(SKILLS_PATH="/x"))]))
        assert judged(given, claim()) == [("VG101", "error")]

    def test_the_path_of_the_file_is_the_applied_objects_too(self) -> None:
        there = {"containers": [app(volumeMounts=[mount("/srv")])], **NO_GUARD}
        given = (as_file(deployment(pod_spec(**there))), deployment(bare()), claim(CLAIM))
        assert judged(*given) == [("VG101", "error")]

    def test_an_emptydir_at_the_default_path_is_a_guess(self) -> None:
        scratch = pod_spec(volumes=[{"name": "skills", "emptyDir": {}}], **NO_GUARD)
        assert judged(deployment(scratch)) == [("VG106", "warning")]
        guarded = pod_spec(volumes=[{"name": "skills", "emptyDir": {}}])
        assert judged(deployment(guarded)) == [("VG106", "error")]

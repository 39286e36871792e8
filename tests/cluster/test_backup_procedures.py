"""The procedures of runbooks and of the backups' page, run as they are printed: set up, restore, move, make the claim again."""

import os
import re
import subprocess
import textwrap
from pathlib import Path

import pytest

from tests.cluster import backups, objects, observing
from tests.cluster.conftest import REPOSITORY, Cluster
from tests.cluster.kubectl import Kubectl, Object

RUNBOOKS = REPOSITORY / "docs" / "runbooks"
_BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


class Person:
    """Types what a page says, in a copy of k8s/ for a namespace and class of the test's own."""

    def __init__(self, cluster: Cluster, kubectl: Kubectl, folder: Path) -> None:
        self._kubectl = kubectl
        self._folder = folder
        self._words = {"-n dev": f"-n {kubectl.namespace}", '"namespace":"dev"': f'"namespace":"{kubectl.namespace}"'}
        for source in objects.MANIFESTS.rglob("*.yaml"):
            copy = folder / "k8s" / source.relative_to(objects.MANIFESTS)
            copy.parent.mkdir(parents=True, exist_ok=True)
            text = source.read_text().replace("namespace: dev", f"namespace: {kubectl.namespace}")
            text = re.sub(r"storage: [14]Gi", "storage: 64Mi", text).replace("--snapshot=latest", "--lock-wait=1s")
            copy.write_text(text.replace("standard-rwo", cluster.storage_class or "standard"))

    def fill_in(self, word: str, meaning: str) -> None:
        """What a word in capitals stands for."""
        self._words[word] = meaning

    def write(self, name: str, text: str) -> None:
        """A file that the page tells to make."""
        (self._folder / name).write_text(text)

    def read(self, name: str) -> str:
        """A file of k8s/."""
        return (self._folder / "k8s" / name).read_text()

    def follow(self, page: str) -> dict[str, str]:
        """Runs every line of a runbook's mitigation, in order; what each printed."""
        mitigation = (RUNBOOKS / f"{page}.md").read_text().partition("## Mitigation")[2]
        lines = [line for block in _BLOCK.findall(mitigation) for line in textwrap.dedent(block).splitlines()]
        return self._type_all(lines)

    def follow_section(self, page: Path, heading: str) -> dict[str, str]:
        """Runs every indented kubectl line of one section of a page, in order; what each printed."""
        section = page.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        return self._type_all(re.findall(r"^    (kubectl .+)$", section, re.MULTILINE))

    def _type_all(self, lines: list[str]) -> dict[str, str]:
        assert len(lines) > 4, "the page has no commands"
        return {line: self._type(line) for line in lines}

    def _type(self, line: str) -> str:
        for word, meaning in self._words.items():
            line = line.replace(word, meaning)
        path = f"{Path(self._kubectl.program).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-euc", line], cwd=self._folder, check=False, capture_output=True, text=True, timeout=400,
            env={**self._kubectl.environment, "PATH": path},
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture
def person(cluster: Cluster, kubectl: Kubectl, tmp_path: Path) -> Person:
    """Somebody with a running application, a backup of it, and the pages."""
    backups.prepare(cluster, kubectl)
    assert backups.run(kubectl, backups.BACKUP, "night").condition == "Complete"
    return Person(cluster, kubectl, tmp_path)


def passed(kubectl: Kubectl) -> Object:
    """The line with which the gate let the application's pod start."""
    pod = observing.wait_application(kubectl)["metadata"]["name"]
    return next(line for line in kubectl.events(pod, objects.GATE) if line["event"] == "volume.ok")


def claim_of(kubectl: Kubectl) -> str:
    """The claim that the application's pod mounts."""
    (volume,) = observing.wait_application(kubectl)["spec"]["volumes"]
    name: str = volume["persistentVolumeClaim"]["claimName"]
    return name


def test_restore_as_printed_brings_a_wiped_volume_back(person: Person, kubectl: Kubectl) -> None:
    backups.wipe(kubectl)
    # Its node keeps the disk as long as it runs, and the Job may start on any.
    kubectl("delete", "pod", backups.TOOLS)
    printed = person.follow("restore")
    assert '"event": "volume.released"' in printed["kubectl logs -n dev job/claude-skills-restore"]
    assert (passed(kubectl)["files"], passed(kubectl)["reference_files"]) == (100, 100)


def test_migrate_as_printed_moves_the_data_and_leaves_the_old_volume_held(person: Person, kubectl: Kubectl) -> None:
    before = passed(kubectl)
    second = person.read("pvc.yaml").replace("claude-skills-storage", "claude-skills-storage-2")
    person.write("pvc-2.yaml", second)
    kubectl("delete", "pod", backups.TOOLS)

    printed = person.follow("migrate")

    moved = passed(kubectl)
    assert claim_of(kubectl) == "claude-skills-storage-2"
    assert (moved["files"], moved["reference_files"]) == (100, 100)
    assert moved["marker_id"] != before["marker_id"]
    assert next(out for line, out in printed.items() if "diff -r" in line) == ""
    kubectl.apply(objects.pod("late", objects.of_claim(backups.DATA)))
    assert observing.ending(kubectl, "late", objects.GATE).status == 23


def test_recreate_claim_as_printed_keeps_the_disk_and_the_data(person: Person, kubectl: Kubectl) -> None:
    before, old = passed(kubectl), kubectl.get("pvc", backups.DATA)
    volume = old["spec"]["volumeName"]
    person.fill_in("VOLUME", volume)
    kubectl("delete", "pod", backups.TOOLS)

    printed = person.follow("recreate-claim")

    new = kubectl.get("pvc", backups.DATA)
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert new["spec"]["volumeName"] == volume
    assert [out for line, out in printed.items() if line.endswith("persistentVolumeReclaimPolicy}'")] == ["Retain"]
    (described,) = (out for line, out in printed.items() if line.startswith("kubectl describe pvc"))
    assert re.search(r"^Used By: +<none>$", described, re.MULTILINE)
    after = passed(kubectl)
    assert (after["files"], after["marker_id"], after["reference_files"]) == (100, before["marker_id"], 100)
    # Nobody else's: the disk of a test goes with it.
    kubectl("patch", "pv", volume, "--patch", '{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}')


def test_the_page_of_the_backups_as_printed_sets_them_up_and_reads_a_file_of_the_first(
    cluster: Cluster, kubectl: Kubectl, tmp_path: Path
) -> None:
    backups.prepare_application(cluster, kubectl)
    person, page = Person(cluster, kubectl, tmp_path), objects.MANIFESTS / "backup" / "README.md"

    set_up = person.follow_section(page, "Setting it up")
    observing.wait_complete(kubectl, "first-backup", backups.RUN)
    looked = person.follow_section(page, "Looking into the repository")

    assert len(next(out for line, out in set_up.items() if line.endswith("base64 -d"))) == 44
    listed = next(out for line, out in looked.items() if line.endswith("restic ls latest"))
    assert len([name for name in listed.splitlines() if name.endswith(".md")]) >= 2
    assert next(out for line, out in looked.items() if "restic dump" in line)

"""Fixtures for real mounts: a sandbox for each test, and disks that were made once. No test leaves a mount behind."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import restic
from tests.linux.backups import Backups, init_cheaply
from tests.linux.sandbox import AS_ROOT, Sandbox, cannot_mount


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") and not AS_ROOT:
        pytest.skip("needs root: loop devices, mkfs, FUSE, device nodes or another uid")
    if reason := cannot_mount():
        pytest.skip(reason)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as found:
        yield found


@pytest.fixture(params=[None, pytest.param(65534, marks=pytest.mark.root)], ids=["same-uid", "another-uid"])
def watcher_uid(request: pytest.FixtureRequest, sandbox: Sandbox) -> None:
    """Runs the test twice: the watcher as whoever runs the tests, and as another uid, to whom the volume is given."""
    sandbox.watcher_uid = request.param


@pytest.fixture
def volume(sandbox: Sandbox) -> Sandbox:
    """A sandbox with an unmarked volume at the path: tmpfs, so that no root is needed, which GUARD_KINDS allows."""
    sandbox.defaults["GUARD_KINDS"] = "memory"
    sandbox.sh("mount -t tmpfs -o mode=755 volume $P")
    return sandbox


@pytest.fixture(scope="session")
def adopted_tree(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An adopted volume of ten files in two skills, `skills`, whose content tests copy."""
    kept = str(tmp_path_factory.mktemp("adopted"))
    with Sandbox() as sandbox:
        sandbox.sh("mount -t tmpfs -o mode=755 volume $P; mkdir -p $P/tenant/pdf $P/tenant/docx")
        sandbox.sh("cd $P/tenant; touch pdf/1 pdf/2 pdf/3 pdf/4 docx/1 docx/2 docx/3 docx/4 docx/5 docx/6")
        adopted = sandbox.guard("adopt", GUARD_KINDS="memory", GUARD_POD="first-pod", GUARD_NODE="node-1")
        assert adopted.status == 0, adopted.stderr
        sandbox.sh("cp -a $P/. $KEPT", KEPT=kept)
    return kept


@pytest.fixture
def adopted(volume: Sandbox, adopted_tree: str) -> Sandbox:
    """A sandbox with an adopted volume at the path: ten files, four of `pdf` and six of `docx`."""
    volume.sh("cp -a $KEPT/. $P", KEPT=adopted_tree)
    volume.give_volume()
    return volume


def _image(path: str, size: str, *mkfs: str) -> str:
    if not shutil.which(mkfs[0]):
        pytest.skip(f"{mkfs[0]} is not installed")
    if not os.path.exists("/dev/loop-control"):
        pytest.skip("no loop devices here")
    subprocess.run(["truncate", "-s", size, path], check=True)
    subprocess.run([*mkfs, path], check=True, capture_output=True)
    return path


@pytest.fixture(scope="session")
def ext4_image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty ext4 disk, to be copied."""
    return _image(f"{tmp_path_factory.mktemp('ext4')}/disk", "8M", "mkfs.ext4", "-q")


@pytest.fixture(scope="session")
def xfs_image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty XFS disk, to be copied; 300 MB is the least that mkfs.xfs makes."""
    return _image(f"{tmp_path_factory.mktemp('xfs')}/disk", "300M", "mkfs.xfs", "-q")


@pytest.fixture
def disk(sandbox: Sandbox, ext4_image: str) -> Sandbox:
    """A sandbox with an ext4 disk, not mounted yet: `mount -o loop $W/disk` mounts it."""
    shutil.copy(ext4_image, f"{sandbox.work}/disk")
    return sandbox


@pytest.fixture(scope="session")
def adopted_ext4_image(ext4_image: str, adopted_tree: str) -> str:
    """An adopted ext4 disk of ten files, to be copied."""
    image = os.path.join(os.path.dirname(ext4_image), "adopted")
    shutil.copy(ext4_image, image)
    with Sandbox() as sandbox:
        sandbox.sh("mount -o loop $IMAGE $P; cp -a $TREE/. $P; umount $P", IMAGE=image, TREE=adopted_tree)
    return image


@pytest.fixture
def adopted_disk(sandbox: Sandbox, adopted_ext4_image: str) -> Sandbox:
    """A sandbox with an adopted ext4 disk, not mounted yet: `mount -o loop $W/disk` mounts it."""
    shutil.copy(adopted_ext4_image, f"{sandbox.work}/disk")
    return sandbox


@pytest.fixture(scope="session")
def restic_program() -> Path:
    found = restic.find()
    if found is None:
        pytest.skip("no restic 0.18 or newer: `python -m tests.restic` fetches it")
    return found


@pytest.fixture(scope="session")
def backed_up(tmp_path_factory: pytest.TempPathFactory, ext4_image: str, restic_program: Path) -> Path:
    """An adopted ext4 disk with 120 files of three skills, and an empty repository, to be copied."""
    kept = tmp_path_factory.mktemp("backed-up")
    shutil.copy(ext4_image, kept / "disk")
    with Sandbox() as sandbox:
        sandbox.defaults |= _restic_settings(sandbox, restic_program)
        sandbox.sh("""mount -o loop $KEPT/disk $P; mkdir $P/acme $P/beta
            for skill in acme/pdf acme/docx beta/xlsx; do mkdir $P/$skill
                for file in $(seq 40); do echo $skill $file > $P/$skill/$file; done; done""", KEPT=str(kept))  # fmt: skip
        adopted = sandbox.guard("adopt")
        assert adopted.status == 0, adopted.stderr
        init_cheaply(sandbox)
        sandbox.sh("umount $P; cp -a $W/repository $KEPT", KEPT=str(kept))
    return kept


@pytest.fixture
def backups(sandbox: Sandbox, backed_up: Path, restic_program: Path) -> Iterator[Backups]:
    """An adopted ext4 disk with 120 files of three skills, and a new repository."""
    sandbox.defaults |= _restic_settings(sandbox, restic_program)
    sandbox.sh("cp -a $KEPT/. $W; mkdir $W/scratch; mount -o loop $W/disk $P", KEPT=str(backed_up))
    yield Backups(sandbox)
    sandbox.sh("umount $P")


def _restic_settings(sandbox: Sandbox, program: Path) -> dict[str, str]:
    return {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "RESTIC_REPOSITORY": f"{sandbox.work}/repository",
        "RESTIC_PASSWORD": "correct horse",
        "RESTIC_CACHE_DIR": f"{sandbox.work}/cache",
    }

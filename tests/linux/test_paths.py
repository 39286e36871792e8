"""Paths that mountinfo writes in escapes, and a mount table with many lines."""

import pytest

from tests.linux.sandbox import Sandbox

pytestmark = pytest.mark.mounts

NAMES = {
    "white space": "my  skills\t\n ",
    "what looks like an escape": r"my\040#skills\134" + "\\",
    "what looks like a separator": "skills - ext4 (deleted)",
    "non-ASCII": "스킬-ü",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_volume_is_found_under_any_name(adopted: Sandbox, name: str) -> None:
    path = f"{adopted.work}/{name}"
    adopted.sh('mkdir "$NEW"; mount -n --move $P "$NEW"', NEW=path)
    ended = adopted.guard("check", GUARD_PATH=path)
    assert (ended.status, ended.last["files"]) == (0, 10), ended.stderr


@pytest.mark.parametrize("path", ["{}//", "{}/tenant/.."], ids=lambda path: path.format("P"))
def test_a_volume_is_found_however_its_path_is_written(adopted: Sandbox, path: str) -> None:
    assert adopted.guard("check", GUARD_PATH=path.format(adopted.path)).status == 0


@pytest.mark.parametrize("path", ["/" + "x" * 256, "/x" * 2100], ids=["a name", "a path"])
def test_a_path_too_long_to_exist_is_missing(sandbox: Sandbox, path: str) -> None:
    ended = sandbox.guard("check", GUARD_PATH=path)
    assert (ended.status, ended.last["outcome"]) == (13, "missing")


def test_the_right_mount_is_found_among_a_thousand(adopted: Sandbox) -> None:
    # Each recursive bind doubles what there is.
    adopted.sh(
        "mkdir $W/m; mount -t tmpfs many $W/m; cd $W/m; mkdir 0 1 2 3 4 5 6 7 8 9; for i in 0 1 2 3 4 5 6 7 8 9; do mount --rbind . $i; done"
    )
    assert int(adopted.sh("grep -c . /proc/self/mountinfo")) > 1000
    assert adopted.guard("check").status == 0
    adopted.sh("mount -t tmpfs over $P")
    assert adopted.guard("check").status == 20

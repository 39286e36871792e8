"""What tests with a real mount need, as in tests/linux; the others need only promtool, or nothing."""

import functools

import pytest

from tests.linux.sandbox import AS_ROOT, Sandbox


@functools.cache
def _cannot_mount() -> str:
    try:
        with Sandbox() as sandbox:
            sandbox.sh("mount -t tmpfs none $P")
    except (OSError, AssertionError) as error:
        return f"no mount namespace to be had here (root or unprivileged user namespaces): {error}"
    return ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") and not AS_ROOT:
        pytest.skip("needs root: FUSE")
    if item.get_closest_marker("mounts") and (reason := _cannot_mount()):
        pytest.skip(reason)

"""What tests with a real mount need, as in tests/linux; the others need only promtool, or nothing."""

import pytest

from tests.linux.sandbox import AS_ROOT, cannot_mount


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") and not AS_ROOT:
        pytest.skip("needs root: FUSE")
    if item.get_closest_marker("mounts") and (reason := cannot_mount()):
        pytest.skip(reason)

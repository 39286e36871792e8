"""What several processes of a test run use together is made once and taken back by the last of them."""

from pathlib import Path

import pytest

from tests.cluster.sharing import shared


def test_the_last_user_takes_it_back(tmp_path: Path) -> None:
    left: list[str] = []
    come = list[str]().clear

    with shared(tmp_path, come, lambda: left.append("outer")):
        with shared(tmp_path, come, lambda: left.append("inner")):
            pass
        assert left == []

    assert left == ["outer"]


def test_what_could_not_be_made_whole_is_taken_back(tmp_path: Path) -> None:
    left: list[str] = []

    def come() -> None:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"), shared(tmp_path, come, lambda: left.append("all")):
        pass

    assert left == ["all"]

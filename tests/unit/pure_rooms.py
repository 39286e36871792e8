"""The files of the pure rooms, as import-linter's contract names them: what a coverage report includes."""

import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def files() -> list[str]:
    """Every file of a pure room, from the top of the repository."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    (pure,) = (one for one in project["tool"]["importlinter"]["contracts"] if one["name"].startswith("Pure rooms"))
    rooms = [module.replace(".", "/") for module in pure["source_modules"]]
    return [f"{room}/*.py" if (REPOSITORY / room).is_dir() else f"{room}.py" for room in rooms]


if __name__ == "__main__":
    sys.stdout.write(",".join(files()) + "\n")

"""The guard's commands as forks of one process that has loaded them: each costs a tenth of a new interpreter's start."""

import os

from guard import adopt, app, check, cli, exits  # noqa: F401 - loaded once, for every fork
from tests.linux.crash_images import Texts


def warm_up() -> None:
    """Builds what is built at the first use, such as the validators of settings."""
    for command in cli.VOLUME_COMMANDS:
        app._read(command, ["why"] if command == "hold" else [])


def start(command: tuple[str, ...], log: int, close: tuple[int, ...] = ()) -> int:
    """Starts a command that logs to a file, which is emptied before; returns its pid."""
    os.ftruncate(log, 0)
    os.lseek(log, 0, os.SEEK_SET)
    child = os.fork()
    if child == 0:
        for descriptor in close:
            os.close(descriptor)
        os.dup2(log, 2)
        os._exit(cli.run(command))
    return child


def write_documents(root: str, texts: Texts) -> None:
    """Leaves nothing but these documents in `.volume-guard/`, and no such folder where there are none."""
    folder = f"{root}/.volume-guard"
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        os.unlink(f"{folder}/{name}")
    if not texts:
        if os.path.isdir(folder):
            os.rmdir(folder)
        return
    os.makedirs(folder, exist_ok=True)
    for name, text in texts.items():
        with open(f"{folder}/{name}", "wb") as document:
            document.write(text)

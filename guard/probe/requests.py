"""What a prober can be asked of a volume: a look, and a count. Values that travel there and run there."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from guard.probe import count, look, progress
from guard.volume.observation import CountOptions, FileCount, Look, ProbeFault


@dataclass(frozen=True)
class LookAt:
    """A look at a path, without the count.

    Attributes:
        path: Absolute.
        writes_for: The name in the marker of a volume on which a write may be tried; None for none.
    """

    path: str
    writes_for: str | None

    def run(self, said: Callable[[Any], None]) -> Look:
        """Looks; says the look as far as it came before anything that may block."""
        return look.look(self.path, said, writes_for=self.writes_for)


@dataclass(frozen=True)
class Count:
    """A count below a path."""

    path: str
    order: CountOptions

    def run(self, said: Callable[[Any], None]) -> FileCount:
        """Counts; says how many names it has seen."""
        try:
            with progress.told(lambda: said(0)):
                root = look.open_root(self.path)
        except OSError as error:
            return FileCount(0, fault=ProbeFault(error.errno or 0, f"opening {self.path}"))
        try:
            return count.count(root, self.order, said)
        finally:
            os.close(root)

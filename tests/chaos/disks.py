"""Disks that a case can fill: a limit of SQLite's pages, or a file system in memory."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.chaos import full_disk

_SIZE = "64m"
_BLOCK = 4096


class Disk(Protocol):
    """A disk that can be filled."""

    variables: Mapping[str, str]

    def mounted(self, folder: Path) -> contextmanager[None]:
        """Have the disk at the folder for the block."""

    def fill(self) -> None:
        """Leave no space."""

    def free(self) -> None:
        """Give the space back."""


class PageLimit:
    """Limits the database to its pages, in a process that `full_disk` runs."""

    def __init__(self, flag: Path) -> None:
        self._flag = flag
        self.variables = {full_disk.FLAG: str(flag)}

    @contextmanager
    def mounted(self, folder: Path) -> Iterator[None]:
        """Leave the folder where it is."""
        yield

    def fill(self) -> None:
        """Let all connections refuse new pages."""
        self._flag.touch()

    def free(self) -> None:
        """Let them accept new pages."""
        self._flag.unlink()


@dataclass
class MemoryDisk:
    """A tmpfs, which a large file fills; mounting one needs root."""

    variables: Mapping[str, str] = field(default_factory=dict)
    _folder: Path = field(default_factory=Path)

    @contextmanager
    def mounted(self, folder: Path) -> Iterator[None]:
        """Mount it; raises CalledProcessError where that is not allowed."""
        folder.mkdir()
        self._folder = folder
        options = ["-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(folder)]
        subprocess.run(["mount", *options], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", str(folder)], check=True)

    def fill(self) -> None:
        """Write a file until there is no space."""
        try:
            with (self._folder / "filler").open("wb", buffering=0) as filler:
                while True:
                    filler.write(bytes(_BLOCK))
        except OSError:
            return

    def free(self) -> None:
        """Delete the file."""
        (self._folder / "filler").unlink()

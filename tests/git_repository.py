"""A Git repository of a test."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

# Not the settings of the machine.
_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": f"{what}@example.com" for who in ("AUTHOR", "COMMITTER")
       for what in ("NAME", "EMAIL")},
}  # fmt: skip


class Repository:
    """A repository in a folder, which may exist."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main", *options)

    def git(self, *arguments: str) -> str:
        """Return what Git prints, without the last line's end."""
        inherited = {n: v for n, v in os.environ.items() if not n.startswith("GIT_")}
        return subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env={**inherited, **_ENVIRONMENT},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout.rstrip("\n")

    def write(self, **files: str) -> None:
        """Write files; `_` in a name stands for a dot."""
        for name, text in files.items():
            (self.folder / name.replace("_", ".")).write_text(text)

    def commit(self, **files: str) -> str:
        """Commit everything, with these files, and return the id."""
        self.write(**files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "A change")
        return self.git("rev-parse", "HEAD")

    def state(self) -> dict[str, object]:
        """Return everything that the folder has, the repository too, with its times."""
        return {
            str(path.relative_to(self.folder)): (
                (path.stat().st_mtime_ns, path.read_bytes()) if path.is_file() else None
            )
            for path in self.folder.rglob("*")
        }

"""The commit that reports of nightly runs and of benchmarks name."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests import processes


def test_untracked_file_is_a_change_of_the_commit(tmp_path: Path) -> None:
    assert processes.commit(tmp_path) == ""
    as_nobody = ("-c", "user.name=-", "-c", "user.email=-")
    for command in (["init"], [*as_nobody, "commit", "--allow-empty", "-m", "-"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, capture_output=True)
    commit = processes.commit(tmp_path)
    assert len(commit) == 12
    (tmp_path / "file").touch()
    assert processes.commit(tmp_path) == f"{commit}+changes"

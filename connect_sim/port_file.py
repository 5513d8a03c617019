"""The file of `--port-file`: the port of a sandbox that accepts connections, and a newline."""

from __future__ import annotations

import os
from pathlib import Path

from connect_sim.installation import StartError


def remove(path: Path) -> None:
    """Delete the file of an earlier start; raises StartError if the folder cannot be used."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        # What cannot be written is reported before the start.
        draft.touch()
        draft.unlink()
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _unusable(path, error) from None


def write(path: Path, port: int) -> None:
    """Write the file atomically: a reader never sees a part of the port."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        draft.write_text(f"{port}\n")
        draft.replace(path)
    except OSError as error:
        raise _unusable(path, error) from None


def _unusable(path: Path, error: OSError) -> StartError:
    return StartError(f"The port file {path} cannot be written: {error.strerror or error}.")

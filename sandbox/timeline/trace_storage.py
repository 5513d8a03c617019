"""Traces that the portal shows: files of others, stored in the data folder for a while."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings

from checks import trace_file, trace_views
from checks.trace_file import SUFFIX
from requests_queue.errors import Missing

MAX_TRACES = 10  # the latest ones


def save(data: bytes) -> str:
    """Store a trace, and return its id, which nobody can guess; raises BadTrace, OSError."""
    for entry in trace_file.unpack(data)["timeline"]:
        trace_views.entry_text(entry)
    pk = secrets.token_hex(16)
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    trace_file.save(data, _path(pk))
    # Also what a process that was killed has written of a file.
    for file in sorted(folder.iterdir(), key=_age)[MAX_TRACES:]:
        # Another request may have removed it.
        file.unlink(missing_ok=True)
    return pk


def load(pk: str) -> dict[str, Any]:
    """Return the content of a stored trace; raises Missing."""
    if not re.fullmatch("[0-9a-f]{32}", pk):
        raise Missing(pk)
    try:
        return trace_file.load(_path(pk))
    except (OSError, trace_file.BadTrace):
        raise Missing(pk) from None


def _folder() -> Path:
    return Path(settings.SIM_DATA_DIR) / "traces"


def _path(pk: str) -> Path:
    return _folder() / f"{pk}{SUFFIX}"


def _age(file: Path) -> float:
    """Return what sorts the newest first."""
    try:
        return -file.stat().st_mtime
    except FileNotFoundError:
        return 0.0

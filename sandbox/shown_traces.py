"""Traces that the portal shows: files of others, kept in the data folder for a while."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings

from checks import trace_file
from checks.trace_file import SUFFIX, BadTrace
from requests_queue.errors import Missing

KEPT = 10  # the latest ones


def keep(data: bytes) -> str:
    """Keep a trace, and return its id, which nobody can guess; raises BadTrace, OSError."""
    trace_file.unpack(data)
    pk = secrets.token_hex(16)
    trace_file.save(data, _path(pk))
    files = sorted(_folder().glob(f"*{SUFFIX}"), key=_age)
    for file in files[KEPT:]:
        # Another request may have removed it.
        file.unlink(missing_ok=True)
    return pk


def find(pk: str) -> dict[str, Any]:
    """Return the content of a trace that is kept; raises Missing."""
    if not re.fullmatch("[0-9a-f]{32}", pk):
        raise Missing(pk)
    try:
        return trace_file.load(_path(pk))
    except (OSError, BadTrace):
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

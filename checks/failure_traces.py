"""Write the trace of a failed check: what has happened in the sandbox since the check began."""

from __future__ import annotations

import platform
from collections.abc import Collection
from pathlib import Path

from checks import trace_file
from checks.lab import Lab
from checks.model import Result
from requests_queue.safe_text import visible

_OUTPUT = 16 * 1024  # characters of what the handler has printed


def remove(folder: Path, check: str) -> None:
    """Remove the trace that an earlier run of a check has left; raises OSError."""
    _path(folder, check).unlink(missing_ok=True)


def _path(folder: Path, check: str) -> Path:
    return folder / f"{check}{trace_file.SUFFIX}"


def write(
    folder: Path, result: Result, seed: int, lab: Lab, since: str, secrets: Collection[str]
) -> Path:
    """Write the trace of a failure without its `secrets`, and return the path.

    Raises OSError, ApiError, BadTrace.
    """
    verdict = result.verdict
    failure = {
        "text": visible(verdict.text),
        "object": None,
        "webhook": lab.webhook,
        "reasons": [],
        "near_misses": [],
        "evidence": [
            {"title": visible(each.title), "lines": list(map(visible, each.lines))}
            for each in verdict.evidence
        ],
    }
    about = {
        "kind": "check",
        "name": result.check.id,
        "seed": seed,
        "versions": {"python": platform.python_version(), "platform": platform.platform()},
        "reproduce": result.reproduce,
        "failures": [failure],
        "log": visible(lab.process.output()[-_OUTPUT:]) if lab.process else "",
    }
    path = _path(folder, result.check.id)
    # Also what the sandbox doesn't know, such as the secret that a check has replaced.
    data = trace_file.without_secrets(lab.platform.trace(since, about), secrets)
    trace_file.save(data, path)
    return path

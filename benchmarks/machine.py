"""The machine of a run: what the figures depend on, beside the code."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.processes import ROOT

_PACKAGES = ("django", "celery", "aiohttp", "uvloop", "psycopg", "redis", "requests")


def describe() -> dict[str, Any]:
    """Return processor, memory, Python, and versions of packages and servers."""
    return {
        "cores": os.cpu_count(),
        "processor": _first(Path("/proc/cpuinfo"), r"model name\s*: (.*)"),
        "memory_gib": round(int(_first(Path("/proc/meminfo"), r"MemTotal:\s*(\d+)")) / 2**20, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in _PACKAGES},
    }


def load() -> float:
    """Return how many processes were running or waiting for a core in the last minute."""
    return round(os.getloadavg()[0], 2)


def commit() -> str:
    """Return the commit, with `+changes` if the tree has any; empty outside of a repository."""
    command = ["git", "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+changes"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def sentence(described: dict[str, Any]) -> str:
    """Return the machine in a sentence for readers."""
    return (
        f"{described['cores']} cores ({described['processor']}), {described['memory_gib']:g} GiB "
        f"of memory, Python {described['python']}"
    )


def _first(path: Path, pattern: str) -> str:
    match = re.search(pattern, path.read_text())
    return match[1].strip() if match else "unknown"

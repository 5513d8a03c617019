"""Programs that make a database one of an older version, and migrate it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.marks import nightly
from tests.postgres_server import postgres_database
from tests.processes import ROOT, environment

on_both_databases = pytest.mark.parametrize(
    "database",
    [nightly(name, reason="migrations don't change") for name in ("sqlite", "postgresql")],
)


def printed_by(program: str, database: str, folder: Path) -> Any:
    """Run a program with an empty database, and return what it prints as JSON."""
    if database == "sqlite":
        return _printed_by(program, folder)
    with postgres_database() as url:
        return _printed_by(program, folder, DATABASE_URL=url)


def _printed_by(program: str, folder: Path, **variables: str) -> Any:
    env = environment(folder, DJANGO_SETTINGS_MODULE="connect_sim.settings", **variables)
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)

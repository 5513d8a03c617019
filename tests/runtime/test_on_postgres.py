"""The tests of the queues and of delivery, once more on PostgreSQL.

Django has one database per process, so these are runs of pytest in child processes. The files are
dealt out to several of them, which run at the same time on different workers.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres_server import postgres_database
from tests.processes import ROOT

FOLDERS = ("tests/queue", "tests/webhooks")
MORE = [
    "tests/runtime/postgres_unavailable.py",
    # Pages that search, count by minute or page through long lists.
    *(
        f"tests/portal/test_{name}.py"
        for name in (
            "deliveries_log",
            "deliveries_search",
            "home_page",
            "queues_pages",
            "sign_in_limits",
            "webhooks_list",
        )
    ),
]
# Run without a database: the same on each.
WITHOUT_DATABASE = {
    "admin_validation",
    "client_connections",
    "client_hostile",
    "client_memory",
    "client_wire",
    "database_errors",
    "types",
    "validation_failures",
    "validator_docs",
}
# Checks of input and representations, with plain SQL. Only `make nightly` runs them here.
PLAIN_SQL = {
    # All actions and admin pages by every actor: `test_walks` and `test_admin` have the same SQL.
    "actions",
    "admin_isolation",
    "action_links",
    "agreements",
    "body",
    "conversations",
    "editing",
    "hub_writes",
    "media",
    "older_calls",
    "preview",
    "shown_templates",
    "tier_input",
    "usage_memory",
}
PARTS = 3


def _files(without: set[str]) -> list[str]:
    """Return the files to run, without some, the largest first."""
    paths = [path for folder in FOLDERS for path in (ROOT / folder).glob("test_*.py")]
    paths = [path for path in paths if path.stem.removeprefix("test_") not in without]
    paths += [ROOT / name for name in MORE]
    return [str(path.relative_to(ROOT)) for path in sorted(paths, key=_size, reverse=True)]


def _size(path: Path) -> int:
    return path.stat().st_size


def _run(files: list[str], *options: str) -> None:
    with postgres_database() as database:
        result = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *options, *files],
            cwd=ROOT,
            env={**os.environ, "SIM_TEST_DATABASE_URL": database},
            capture_output=True,
            text=True,
        )  # fmt: skip
    assert result.returncode == 0, result.stdout[-20000:]
    assert " passed" in result.stdout


@pytest.mark.postgres
@pytest.mark.parametrize("part", range(PARTS))
def test_queues_and_delivery_behave_the_same_on_postgres(part: int) -> None:
    _run(_files(WITHOUT_DATABASE | PLAIN_SQL)[part::PARTS])


@pytest.mark.nightly
@pytest.mark.postgres
@pytest.mark.parametrize("part", range(PARTS))
def test_all_of_queues_and_delivery_behave_the_same_on_postgres(part: int) -> None:
    _run(_files(WITHOUT_DATABASE)[part::PARTS])


def test_files_that_are_left_out_exist() -> None:
    stems = {Path(name).stem for name in _files(set())}
    assert {f"test_{name}" for name in WITHOUT_DATABASE | PLAIN_SQL} <= stems

"""The tests of the queues and of the emitter, once more on PostgreSQL.

A run of its own, since Django has one database a process.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.postgres_server import postgres_database
from tests.processes import ROOT

WHERE = ("tests/queue", "tests/webhooks", "tests/runtime/postgres_unavailable.py")
# What knows no database behaves the same.
WITHOUT = [
    f"--ignore-glob=*/test_{name}.py"
    for name in (
        "transport_*",
        "addresses",
        "headers",
        "retry",
        "types",
        "difference",
        "answers",
        "validation_failures",
        "admin_validation",
        # Every move and every admin page by everybody: `test_walks` and `test_admin` have the SQL.
        "actions",
        "admin_isolation",
    )
]


# Pages that search, count by minute or page through what is long.
PAGES = [
    f"tests/portal/test_{name}.py"
    for name in (
        "deliveries_log",
        "deliveries_search",
        "home_page",
        "queues_pages",
        "sign_in_limits",
        "webhooks_list",
    )
]


def test_queues_and_emitter_behave_the_same_on_postgres() -> None:
    with postgres_database() as database:
        found = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *WHERE, *PAGES, *WITHOUT],
            cwd=ROOT,
            env={**os.environ, "SIM_TEST_DATABASE_URL": database},
            capture_output=True,
            text=True,
        )  # fmt: skip
    assert found.returncode == 0, found.stdout[-20000:]
    assert " passed" in found.stdout

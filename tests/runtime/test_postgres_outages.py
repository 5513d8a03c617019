"""Outages of PostgreSQL, with a server that the tests restart."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.lanes import drawn_file
from tests.postgres_server import VARIABLE, postgres_server
from tests.processes import ROOT

pytestmark = drawn_file(2)

TESTS = "tests/webhooks/postgres_outages.py"


@pytest.mark.postgres
def test_results_survive_outages_of_postgres() -> None:
    run_outages()


@pytest.mark.postgres
@pytest.mark.nightly
def test_results_survive_an_outage_of_postgres_at_production_settings() -> None:
    run_outages("--nightly")


def run_outages(*options: str) -> None:
    """Run the tests in a separate process, because Django has one database per process."""
    with postgres_server() as server:
        database = f"{server.url.rpartition('/')[0]}/outages"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", *options, TESTS],
            cwd=ROOT,
            env={
                **os.environ,
                "SIM_TEST_DATABASE_URL": database,
                VARIABLE: server.described,
            },
            capture_output=True,
            text=True,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20000:]
    assert " passed" in done.stdout

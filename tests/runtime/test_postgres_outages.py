"""Outages of PostgreSQL, with a server that the tests restart."""

from __future__ import annotations

import os
import sys

import pytest

from tests import postgres_server
from tests.processes import output

TESTS = "tests/webhooks/postgres_outages.py"


@pytest.mark.postgres
def test_results_survive_outages_of_postgres() -> None:
    run_outages("not nightly")


@pytest.mark.postgres
@pytest.mark.nightly(reason="waits 70 s")
def test_results_survive_an_outage_of_postgres_at_production_settings() -> None:
    run_outages("nightly")


def run_outages(marks: str) -> None:
    """Run the tests in a process of their own, which starts a server of its own."""
    postgres_server.binaries()  # skips where there are none
    env = dict(os.environ)
    for name in (postgres_server.GIVEN, postgres_server.FOLDER):
        env.pop(name, None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "--postgres", "-m", marks]
    assert " passed" in output([*command, TESTS], env, timeout=600)

"""Fixtures of the tests of the sandbox's API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from checks import sandbox_file
from requests_queue.catalog.models import Account
from requests_queue.seed import Summary
from tests import program
from tests.api import PROVIDER, VENDOR, caller


@pytest.fixture
def run_queue(live_server: Any, seeded: Summary, tmp_path: Path) -> Callable[..., list[str]]:
    """`connect-sim queue` of a sandbox that runs in this process; returns the lines it prints."""
    keys = [caller(Account.objects.get(pk=pk)).key or "" for pk in (VENDOR, PROVIDER)]
    sandbox_file.write(tmp_path, sandbox_file.Sandbox(live_server.url, *keys))

    def run(*arguments: str) -> list[str]:
        return program.run("--data-dir", str(tmp_path), "queue", *arguments).splitlines()

    return run

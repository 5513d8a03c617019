"""Which module a path belongs to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from requests_queue.catalog.modules import BY_PATH, find_module

API_PAGE = Path(__file__).resolve().parents[4] / "docs" / "api.md"


@pytest.mark.parametrize(
    ("path", "module"),
    [
        ("/requests", "Subscriptions"),
        ("/requests/PR-1/approve", "Subscriptions"),
        ("/assets/AS-1/usage/aggregates", "Subscriptions"),
        ("/tier/accounts/TA-1/versions", "Customers"),
        ("/tier/config-requests", "Tier Config"),
        ("/notifications/webhooks/WH-1", "Integrations"),
        ("/conversations/CO-1/messages", "Conversations"),
        ("/helpdesk/cases", "Helpdesk"),
        ("/requestsX", None),
        ("/tier", None),
        ("/notifications/other", None),
        ("/schema", None),
        ("/sandbox/requests", None),
        ("/", None),
        ("", None),
    ],
)
def test_module_of_a_path(path: str, module: str | None) -> None:
    assert find_module(path) == module


def test_page_names_each_path_with_its_module() -> None:
    table = API_PAGE.read_text().partition("| Module | Paths |")[2].partition("\n\n")[0]
    rows = [row.split(" | ") for row in table.splitlines()[2:]]
    found = {path: name[2:] for name, paths in rows for path in re.findall("`/([^`]+)`", paths)}
    assert found == BY_PATH

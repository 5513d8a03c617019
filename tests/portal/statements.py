"""The SQL statements of pages, for tests of what a page costs."""

from __future__ import annotations

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests import html


def statements(client: Client, *paths: str) -> list[list[str]]:
    """Open pages; return the SQL statements of each."""
    pages = []
    for path in paths:
        with CaptureQueriesContext(connection) as queries:
            html.get(client, path)
        pages.append([query["sql"] for query in queries])
    return pages


def counts(client: Client, *paths: str) -> list[int]:
    """Open pages; return the number of SQL statements of each."""
    return [len(each) for each in statements(client, *paths)]

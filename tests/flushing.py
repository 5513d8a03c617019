"""Empty the tables after a test that commits, faster than Django does.

Django truncates every table, which creates new files for each of them and their indexes, and then
creates the content types and permissions again. That takes longer than most tests.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import connection, transaction
from django.test import TransactionTestCase

# Filled by migrations and changed by no test.
_LASTING = {"django_content_type", "auth_permission", "django_migrations"}


def install() -> None:
    """Delete the rows of the tables that have any after each test that commits."""
    TransactionTestCase._fixture_teardown = _delete_all  # type: ignore[attr-defined]


def _delete_all(self: Any) -> None:
    names = [
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and model._meta.db_table not in _LASTING
    ]
    quote = connection.ops.quote_name
    queries = (f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {quote(name)})" for name in names)
    # Foreign keys are checked at the end of the transaction.
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(queries))
        for (name,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {quote(name)}")

"""503 for an unreachable PostgreSQL or a lost connection; run with `--postgres`."""

from __future__ import annotations

import os

import psycopg
import pytest
from django.db import connection

from tests.processes import free_port
from tests.signed_in import root  # noqa: F401  (fixtures)
from tests.unavailable import (  # noqa: F401  (fixtures)
    API,
    PAGES,
    Callers,
    all_unavailable,
    all_well,
    callers,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_unreachable_server(callers: Callers, caplog: pytest.LogCaptureFixture) -> None:
    port = connection.settings_dict["PORT"]
    connection.close()
    connection.settings_dict["PORT"] = free_port()
    try:
        all_unavailable(callers, caplog, "The database cannot be reached.")
    finally:
        connection.settings_dict["PORT"] = port
    all_well(callers)


def test_lost_connection_fails_at_most_one_request(callers: Callers) -> None:
    for path in (*API, *PAGES):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            [pid] = cursor.fetchone()
        server = os.environ["DATABASE_URL"].rpartition("/")[0]
        with psycopg.connect(f"{server}/postgres", autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        assert callers.get(path).status_code in (200, 404, 503)
        assert callers.get(path).status_code in (200, 404)

"""A database of an older version: triggers that kept numbers of requests are dropped."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connection

from requests_queue.queues.fulfillment.models import Request
from tests.api import Caller

pytestmark = pytest.mark.django_db(transaction=True)

# As migration 0002 created them on SQLite.
OLDER = (
    "CREATE TABLE fulfillment_request_numbers (status TEXT PRIMARY KEY, number INTEGER NOT NULL)",
    *(
        f"CREATE TRIGGER request_{name} AFTER {event} ON fulfillment_request BEGIN"
        " UPDATE fulfillment_request_numbers SET number = number + 1; END"
        for name, event in (
            ("inserted", "INSERT"),
            ("deleted", "DELETE"),
            ("updated", "UPDATE OF status"),
        )
    ),
)


def test_requests_are_changed_and_counted_without_the_triggers(vendor: Caller) -> None:
    with connection.cursor() as cursor:
        for statement in OLDER if connection.vendor == "sqlite" else ():
            cursor.execute(statement)
    call_command("migrate", "fulfillment", "0002", fake=True, verbosity=0)
    call_command("migrate", "fulfillment", verbosity=0)
    assert "fulfillment_request_numbers" not in connection.introspection.table_names()
    # A trigger of the dropped table would make the update fail.
    assert Request.objects.filter(status="pending").update(status="approved") > 0
    response = vendor.get("/requests?status=approved&limit=1")
    approved = Request.objects.filter(status="approved").count()
    assert response.headers["Content-Range"] == f"items 0-0/{approved}"

"""Numbers of requests by party, product and status, on SQLite."""

from typing import Any

from django.db import migrations

from requests_queue.queues.fulfillment import counts


def create(apps: Any, schema_editor: Any) -> None:
    """Create the table and its triggers, and count the requests."""
    counts.create(schema_editor)


def drop(apps: Any, schema_editor: Any) -> None:
    """Drop them."""
    counts.drop(schema_editor)


class Migration(migrations.Migration):
    """Create them after the table of requests."""

    dependencies = [("fulfillment", "0001_squashed_layout_2")]

    operations = [migrations.RunPython(create, drop)]

"""Drop the numbers of requests that migration 0002 created on SQLite."""

from typing import Any

from django.db import migrations


def drop(apps: Any, schema_editor: Any) -> None:
    """Drop the triggers and their table, if there are any."""
    if schema_editor.connection.vendor == "sqlite":
        for event in ("inserted", "deleted", "updated"):
            schema_editor.execute(f"DROP TRIGGER IF EXISTS request_{event}")
        schema_editor.execute("DROP TABLE IF EXISTS fulfillment_request_numbers")


class Migration(migrations.Migration):
    """Drop them; irreversible, because no code creates them any more."""

    dependencies = [("fulfillment", "0002_counts")]

    operations = [migrations.RunPython(drop)]

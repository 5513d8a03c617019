"""On PostgreSQL an index over values of requests, by which unique ones are found."""

from typing import Any

from django.db import migrations


def add(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "CREATE INDEX request_params ON fulfillment_request"
            " USING gin (jsonb_path_query_array(params, '$[*].value')) WITH (fastupdate = off)"
        )


def remove(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS request_params")


class Migration(migrations.Migration):

    dependencies = [
        ("fulfillment", "0002_list_indexes"),
    ]

    operations = [migrations.RunPython(add, remove)]

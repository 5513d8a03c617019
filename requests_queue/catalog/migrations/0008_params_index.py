"""On PostgreSQL an index over values of subscriptions, by which unique ones are found."""

from typing import Any

from django.db import migrations


def add(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "CREATE INDEX asset_params ON catalog_asset"
            " USING gin (jsonb_path_query_array(params, '$[*].value')) WITH (fastupdate = off)"
        )


def remove(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS asset_params")


class Migration(migrations.Migration):

    dependencies = [
        ("catalog", "0007_product_media"),
    ]

    operations = [migrations.RunPython(add, remove)]

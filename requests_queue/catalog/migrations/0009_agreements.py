"""Agreements, which followed from their marketplaces: each gets the row of its own."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models


def add_agreements(apps: Any, schema_editor: Any) -> None:
    """Add the agreement of each marketplace, with the id that it has had."""
    agreements = []
    for row in apps.get_model("catalog", "Marketplace").objects.all():
        digits = row.id.removeprefix("MP-")
        agreements.append(
            apps.get_model("catalog", "Agreement")(
                id=f"AGD-000-0{digits[:2]}-{digits[2:]}",
                type="distribution",
                owner_id=row.owner_id,
                marketplace_id=row.id,
                created=row.created,
                updated=row.created,
            )
        )
    apps.get_model("catalog", "Agreement").objects.bulk_create(agreements)


class Migration(migrations.Migration):
    """Create the table, and fill it."""

    dependencies = [("catalog", "0008_marketplace_hub_external_ids")]

    operations = [
        migrations.CreateModel(
            name="Agreement",
            fields=[
                ("id", models.CharField(max_length=32, primary_key=True, serialize=False)),
                ("created", models.DateTimeField()),
                ("name", models.CharField(blank=True, max_length=100)),
                ("type", models.CharField(max_length=16)),
                ("description", models.TextField(blank=True)),
                ("document_type", models.CharField(default="none", max_length=16)),
                ("auto_accept", models.BooleanField(default=False)),
                ("updated", models.DateTimeField()),
                (
                    "marketplace",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="agreements",
                        to="catalog.marketplace",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="agreements",
                        to="catalog.account",
                    ),
                ),
                (
                    "parent",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="agreements",
                        to="catalog.agreement",
                    ),
                ),
            ],
            options={"ordering": ["id"], "abstract": False},
        ),
        migrations.RunPython(add_agreements, migrations.RunPython.noop),
    ]

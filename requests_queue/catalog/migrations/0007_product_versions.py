"""Versions of products with their parts; a draft has none, so its number is 0."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models


def number_drafts(apps: Any, schema_editor: Any) -> None:
    """Set the number of drafts, which was that of the first version."""
    apps.get_model("catalog", "Product").objects.filter(status="draft").update(version=0)


class Migration(migrations.Migration):
    """The versions of products that are published already are stored when they are first needed."""

    dependencies = [("catalog", "0006_api_key_modules")]

    operations = [
        migrations.CreateModel(
            name="ProductVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.IntegerField()),
                ("changes_description", models.TextField(blank=True)),
                ("public", models.BooleanField(default=False)),
                ("staging", models.BooleanField(default=False)),
                ("content", models.JSONField(default=dict)),
                ("created", models.DateTimeField()),
                ("updated", models.DateTimeField()),
                (
                    "product",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="versions",
                        to="catalog.product",
                    ),
                ),
            ],
            options={
                "ordering": ["product", "-number"],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("product"), models.F("number"), name="product_version_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="VersionPart",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=16)),
                ("key", models.CharField(max_length=40)),
                ("position", models.IntegerField()),
                ("data", models.JSONField(default=dict)),
                ("created", models.DateTimeField()),
                ("updated", models.DateTimeField()),
                ("sale_ended", models.DateTimeField(null=True)),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="parts",
                        to="catalog.productversion",
                    ),
                ),
            ],
            options={
                "ordering": ["version", "position", "pk"],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("version"),
                        models.F("kind"),
                        models.F("key"),
                        name="version_part_once",
                    )
                ],
            },
        ),
        migrations.RunPython(number_drafts, migrations.RunPython.noop),
    ]

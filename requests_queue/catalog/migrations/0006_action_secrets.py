"""A secret for the links of each product's actions, and the URLs that the links lead to."""

from typing import Any

from django.db import migrations, models

from requests_queue.catalog.models.products import new_stored_secret


def _add_secrets(apps: Any, schema_editor: Any) -> None:
    """Give each product a secret of its own: adding the column gave all of them the same."""
    products = apps.get_model("catalog", "Product")
    for pk in products.objects.values_list("pk", flat=True).iterator():
        products.objects.filter(pk=pk).update(stored_action_secret=new_stored_secret())


class Migration(migrations.Migration):
    dependencies = [("catalog", "0005_preview_connection")]

    operations = [
        migrations.AddField(
            "product",
            "stored_action_secret",
            models.TextField(default=new_stored_secret, editable=False),
        ),
        migrations.AddField("productaction", "url", models.CharField(blank=True, max_length=2000)),
        migrations.RunPython(_add_secrets, migrations.RunPython.noop),
    ]

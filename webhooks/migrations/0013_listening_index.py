"""The index of webhooks for a queue change has the type as a column.

SQLite does not use an index with a condition on a column that the query compares with a parameter.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Replace the index."""

    dependencies = [("webhooks", "0012_redact")]

    operations = [
        migrations.RemoveIndex("webhook", "webhook_listening"),
        migrations.AddIndex(
            "webhook",
            models.Index(
                fields=["object_class", "product", "type", "account"],
                condition=models.Q(active=True),
                name="webhook_listening",
            ),
        ),
    ]

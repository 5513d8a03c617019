"""An index of the webhooks for which the last slots are reserved."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the index."""

    dependencies = [("webhooks", "0015_attempt_error_class")]

    operations = [
        migrations.AddIndex(
            model_name="webhook",
            index=models.Index(
                condition=models.Q(("active", True), ("out_of_order", False), ("responds", True)),
                fields=["id"],
                name="webhook_responding",
            ),
        ),
    ]

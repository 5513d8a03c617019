"""The state in the index of a webhook's deliveries, on PostgreSQL only."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Include the state instead of indexing it."""

    dependencies = [("webhooks", "0009_responds")]

    operations = [
        migrations.RemoveIndex(model_name="delivery", name="delivery_webhook_state"),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                fields=["webhook", "-id", "created_at"],
                include=("state",),
                name="delivery_of_webhook",
            ),
        ),
    ]

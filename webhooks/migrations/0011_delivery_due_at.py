"""A due date for a delivery that loses its workers."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the column, and index the pending deliveries with it."""

    dependencies = [("webhooks", "0010_delivery_index")]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="due_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.RemoveIndex(model_name="delivery", name="delivery_waiting"),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("forced", False), ("state", "waiting")),
                fields=["webhook", "id", "due_at"],
                name="delivery_waiting",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("due_at__isnull", False), ("state", "waiting")),
                fields=["due_at"],
                name="delivery_due",
            ),
        ),
    ]

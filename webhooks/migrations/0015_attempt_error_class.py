"""Why an attempt failed without a complete response, and the index that groups failures by cause."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the column, null in rows of earlier versions, and the index."""

    dependencies = [("webhooks", "0014_no_responds_index")]

    operations = [
        migrations.AddField(
            model_name="attempt",
            name="error_class",
            field=models.CharField(editable=False, max_length=12, null=True),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                condition=models.Q(("outcome", "failure")),
                fields=[
                    "webhook",
                    "-id",
                    "status_code",
                    "error_class",
                    "finished_at",
                    "delivery",
                    "number",
                ],
                name="attempt_failed",
            ),
        ),
    ]

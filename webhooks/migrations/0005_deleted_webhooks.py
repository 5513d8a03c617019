from django.db import migrations, models


class Migration(migrations.Migration):
    """Webhooks are marked when they are deleted; their rows are removed in steps."""

    dependencies = [
        ("webhooks", "0004_encrypted_headers"),
    ]

    operations = [
        migrations.AddField(
            model_name="webhook",
            name="deleted_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name="webhook",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", False)),
                fields=["deleted_at"],
                name="webhook_deleted",
            ),
        ),
    ]

"""Whether a webhook responds, which was read from its last attempts before."""

from typing import Any

from django.db import migrations, models
from django.db.models import Q


def read_last_attempts(apps: Any, schema_editor: Any) -> None:
    """Set the column by the last success or, after a failure, by the last failure."""
    has_succeeded = Q(failure_since_last_success=0, last_success__isnull=False)
    has_failed = Q(failure_since_last_success__gt=0, last_failure__status_code__isnull=False)
    rows = apps.get_model("webhooks", "Webhook").objects
    rows.filter(has_succeeded | has_failed).update(responds=True)


class Migration(migrations.Migration):
    """Add the column, fill it, and index the webhooks that respond."""

    dependencies = [("webhooks", "0008_delivery_state_index")]

    operations = [
        migrations.AddField(
            model_name="webhook",
            name="responds",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.RunPython(read_last_attempts, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="webhook",
            index=models.Index(
                condition=models.Q(("active", True), ("responds", True)),
                fields=["id"],
                name="webhook_responds",
            ),
        ),
    ]

"""No index of the deliveries of attempts alone: the unique one of delivery and number begins so."""

from typing import Any

from django.db import migrations, models
from django.db.models.deletion import CASCADE

INDEX = "webhooks_attempt_delivery_id_bb1708b1"


class WithoutIndex(migrations.AlterField):
    """Drop the index alone: SQLite's AlterField copies the table, which has all bodies."""

    def database_forwards(self, app: str, editor: Any, before: Any, after: Any) -> None:
        editor.execute(f"DROP INDEX {INDEX}")

    def database_backwards(self, app: str, editor: Any, before: Any, after: Any) -> None:
        editor.execute(f"CREATE INDEX {INDEX} ON webhooks_attempt (delivery_id)")


class Migration(migrations.Migration):
    """Remove the index."""

    dependencies = [("webhooks", "0017_room_for_updates")]

    operations = [
        WithoutIndex(
            model_name="attempt",
            name="delivery",
            field=models.ForeignKey(
                "webhooks.Delivery", CASCADE, related_name="attempt_set", db_index=False
            ),
        )
    ]

"""Add whether a listing request was submitted."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models
from django.db.models import F, Q


def mark(apps: Any, schema_editor: Any) -> None:
    """Mark the requests that are no drafts, and the drafts with a user of the distributor.

    A refined request is assigned to the distributor's user who has refined it.
    """
    rows = apps.get_model("listing", "ListingRequest").objects
    refined = Q(assignee__account=F("provider"))
    rows.filter(~Q(status="draft") | refined).update(submitted=True)


class Migration(migrations.Migration):
    """Add the column, and fill it in."""

    dependencies = [("listing", "0001_squashed_layout_2")]

    operations = [
        migrations.AddField(
            model_name="listingrequest",
            name="submitted",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.RunPython(mark, migrations.RunPython.noop),
    ]

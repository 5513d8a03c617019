"""Numbers of requests, kept by triggers on SQLite until migration 0003 dropped them."""

from django.db import migrations


class Migration(migrations.Migration):
    """Do nothing: older databases have applied it, and lists count requests now."""

    dependencies = [("fulfillment", "0001_squashed_layout_2")]

    operations: list[migrations.RunPython] = []

"""The number in a parameter's id; of existing parameters their primary key, as before."""

from typing import Any

from django.db import migrations, models
from django.db.models import F


def number_parameters(apps: Any, schema_editor: Any) -> None:
    """Keep the ids of existing parameters."""
    apps.get_model("catalog", "Parameter").objects.update(number=F("pk"))


class Migration(migrations.Migration):
    """Add the column, fill it, and forbid duplicates."""

    dependencies = [("catalog", "0001_squashed_layout_2")]

    operations = [
        migrations.AddField(
            model_name="parameter",
            name="number",
            field=models.BigIntegerField(default=0),
            preserve_default=False,
        ),
        migrations.RunPython(number_parameters, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="parameter",
            constraint=models.UniqueConstraint(
                models.F("product"), models.F("number"), name="parameter_number"
            ),
        ),
    ]

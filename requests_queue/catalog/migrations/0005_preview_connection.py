"""The identifier that the API shows of a connection: preview connections share one."""

from django.db import migrations, models
from django.db.models import Case, F, Value, When

_PREVIEW = "CT-0000-0000-0000"


class Migration(migrations.Migration):
    dependencies = [("catalog", "0004_list_indexes")]

    operations = [
        migrations.AddField(
            "connection",
            "public_id",
            models.GeneratedField(
                db_persist=True,
                expression=Case(
                    When(id__startswith=_PREVIEW, then=Value(_PREVIEW)), default=F("id")
                ),
                output_field=models.CharField(max_length=32),
            ),
        ),
    ]

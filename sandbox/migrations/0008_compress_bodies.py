"""Let the program compress the bodies of API calls; those that are stored are kept as they are."""

from typing import Any

import requests_queue.db.compressed_text
from django.db import migrations

_BODIES = ("request_body", "response_body")


class ChangeToBytes(migrations.AlterField):
    """Change a column of texts to one of bytes.

    SQLite keeps the type of each value. Django's cast for PostgreSQL, `::bytea`, would read a
    backslash as an escape.
    """

    def database_forwards(self, app_label: str, editor: Any, before: Any, after: Any) -> None:
        if editor.connection.vendor == "postgresql":
            editor.execute(
                f"ALTER TABLE sandbox_apicall ALTER {self.name} TYPE bytea "
                f"USING convert_to({self.name}, 'UTF8')"
            )
        else:
            super().database_forwards(app_label, editor, before, after)

    def database_backwards(self, app_label: str, editor: Any, before: Any, after: Any) -> None:
        raise migrations.exceptions.IrreversibleError("The texts are compressed.")


def leave_as_it_is(apps: Any, editor: Any) -> None:
    """Let PostgreSQL not compress once more what is compressed."""
    if editor.connection.vendor == "postgresql":
        for name in _BODIES:
            editor.execute(
                f"ALTER TABLE sandbox_apicall ALTER {name} SET STORAGE EXTERNAL, "
                f"ALTER {name} SET COMPRESSION default"
            )


class Migration(migrations.Migration):

    dependencies = [
        ('sandbox', '0007_check_runs'),
    ]

    operations = [
        *(
            ChangeToBytes(
                model_name='apicall',
                name=name,
                field=requests_queue.db.compressed_text.CompressedTextField(blank=True),
            )
            for name in _BODIES
        ),
        migrations.RunPython(leave_as_it_is),
    ]

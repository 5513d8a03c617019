"""Compress the bodies of API calls by lz4 on PostgreSQL: pglz takes five times the CPU time."""

from typing import Any

from django.db import migrations

# A server may be built without it.
_HAS_LZ4 = """
    SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'
"""


def compress(apps: Any, editor: Any) -> None:
    _set_compression(editor, "lz4")


def restore(apps: Any, editor: Any) -> None:
    _set_compression(editor, "default")


def _set_compression(editor: Any, method: str) -> None:
    if editor.connection.vendor != "postgresql":
        return
    with editor.connection.cursor() as cursor:
        cursor.execute(_HAS_LZ4)
        [is_available] = cursor.fetchone() or (False,)
        if is_available:
            for column in ("request_body", "response_body"):
                cursor.execute(
                    f"ALTER TABLE sandbox_apicall ALTER {column} SET COMPRESSION {method}"
                )


class Migration(migrations.Migration):

    dependencies = [
        ('sandbox', '0002_lease'),
    ]

    operations = [
        migrations.RunPython(compress, restore),
    ]

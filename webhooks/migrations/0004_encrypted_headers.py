"""Encrypt the headers of webhooks, of what is sent again, and of requests that were sent.

The columns stay JSON: an object becomes a string, the object encrypted. No transaction, in steps:
there may be a great many attempts, and what has been done is recognized when it runs again.
"""

import json

from django.db import migrations

import webhooks.encrypted_fields
from webhooks.encrypted_fields import decrypt_once, seal, unseal

COLUMNS = (
    ("Webhook", "id", "headers"),
    ("Resend", "delivery_id", "headers"),
    ("Attempt", "id", "request_headers"),
)
STEP = 1000


def convert(schema_editor, apps, kind, change):
    """Change the values that are of a JSON kind: an object (`dict`) or a string (`str`)."""
    connection = schema_editor.connection
    for name, key, column in COLUMNS:
        table = apps.get_model("webhooks", name)._meta.db_table
        last = None
        while rows := read(connection, table, key, column, last):
            last = rows[-1][0]
            values = [(pk, json.loads(text)) for pk, text in rows]
            changed = [
                (json.dumps(change(value)), pk) for pk, value in values if isinstance(value, kind)
            ]
            with connection.cursor() as cursor:
                cursor.executemany(f"UPDATE {table} SET {column} = %s WHERE {key} = %s", changed)


def read(connection, table, key, column, last):
    """Return the next rows by their key, the JSON as text."""
    text = f"CAST({column} AS text)"
    after, params = ("", []) if last is None else (f"WHERE {key} > %s", [last])
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {key}, {text} FROM {table} {after} ORDER BY {key} LIMIT {STEP}", params)
        return cursor.fetchall()


def forwards(apps, schema_editor):
    convert(schema_editor, apps, dict, seal)


def backwards(apps, schema_editor):
    convert(schema_editor, apps, str, open_)


def open_(sealed):
    """Return the object; an unreadable one must not become an empty one for good."""
    if not decrypt_once(sealed):
        raise RuntimeError(
            "Headers cannot be decrypted: SIM_ENCRYPTION_KEY is not the key that they were stored "
            "with. Set that key, and migrate again."
        )
    return unseal(sealed)


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('webhooks', '0003_recent'),
    ]

    operations = [
        # The columns' type in the database is the same.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name='webhook',
                    name='headers',
                    field=webhooks.encrypted_fields.EncryptedJSONField(blank=True, default=dict),
                ),
                migrations.AlterField(
                    model_name='resend',
                    name='headers',
                    field=webhooks.encrypted_fields.EncryptedJSONField(default=dict),
                ),
                migrations.AlterField(
                    model_name='attempt',
                    name='request_headers',
                    field=webhooks.encrypted_fields.EncryptedJSONField(default=dict),
                ),
            ],
        ),
        migrations.RunPython(forwards, backwards),
    ]

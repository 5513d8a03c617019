"""Write a snapshot to a file."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from functools import partial
from typing import IO, Any

from django.conf import settings
from django.db import connection, models
from django.http import HttpResponse

from requests_queue.catalog import audit
from requests_queue.catalog.models import Parameter, User
from requests_queue.errors import Refused
from requests_queue.redaction import Redaction
from sandbox.snapshot_files import contents, values
from sandbox.snapshot_files.contents import Masks
from sandbox.snapshot_files.format import Manifest, Row, Writer
from sandbox.timeline.call_storage import password_names
from sandbox.world import snapshot_storage, snapshots, tables
from sandbox.world.snapshot_storage import Snapshot
from webhooks.http.headers import secret_values
from webhooks.models import Webhook

MEDIA_TYPE = "application/gzip"
_BATCH = 20  # rows that are in memory at once, each of up to 32 MiB


def response(name: str, secrets_of: Collection[str]) -> HttpResponse:
    """Return a snapshot as a download, recorded if it has secrets; raises what `export` raises."""
    with export(name, secrets_of) as file:
        for account in secrets_of:
            audit.record(audit.Action.WEBHOOK_REVEAL, "snapshot", name, account=account)
        headers = {
            "Content-Disposition": f'attachment; filename="{name}.jsonl.gz"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return HttpResponse(file.read(), content_type=MEDIA_TYPE, headers=headers)


def export(name: str, secrets_of: Collection[str] = ()) -> IO[bytes]:
    """Return a snapshot as a temporary file, with the secrets of these accounts' webhooks.

    Raises Invalid, Missing, Damaged, Conflict (of another version), Refused (409, too large).
    """
    snapshots.check_name(name)
    return tables.in_own_thread(partial(_export, name, secrets_of))


def _export(name: str, secrets_of: Collection[str]) -> IO[bytes]:
    snapshot = snapshots.usable(name)
    with snapshot_storage.current().opened(name, "exported") as schema:
        return write(snapshot, schema, secrets_of)


def write(snapshot: Snapshot, schema: str, secrets_of: Collection[str]) -> IO[bytes]:
    """Write the tables of a schema to a temporary file; raises Refused (409): a limit."""
    listed = contents.listed_models()
    counts = {model._meta.label: _count(model, schema) for model in listed}
    if not counts["catalog.Account"]:
        text = f"The snapshot {snapshot.name} cannot be a file: it has no account."
        raise Refused("SNP_004", text, status=409)
    manifest = Manifest(
        name=snapshot.name,
        created=snapshot.created,
        now=snapshot.now,
        application=settings.VERSION,
        secrets=sorted(secrets_of),
        migrations=contents.migrations(),
        tables=counts,
    )
    users = {row["id"]: row["uid"] for row in _rows(User, schema)}
    masks = _masks(schema, secrets_of)
    file = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        writer = Writer(file, manifest)
        for model in listed:
            names = [each.attname for each in tables.stored_fields(model)]
            writer.table(model._meta.label, names, _encoded(model, schema, masks, users))
        writer.finish()
    except BaseException:
        file.close()
        raise
    return file


def _count(model: type[models.Model], schema: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {tables.table(model, schema)}")
        count: int = cursor.fetchone()[0]
    return count


def _rows(model: type[models.Model], schema: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table by their keys, as the ORM reads them, by column."""
    columns = []
    for field in tables.stored_fields(model):
        column = field.get_col(model._meta.db_table)
        converters = [
            *connection.ops.get_db_converters(column),
            *column.get_db_converters(connection),
        ]
        columns.append((field.attname, column, converters))
    selected = tables.names(tables.columns_of(model))
    with connection.chunked_cursor() as cursor:
        cursor.execute(
            f"SELECT {selected} FROM {tables.table(model, schema)} ORDER BY {tables.key_of(model)}"
        )
        while batch := cursor.fetchmany(_BATCH):
            for stored in batch:
                row = {}
                for (name, column, converters), value in zip(columns, stored, strict=True):
                    for converter in converters:
                        value = converter(value, column, connection)
                    row[name] = value
                yield row


def _encoded(
    model: type[models.Model], schema: str, masks: Masks, users: dict[int, str]
) -> Iterator[Row]:
    """Yield the rows of a table as a file has them."""
    mask = masks.of_table(model)
    people = [each.attname for each in tables.stored_fields(model) if contents.is_user(each)]
    for row in _rows(model, schema):
        mask(row)
        for name in people:
            row[name] = users.get(row[name])
        yield list(map(values.encode, row.values()))


def _masks(schema: str, secrets_of: Collection[str]) -> Masks:
    secrets: list[str] = []
    for webhook in _rows(Webhook, schema):
        secrets += [webhook["jwt_secret"], *secret_values(webhook["headers"])]
    passwords = [row for row in _rows(Parameter, schema) if row["type"] == "password"]
    return Masks(
        webhooks=Redaction(secrets),
        names=password_names((row["product_id"], row["number"], row["name"]) for row in passwords),
        parameters={row["id"] for row in passwords},
        shown=secrets_of,
    )

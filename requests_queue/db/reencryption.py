"""Replacing the key of encrypted columns: find them, count their rows, re-encrypt them in steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import connection, models, transaction
from django.db.models.functions import Cast

from requests_queue.db import encryption

STEP = 200  # rows of one transaction, so that deliveries never wait long for a lock
EXAMPLES = 20  # rows that are named for a column
_FIELDS = (encryption.CiphertextField, encryption.EncryptedTextField, encryption.EncryptedJSONField)


@dataclass(frozen=True, slots=True)
class Column:
    """An encrypted column of a table."""

    model: type[models.Model]
    name: str
    is_json: bool

    def __str__(self) -> str:
        return f"{self.model._meta.label}.{self.name}"

    def rows(self) -> models.QuerySet[Any]:
        """Return all rows, with the column as it is stored as `stored`."""
        # Deleted webhooks too, which the default manager leaves out.
        rows = self.model._base_manager.annotate(stored=Cast(self.name, models.TextField()))
        return rows.order_by("pk")

    def ciphertext(self, stored: str) -> str | None:
        """Return the encrypted text of a stored value, or None if nothing is encrypted."""
        if not self.is_json:
            return stored or None
        value = json.loads(stored)
        # Attempts that sent nothing have an empty object.
        return value if isinstance(value, str) else None

    def replace(self, pk: Any, stored: str, text: str) -> bool:
        """Store an encrypted text, unless the row has changed; return whether it was stored."""
        output: Any = models.JSONField() if self.is_json else models.TextField()
        rows = self.rows().filter(pk=pk, stored=stored).order_by()
        return bool(rows.update(**{self.name: models.Value(text, output)}))


@dataclass(slots=True)
class Count:
    """What was found in a column; `examples` has the first primary keys that no key decrypts."""

    replaced: int = 0
    current: int = 0
    unreadable: int = 0
    examples: list[Any] = field(default_factory=list)


def columns() -> list[Column]:
    """Return the encrypted columns of all installed apps."""
    return [
        Column(model, column.attname, isinstance(column, encryption.EncryptedJSONField))
        for model in apps.get_models()
        for column in model._meta.concrete_fields
        if isinstance(column, _FIELDS)
    ]


def reencrypt(column: Column, *, is_dry: bool = False, step: int = STEP) -> Iterator[Count]:
    """Re-encrypt a column with the first key, and yield the count after each step.

    Each step is a transaction, so an interrupted run keeps its steps, and the next run skips them.
    """
    count, last = Count(), None
    while True:
        rows = column.rows() if last is None else column.rows().filter(pk__gt=last)
        with transaction.atomic():
            read = list(rows.values_list("pk", "stored")[:step])
            for pk, stored in read:
                _reencrypt_row(count, column, pk, stored, is_dry=is_dry)
        yield count
        if len(read) < step:
            return
        last = read[-1][0]


def _reencrypt_row(
    count: Count, column: Column, pk: Any, stored: str | None, *, is_dry: bool
) -> None:
    # An edit between SELECT and UPDATE wins; its value may be of an older key, so look again.
    while stored is not None and (text := column.ciphertext(stored)) is not None:
        if encryption.is_current(text):
            count.current += 1
            return
        replacement = encryption.reencrypt(text)
        if replacement is None:
            count.unreadable += 1
            if len(count.examples) < EXAMPLES:
                count.examples.append(pk)
            return
        if is_dry or column.replace(pk, stored, replacement):
            count.replaced += 1
            return
        stored = column.rows().filter(pk=pk).values_list("stored", flat=True).first()


def unreadable(limit: int) -> dict[Column, list[Any]]:
    """Return the primary keys that no key decrypts, of the last `limit` rows of each column."""
    tables = set(connection.introspection.table_names())
    result: dict[Column, list[Any]] = {}
    for column in columns():
        # Before the first migration there is no table.
        if column.model._meta.db_table not in tables:
            continue
        rows = column.rows().order_by("-pk").values_list("pk", "stored")[:limit]
        failed = [
            pk
            for pk, stored in rows
            if stored is not None
            and (text := column.ciphertext(stored)) is not None
            and encryption.reencrypt(text) is None
        ]
        if failed:
            result[column] = failed
    return result

"""Copies of a platform's accounts with all their objects: its rows with other ids.

All models are copied, so a new queue needs no change here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from django.apps import apps
from django.core.management.color import no_style
from django.db import connection, models, transaction

from requests_queue import clock
from requests_queue.catalog.models import Agreement, ApiToken, Marketplace, Parameter, Product
from requests_queue.catalog.representations.parameters import parameter_id
from requests_queue.catalog.representations.translations import translation_id
from requests_queue.conversations.models import Conversation, Message, label

# `PRD-814-505-018`, `UF-2026-05-0001`, `CO-000-000-001`; in texts too.
ID = re.compile(r"\b[A-Z]{2,4}(?:-\d{2,})+\b")
# Lists show the newest first: copies are older, so the originals stay in front.
OLDER = timedelta(seconds=1)
# Unique fields besides the primary key, for an owner that copies may share.
_NAMES = ("username", "external_uid", "external_id")
# Integer keys of the first copy begin here: above all that other tests have used before.
FIRST_PK = 10_000_000
# Copies are numbered below it.
_NOWHERE = 5
# A single row for all, or a key of one user only.
_NEVER = ("requests_queue.Clock", "catalog.ApiToken")
# Dates of what tests restore are relative to its creation, so it expires.
_FRESH = timedelta(hours=1)

Rows = dict[type[models.Model], list[Any]]
T = TypeVar("T")


def rows() -> Rows:
    """Return every row of the platform, to be copied."""
    return {model: list(model._default_manager.all()) for model in _models()}


class Snapshot:
    """All rows of a platform, to be added unchanged to an empty one.

    The statements of the first time are repeated: Django needs five times as long to compose them
    as the database to run them.
    """

    def __init__(self) -> None:
        self._rows = rows() | {ApiToken: list(ApiToken.objects.all())}
        self._statements: list[tuple[str, Any]] = []

    def restore(self) -> None:
        """Add the rows."""
        if self._statements:
            with connection.cursor() as cursor:
                for sql, parameters in self._statements:
                    cursor.execute(sql, parameters)
            return
        with connection.execute_wrapper(self._record):
            for model, rows in self._rows.items():
                model._default_manager.bulk_create(rows)
            # PostgreSQL numbers new rows by its sequences.
            with connection.cursor() as cursor:
                for statement in connection.ops.sequence_reset_sql(no_style(), list(self._rows)):
                    cursor.execute(statement)

    def _record(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.startswith(("SAVEPOINT", "RELEASE")):
            self._statements.append((sql, params))
        return execute(sql, params, many, context)


class Restored(Generic[T]):
    """What `create` adds to an empty platform: later tests of the process get the same rows, as
    creating them takes longer than most tests."""

    def __init__(self, create: Callable[[], T]) -> None:
        self._create = create
        self._last: tuple[datetime, T, Snapshot] | None = None

    def __call__(self) -> T:
        now = clock.now()
        if self._last and abs(now - self._last[0]) < _FRESH:
            # Foreign keys are checked at the end of the transaction.
            with transaction.atomic():
                self._last[2].restore()
        else:
            self._last = now, self._create(), Snapshot()
        return self._last[1]


@dataclass
class Copy:
    """Creates a copy; rows in `shared`, by (model, key), are shared with the original."""

    number: int
    shared: set[tuple[type[models.Model], Any]] = field(default_factory=set)
    # New identifiers by old ones, of rows and of the API's representations of row numbers.
    ids: dict[str, str] = field(default_factory=dict)

    def make(self, originals: Rows) -> Copy:
        """Copy the rows; constraints are checked when the transaction ends."""
        for model, rows in originals.items():
            self._name(model, rows)
        for model, rows in originals.items():
            fresh = [self._row(model, row) for row in rows if not self._is_shared(model, row.pk)]
            model._default_manager.bulk_create(fresh)
        return self

    def of(self, text: str) -> str:
        """Return a text with the identifiers of the copy."""
        return ID.sub(lambda rows: self.ids.get(rows[0], rows[0]), text)

    def shown(self) -> set[str]:
        """Return the identifiers of the copy that the original doesn't have."""
        return set(self.ids.values())

    def _name(self, model: type[models.Model], rows: Iterable[models.Model]) -> None:
        prefix = {Conversation: "CO", Message: "ME"}.get(model)
        for row in rows:
            if self._is_shared(model, row.pk):
                continue
            for name in ("pk", "uid"):
                if isinstance(value := getattr(row, name, None), str):
                    self.ids[value] = self._other(value)
            if isinstance(row, Parameter):
                fresh = Parameter(number=row.number, product_id=self._other(row.product_id))
                self.ids[parameter_id(row)] = parameter_id(fresh)
            if isinstance(row, Product):
                fresh_product = Product(pk=self._other(row.pk))
                self.ids[translation_id(row)] = translation_id(fresh_product)
            if isinstance(row, Agreement) and row.marketplace and not row.parent_id:
                # It follows from the marketplace's.
                fresh_place = Marketplace(pk=self._other(row.marketplace.pk))
                self.ids[row.pk] = Agreement.of_marketplace(fresh_place).pk
            if hasattr(row, "shown_id") and hasattr(row, "environment_id"):
                # What an extension has: numbered, with the identifier of its environment.
                environment = self._other(row.environment_id)
                fresh_row = model(pk=self._number(row.pk), environment_id=environment)
                self.ids[row.shown_id] = fresh_row.shown_id  # type: ignore[attr-defined]
            if prefix:
                self.ids[label(prefix, row.pk)] = label(prefix, self._number(row.pk))

    def _is_shared(self, model: type[models.Model], pk: Any) -> bool:
        return (model, pk) in self.shared

    def _row(self, model: type[models.Model], row: Any) -> models.Model:
        values = {
            f.attname: self._value(f, getattr(row, f.attname)) for f in model._meta.concrete_fields
        }
        return model(**values)

    def _value(self, column: Any, value: Any) -> Any:
        target = column.related_model if column.is_relation else None
        if isinstance(value, int) and (column.primary_key or target):
            model = target or column.model
            is_copied = model._meta.app_label in _labels() and not self._is_shared(model, value)
            return self._number(value) if is_copied else value
        if isinstance(value, datetime) and column.name == "created":
            return value - OLDER
        if isinstance(value, str) and value and column.name in _NAMES:
            return self.of(value) if ID.search(value) else f"{value}-{self.number}"
        return self._renamed(value)

    def _renamed(self, value: Any) -> Any:
        """Return a value with the identifiers in it replaced."""
        match value:
            case str():
                return self.of(value)
            case list():
                return [self._renamed(each) for each in value]
            case dict():
                return {key: self._renamed(each) for key, each in value.items()}
        return value

    def _number(self, number: int) -> int:
        return number + self.number * FIRST_PK

    def _other(self, pk: str) -> str:
        """Return the identifier with other digits, the same for each copy of this number."""
        return _turned(pk, self.number)


def nowhere(text: str) -> str:
    """Return a text with each identifier replaced by an unused one."""
    return ID.sub(lambda rows: _turned(rows[0], _NOWHERE), text)


def _turned(pk: str, by: int) -> str:
    return re.sub(r"\d", lambda digit: str((int(digit[0]) + by) % 10), pk)


def _labels() -> set[str]:
    return {model._meta.app_label for model in _models()}


def _models() -> Iterator[type[models.Model]]:
    for config in apps.get_app_configs():
        if config.name.startswith(("requests_queue", "webhooks", "extensions")):
            for model in config.get_models(include_auto_created=True):
                if model._meta.label not in _NEVER:
                    yield model

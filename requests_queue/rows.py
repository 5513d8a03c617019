"""Base classes of models, and lookups of one row that raise the API's errors."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Self, TypeVar

from django.db import models
from django.db.models.base import ModelState

from requests_queue.errors import Invalid, Missing

M = TypeVar("M", bound=models.Model)


class Row(models.Model):
    """A model whose rows are read by the hundred.

    A list of 50 requests has about 800 instances, and `Model.__init__` (a setattr per column, two
    signals) takes most of the time to create them.
    """

    class Meta:
        abstract = True

    @classmethod
    def from_db(  # type: ignore[override]  # the stubs are of a later Django
        cls,
        db: str | None,
        field_names: Collection[str],
        values: Collection[Any],
    ) -> Self:
        """Return the instance of a row; deferred columns are fetched on access."""
        row = cls.__new__(cls)
        state = ModelState()
        state.adding, state.db = False, db
        attributes = row.__dict__
        attributes["_state"] = state
        attributes.update(zip(field_names, values, strict=True))
        return row


class Named(Row):
    """An object with an identifier of Connect and a name."""

    id = models.CharField(max_length=32, primary_key=True)
    name = models.CharField(max_length=255)
    created = models.DateTimeField()

    class Meta:
        abstract = True
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"


def find_one(rows: models.QuerySet[M]) -> M | None:
    """Return the row of a query that finds one at most, None without one.

    Unlike with `first`, Django writes no ORDER BY, which takes a tenth of a request's CPU time.
    """
    return next(iter(rows.order_by()[:1]), None)


def get_row(rows: models.QuerySet[M], pk: str) -> M:
    """Return the row with this key; raises Missing."""
    row = find_one(rows.filter(pk=pk))
    if row is None:
        raise Missing(pk)
    return row


def get_named(rows: models.QuerySet[M], pk: str | None, path: str, title: str) -> M:
    """Return the row that a body names at `path`; raises Invalid."""
    if pk is None:
        raise Invalid(path, "This field is required.", "required")
    row = find_one(rows.filter(pk=pk))
    if row is None:
        raise Invalid(path, f"{title} {pk} does not exist.", "does_not_exist")
    return row

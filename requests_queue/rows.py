"""A model base class that creates instances from rows faster than Django's constructor."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Self

from django.db import models
from django.db.models.base import ModelState


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
        row.__dict__ = {"_state": ModelState(), **dict(zip(field_names, values, strict=True))}
        row._state.adding, row._state.db = False, db
        return row

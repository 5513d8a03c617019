"""How rows of the platform become objects: without what Django's constructor does for others."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Self

from django.db import models
from django.db.models.base import ModelState


class Row(models.Model):
    """A model whose rows are read by the hundred.

    A list of 50 requests is some 800 objects, and `Model.__init__` (a setattr a column, two
    signals) is the dearest part of making them.
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
        """Return the object of a row; a column that wasn't read is fetched when it is asked for."""
        row = cls.__new__(cls)
        row.__dict__ = {"_state": ModelState(), **dict(zip(field_names, values, strict=True))}
        row._state.adding, row._state.db = False, db
        return row

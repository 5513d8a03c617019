"""How the seed writes: what is missing is inserted, what is there is left alone."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import models


def add_missing(rows: Sequence[models.Model], *key: str) -> int:
    """Insert the rows whose key (default: the id) isn't there yet; return how many.

    Of two seeds at the same time the later waits for the earlier one's rows and skips them;
    a row that breaks another unique constraint has lost its place to a row of the user's.
    """
    if not rows:
        return 0
    names = key or ("pk",)
    table = type(rows[0])._default_manager
    wanted = [tuple(getattr(row, name) for name in names) for row in rows]
    known = set(table.filter(**{f"{names[0]}__in": {k[0] for k in wanted}}).values_list(*names))
    fresh = [row for row, k in zip(rows, wanted, strict=True) if k not in known]
    table.bulk_create(fresh, ignore_conflicts=True)
    return len(fresh)

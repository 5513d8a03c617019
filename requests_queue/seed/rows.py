"""Insertion of missing rows."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import models


def add_missing(rows: Sequence[models.Model], *key: str) -> int:
    """Insert the rows whose key (default: the id) does not exist yet; return their number.

    Concurrent seeds: the later one waits for the rows of the earlier one and skips them. Rows
    that break another unique constraint, because of a user's row, are skipped too.
    """
    if not rows:
        return 0
    names = key or ("pk",)
    table = type(rows[0])._default_manager
    keys = [tuple(getattr(row, name) for name in names) for row in rows]
    existing = set(table.filter(**{f"{names[0]}__in": {k[0] for k in keys}}).values_list(*names))
    missing = [row for row, k in zip(rows, keys, strict=True) if k not in existing]
    table.bulk_create(missing, ignore_conflicts=True)
    return len(missing)

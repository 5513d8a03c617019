"""Detect a database whose recorded migrations no longer exist in the code."""

from __future__ import annotations

from django.apps import apps
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

_OUR_PACKAGES = ("connect_sim", "sandbox", "portal", "webhooks", "requests_queue")


def problem(using: str = "default") -> str | None:
    """Return why the database cannot be migrated, or None if it can.

    Such a database was created before the migrations were replaced. Django would ignore the unknown
    names, and fail on the first table that exists already.
    """
    connection = connections[using]
    ours = {
        config.label
        for config in apps.get_app_configs()
        if config.name.partition(".")[0] in _OUR_PACKAGES
    }
    existing = MigrationLoader(None).disk_migrations
    recorded = MigrationRecorder(connection).applied_migrations()
    missing = sorted(key for key in recorded if key[0] in ours and key not in existing)
    if not missing:
        return None
    return (
        f"The database was created by an older version (its migration {'.'.join(missing[0])} no "
        "longer exists): run `make fresh` to start with an empty one."
    )

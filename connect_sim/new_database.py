"""Create all tables of an empty database at once.

Migrations render all related models again for each operation, which takes most of the time of a
first start. The tables are made from the models instead, and the migrations are recorded as
applied; of their operations only those run that the models don't show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.apps import apps
from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration, RunPython
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import RunSQL, SeparateDatabaseAndState
from django.db.migrations.recorder import MigrationRecorder


def is_empty(using: str) -> bool:
    """Return whether a database has no tables at all, nor views of somebody else."""
    return not connections[using].introspection.table_names(include_views=True)


def create(using: str) -> None:
    """Create the tables of all apps, or nothing at all."""
    connection = connections[using]
    migrations = _all_migrations(connection)
    # SQLite can switch the check of foreign keys outside of a transaction only.
    with connection.constraint_checks_disabled(), transaction.atomic(using):
        with connection.schema_editor() as editor:
            for config in apps.get_app_configs():
                for model in router.get_migratable_models(config, using):
                    if model._meta.can_migrate(connection):
                        editor.create_model(model)
        # On PostgreSQL, what a schema editor postpones is executed when it ends.
        with connection.schema_editor() as editor:
            for migration in migrations:
                for code in _code(migration.operations):
                    code(apps, editor)
        recorder = MigrationRecorder(connection)
        recorder.ensure_schema()
        recorder.migration_qs.bulk_create(
            recorder.Migration(app=each.app_label, name=each.name) for each in migrations
        )


def _all_migrations(connection: BaseDatabaseWrapper) -> list[Migration]:
    """Return all migrations, each after those that it depends on."""
    graph = MigrationLoader(connection).graph
    plan: dict[tuple[str, str], None] = {}
    for leaf in graph.leaf_nodes():
        plan |= dict.fromkeys(graph.forwards_plan(leaf))
    return [graph.nodes[key] for key in plan]


def _code(operations: Iterable[Any]) -> Iterator[Callable[..., Any]]:
    """Yield the functions of operations that change data, or what models don't describe."""
    for operation in operations:
        if isinstance(operation, RunPython):
            yield operation.code
        elif isinstance(operation, RunSQL | SeparateDatabaseAndState):
            raise NotImplementedError(f"{operation} cannot be applied to a new database.")

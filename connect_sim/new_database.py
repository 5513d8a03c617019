"""Create all tables of an empty database at once.

Migrations render all related models again for each operation, which takes most of the time of a
first start. The tables are made from the models instead, and the migrations are recorded as
applied; of their operations only those run that the models don't show.
"""

from __future__ import annotations

from django.apps import apps
from django.db import connections, router, transaction
from django.db.migrations import RunPython
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations import RunSQL, SeparateDatabaseAndState


def is_empty(using: str) -> bool:
    """Return whether a database has no tables at all, nor views of somebody else."""
    return not connections[using].introspection.table_names(include_views=True)


def create(using: str) -> None:
    """Create the tables of all apps, or nothing at all."""
    connection = connections[using]
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    # SQLite can switch the check of foreign keys outside of a transaction only.
    with connection.constraint_checks_disabled(), transaction.atomic(using):
        with connection.schema_editor() as editor:
            for config in apps.get_app_configs():
                for model in router.get_migratable_models(config, using):
                    if model._meta.can_migrate(connection):
                        editor.create_model(model)
        # On PostgreSQL, what a schema editor postpones is executed when it ends.
        with connection.schema_editor() as editor:
            for operation in (each for migration, _ in plan for each in migration.operations):
                if isinstance(operation, RunPython):
                    # Without rows, the present models do as well as those of that time.
                    operation.code(apps, editor)  # type: ignore[arg-type]
                elif isinstance(operation, RunSQL | SeparateDatabaseAndState):
                    raise NotImplementedError(f"{operation} cannot be applied to a new database.")
        for migration, _ in plan:
            executor.recorder.record_applied(migration.app_label, migration.name)

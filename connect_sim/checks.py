"""Checks at a start: of the settings, and of the migrations that the database has had."""

from __future__ import annotations

import logging
import os
import pkgutil
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.auth.models import Permission
from django.core.checks import CheckMessage, Error, Tags, Warning, register, run_checks
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from connect_sim import SERVER_PACKAGES, tracing
from connect_sim.installation import StartError
from requests_queue.catalog import keys
from requests_queue.db import reencryption
from requests_queue.errors import Invalid

logger = logging.getLogger(__name__)
TAG = "settings"
_OUR_PACKAGES = ("connect_sim", *SERVER_PACKAGES)
_CHECKED_ROWS = 500  # of each encrypted column, the newest
# Settings of removed limits; a proxy in front limits slow clients.
_REMOVED = ("SIM_CONNECTIONS", "SIM_BODY_RATE", "SIM_BODY_WINDOW")
_KEY_HINT = "Correct the key, or remove the variable: a sandbox creates its own keys."


def serious_errors() -> list[CheckMessage]:
    """Return the errors that prevent a start, for processes that do not run Django's checks."""
    return [message for message in run_checks(tags=[TAG]) if message.is_serious()]


def require_valid_settings() -> None:
    """Log the warnings about settings; raises StartError if one of them cannot work."""
    if errors := serious_errors():
        # Django writes a question mark for the object, which a setting doesn't have.
        raise StartError("\n".join(str(error).removeprefix("?: ") for error in errors))
    for warning in run_checks(tags=[TAG]):
        logger.warning("%s %s", warning.msg, warning.hint)


@register(TAG)
def values(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Report each invalid environment variable."""
    messages: list[CheckMessage] = [*settings.SETTING_PROBLEMS]
    for name in ("SIM_VENDOR_API_KEY", "SIM_PROVIDER_API_KEY"):
        try:
            if value := getattr(settings, name):
                keys.parse(value)
        except Invalid as error:
            messages.append(
                Error(f"{name} cannot be used. {error}", hint=_KEY_HINT, id="connect_sim.E002")
            )
    if removed := ", ".join(name for name in _REMOVED if os.environ.get(name)):
        messages.append(
            Warning(
                f"Settings that no longer exist have no effect: {removed}.",
                hint="Remove them, also from the file .env; a proxy can limit slow clients.",
                id="connect_sim.W014",
            )
        )
    return messages


@register(TAG)
def proxy(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Report a redirect to https without a trusted proxy that marks requests that used https."""
    if not settings.SECURE_SSL_REDIRECT or settings.SIM_TRUSTED_PROXY.strip(", "):
        return []
    return [
        Error(
            "SIM_SSL_REDIRECT redirects every request to https, but no trusted proxy marks the "
            "requests that used https: the redirects would never end.",
            hint="Set SIM_TRUSTED_PROXY to the address of the TLS proxy, or "
            "SIM_SSL_REDIRECT=false.",
            id="connect_sim.E012",
        )
    ]


@register(TAG)
def tracing_packages(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Report missing packages of the extra `otel`, if traces are wanted."""
    if not settings.SIM_OTLP_ENDPOINT or tracing.is_installed():
        return []
    return [
        Error(
            "SIM_OTLP_ENDPOINT is set, but OpenTelemetry is not installed.",
            hint="Install connect-sim[otel], or unset the variable.",
            id="connect_sim.E013",
        )
    ]


@register(TAG)
def combinations(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Report a database or broker that cannot be shared by several processes."""
    if settings.SANDBOX:
        return []
    messages: list[CheckMessage] = []
    if settings.CELERY_BROKER_URL.startswith("memory:"):
        messages.append(
            Error(
                "CELERY_BROKER_URL is memory://, which is limited to one process.",
                hint="Set CELERY_BROKER_URL, for example to redis://localhost:6379/0.",
                id="connect_sim.E010",
            )
        )
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        messages.append(
            Warning(
                "SQLite is limited to the processes of one machine.",
                hint="Set DATABASE_URL, for example to postgres://user:password@host/name.",
                id="connect_sim.W011",
            )
        )
    return messages


@register(Tags.database)
def encrypted_rows(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Report rows that no key of SIM_ENCRYPTION_KEY decrypts (`check --database default`)."""
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    return [
        Warning(
            f"{column} cannot be decrypted in {len(failed)} of the newest {_CHECKED_ROWS} rows, "
            f"such as {failed[0]}: SIM_ENCRYPTION_KEY lacks the key of these rows.",
            hint="Append the key to SIM_ENCRYPTION_KEY, after a comma, or save new secrets.",
            id="connect_sim.W013",
        )
        for column, failed in reencryption.unreadable(_CHECKED_ROWS).items()
    ]


def migration_problem(using: str = "default") -> str | None:
    """Return why the database cannot be migrated, or None if it can.

    It may be of a newer version, or from before the migrations were replaced: Django would ignore
    the unknown names, and fail on the first table that exists already. Or it is of a handler that
    has a DATABASE_URL too.
    """
    connection = connections[using]
    ours = {
        config.label: config
        for config in apps.get_app_configs()
        if config.name.partition(".")[0] in _OUR_PACKAGES
    }
    existing = {(label, name) for label, config in ours.items() for name in _migrations(config)}
    recorded = MigrationRecorder(connection).applied_migrations()
    missing = sorted(key for key in recorded if key[0] in ours and key not in existing)
    if not missing:
        return None if ours.keys() & {app for app, _ in recorded} else _others_problem(connection)
    return (
        f"The database was created by another version: Connect Sim {settings.VERSION} has no "
        f"migration {'.'.join(missing[0])}. Use that version, or delete the data with "
        f"`{settings.PROGRAM} manage fresh`."
    )


def is_migrated(using: str) -> bool:
    """Return whether all migrations were applied, and permissions created, which follows them."""
    recorded = MigrationRecorder(connections[using]).applied_migrations().keys()
    configs = apps.get_app_configs()
    if recorded != {(config.label, name) for config in configs for name in _migrations(config)}:
        return False
    of_models = ("content_type__app_label", "content_type__model")
    created = Permission.objects.using(using).values_list(*of_models)
    models = {(model._meta.app_label, model._meta.model_name) for model in apps.get_models()}
    return models <= set(created.distinct().order_by())


def _migrations(config: AppConfig) -> list[str]:
    """Return the names of an app's migrations.

    Django's loader would import them, and a worker would keep them in its memory.
    """
    try:
        package = import_module(f"{config.name}.migrations")
    except ModuleNotFoundError:
        return []
    modules = pkgutil.iter_modules(package.__path__)
    return [module.name for module in modules if module.name[0] not in "_~"]


def _others_problem(connection: BaseDatabaseWrapper) -> str | None:
    """Return a problem if a database without tables of ours has some of another program."""
    introspection = connection.introspection
    known = {*introspection.django_table_names(), MigrationRecorder.Migration._meta.db_table}
    others = sorted(set(introspection.table_names()) - known)
    if not others:
        return None
    return (
        f"The database that DATABASE_URL names has tables of another program ({others[0]}): name "
        "an empty one, or unset DATABASE_URL, also in the file .env, to use SQLite."
    )

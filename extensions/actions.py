"""What users and runners do with extensions: create, install, connect, impersonate."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from extensions import dispatch, fan_out, messages
from extensions.models import (
    INSTALLED,
    LOG_LEVEL,
    MULTIACCOUNT,
    PRODUCTS,
    SKIPPED,
    UNINSTALLED,
    WAITING,
    Environment,
    Extension,
    Installation,
    Instance,
    Task,
    Variable,
)
from requests_queue import clock, ids
from requests_queue.catalog import keys
from requests_queue.catalog.models import Account, Product
from requests_queue.errors import ActionNotAllowed, Invalid

KEY_LIFETIME = timedelta(hours=1)
_RENEWED = 1800.0  # seconds after which a task gets another key of its installation

# The key of each installation, and until when (monotonic) tasks get it; never stored.
_keys: dict[str, tuple[str, float]] = {}
_guard = threading.Lock()


def products_of(account: Account, ids: Collection[str] | None = None) -> list[Product]:
    """Return products of an account, none by default; raises Invalid for any other one."""
    products = list(Product.objects.filter(owner=account, pk__in=ids or ()))
    if unknown := sorted(set(ids or ()) - {each.pk for each in products}):
        raise Invalid("products", f"{unknown[0][:40]} is no product of this account.")
    return products


@transaction.atomic
def create(
    account: Account,
    name: str,
    products: Collection[Product] = (),
    *,
    type: str = PRODUCTS,
    accounts: Collection[str] = (),
) -> Environment:
    """Create an extension with a development environment, and install it for its own account.

    One of several accounts is installed for `accounts`, too, by default for all that there are; an
    unknown one is Invalid. Without products, it is for all of
    the account, also for later ones.
    """
    now = clock.shown(clock.now())
    row = Extension(type=type, name=name, account=account, created_at=now)
    extension = ids.create(row, "SRVC-dddd-dddd")
    extension.products.set(products)
    number = extension.pk.removeprefix("SRVC-")
    # The published runner derives the service's id from this one.
    environment = Environment.objects.create(pk=f"ENV-{number}-01", extension=extension)
    install(environment, account)
    others = Account.objects.exclude(pk=account.pk).order_by("pk") if type == MULTIACCOUNT else ()
    if unknown := sorted({*accounts} - {account.pk} - {each.pk for each in others}):
        raise Invalid("accounts", f"{unknown[0][:40]} can't install this extension.")
    for other in others:
        if not accounts or other.pk in accounts:
            install(environment, other)
    return environment


def installable(account: Account, environment_id: str) -> Environment:
    """Return an environment of the account, or of an extension for all; raises Invalid."""
    rows = Environment.objects.filter(
        Q(extension__account=account) | Q(extension__type=MULTIACCOUNT)
    )
    environment = rows.filter(pk=environment_id).first()
    if environment is None:
        raise Invalid("environment.id", f"{environment_id[:40]} does not exist.", "does_not_exist")
    return environment


@transaction.atomic
def install(
    environment: Environment, account: Account, settings: Mapping[str, Any] | None = None
) -> Installation:
    """Install an extension for an account; raises Invalid where it is installed."""
    now = clock.now()
    # Lock: two requests at the same time.
    Environment.objects.select_for_update().get(pk=environment.pk)
    existing = Installation.objects.filter(
        environment=environment, account=account, status=INSTALLED
    )
    if (pk := existing.values_list("pk", flat=True).first()) is not None:
        raise Invalid("environment.id", f"It is installed: {pk}.")
    row = Installation(
        environment=environment,
        account=account,
        settings=dict(settings or {}),
        created_at=clock.shown(now),
    )
    created = ids.create(row, "EIN-dddd-dddd-dddd")
    fan_out.record_installation(created, now)
    return created


@transaction.atomic
def uninstall(installation: Installation) -> None:
    """Uninstall an extension; its tasks that wait are skipped. Raises ActionNotAllowed."""
    now = clock.now()
    updated = Installation.objects.filter(pk=installation.pk, status=INSTALLED).update(
        status=UNINSTALLED, uninstalled_at=clock.shown(now)
    )
    if not updated:
        raise ActionNotAllowed(f"{installation.pk} is uninstalled.")
    Task.objects.filter(installation=installation, status__in=WAITING).update(
        status=SKIPPED, due_at=None, finished_at=now, output="The extension was uninstalled."
    )
    installation.refresh_from_db()
    fan_out.record_installation(installation, now)


def instance(environment: Environment, uid: str, kind: str) -> Instance:
    """Return the row of a runner's process for one kind of task."""
    row, _ = Instance.objects.get_or_create(
        environment=environment,
        uid=uid,
        kind=kind,
        defaults={"connected_at": datetime.now(UTC)},
    )
    return row


@transaction.atomic
def set_up(instance: Instance, setup: messages.Setup) -> dict[str, Any]:
    """Store what a runner has declared, and return the setup response.

    Variables get their initial values once; those that a user has set stay.
    """
    Environment.objects.filter(pk=instance.environment_id).update(
        subscriptions=dict(setup.subscriptions), schedulables=list(setup.schedulables)
    )
    Variable.objects.bulk_create(
        [
            Variable(environment_id=instance.environment_id, name=name, value=value, secure=secure)
            for name, value, secure in setup.variables
        ],
        ignore_conflicts=True,
    )
    return configuration(instance)


def configuration(instance: Instance) -> dict[str, Any]:
    """Return the setup response, which a runner takes over at any time."""
    environment = Environment.objects.select_related("extension__account").get(
        pk=instance.environment_id
    )
    extension = environment.extension
    return {
        "variables": [
            {"name": row.name, "value": row.value, "secure": row.secure}
            for row in Variable.objects.filter(environment=environment)
        ],
        "environment_type": "development",
        "logging": {
            # None: the runner sends its log nowhere.
            "logging_api_key": None,
            "log_level": LOG_LEVEL,
            "runner_log_level": LOG_LEVEL,
            "meta": {
                "account_id": extension.account_id,
                "account_name": extension.account.name,
                "service_id": extension.pk,
                "products": list(extension.products.order_by("pk").values_list("pk", flat=True)),
                "hub_id": None,
            },
        },
        "event_definitions": messages.event_definitions(),
        "environment_runtime": "local",
        "environment_hostname": None,
        "environment_domain": None,
    }


def frame(task: Task) -> dict[str, Any]:
    """Return the data of a claimed task's message.

    An extension that several accounts install gets the installation, and a key that acts there.
    """
    is_shared = task.environment.extension.type == MULTIACCOUNT
    return {
        "options": {
            "task_id": task.shown_id,
            "task_category": task.category,
            "correlation_id": dispatch.claim_id(task),
            "reply_to": task.environment_id,
            "api_key": f"ApiKey {key_of(task.installation)}" if is_shared else None,
            "installation_id": task.installation_id if is_shared else None,
            "connect_correlation_id": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01",
        },
        "input": {"event_type": task.event_type, "object_id": task.object_id, "data": task.data},
        "output": None,
    }


def key_of(installation: Installation) -> str:
    """Return a key of the installation's account, which expires after KEY_LIFETIME."""
    with _guard:
        key, until = _keys.get(installation.pk, ("", 0.0))
        if time.monotonic() < until:
            return key
        key = impersonate(installation)
        _keys[installation.pk] = key, time.monotonic() + _RENEWED
        return key


def impersonate(installation: Installation) -> str:
    """Make a key that acts for the installation's account."""
    key, _ = keys.create(
        installation.account,
        f"Extension {installation.environment.extension_id} ({installation.pk})",
        expires=datetime.now(UTC) + KEY_LIFETIME,
    )
    return key

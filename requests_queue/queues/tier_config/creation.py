"""Creation of tier configuration requests by the API: `POST /tier/config-requests`.

Those that an order needs are begun by `setup.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from requests_queue import clock, topics
from requests_queue.api.fields import Values
from requests_queue.catalog import parameter_values as parameters
from requests_queue.catalog import preview, tiers, visibility
from requests_queue.catalog.actors import DISTRIBUTOR, VENDOR, Actor
from requests_queue.catalog.models import Account, Connection, Product, TierAccount
from requests_queue.db.rows import get_named, get_row
from requests_queue.errors import ActionNotAllowed, Forbidden, Invalid, Missing, Refused
from requests_queue.queues import inquiries, transitions
from requests_queue.queues.base import Context
from requests_queue.queues.fulfillment import lookups
from requests_queue.queues.tier_config import effects, setup
from requests_queue.queues.tier_config.inputs import (
    TierConfigRequestInput,
    TierConfigRequestUpdate,
)
from requests_queue.queues.tier_config.models import TierConfig, TierConfigRequest

CREATE, UPDATE = TierConfigRequestInput(), TierConfigRequestUpdate()
# The product capability with which a type is created as a draft.
DRAFT_CAPABILITY = {"setup": "tiers.validation", "update": "tiers.configs.update.validation"}


def create(data: Mapping[str, Any], actor: Actor) -> TierConfigRequest:
    """Create the request of a body and return it.

    `{type?, status?, notes?, params[], configuration{id} | configuration{product{id},
    account{id | external_uid | whole}, tier_level, connection{id}?, marketplace{id}?,
    parent_account?}}`; without a type it is an
    update if the configuration is set up, else a setup.
    Raises Invalid, Forbidden, Missing, ActionNotAllowed, or Conflict (409) where one is open.
    """
    values = CREATE.check(data)
    if not _is_preview(values["configuration"], actor):
        _check_creator(values.get("type"), frozenset({actor.role}))
    try:
        return _create(values["configuration"], values, actor)
    except IntegrityError:
        # A concurrent call created the same reseller, who is found this time.
        return _create(values["configuration"], values, actor)


@transitions.atomic()
def _create(given: Values, data: Values, actor: Actor) -> TierConfigRequest:
    now = clock.now()
    pk = given.get("id")
    config = _named(pk, actor) if pk else _find_or_create(given, actor, now)
    kind = data.get("type") or ("setup" if config.activated is None else "update")
    roles = actor.roles_for(config.connection)
    _check_creator(kind, roles)
    effects.check_free(config, kind)
    phases = inquiries.writable(actor)
    params = parameters.fill(_current(config), data.get("params"), phases, path="params")
    effects.check_unique(config, params, config.params)
    notes = data.get("notes", "")
    status = "draft"
    if not _is_draft(config.product, kind, data, roles):
        status = setup.start_status(config, params, kind)
        if status == "tiers_setup" and config.parent is not None:
            setup.add_setup_requests([config.parent], now)
    return setup.add_request(config, kind, status, params, now, notes, actor)


def _check_creator(kind: str | None, roles: frozenset[str]) -> None:
    if kind == "setup" and DISTRIBUTOR not in roles:
        raise Forbidden("A request of type setup is created by the distributor.")


def _is_preview(given: Values, actor: Actor) -> bool:
    """Whether a vendor's body is about its preview environment."""
    if actor.role != VENDOR:
        return False
    if given.get("connection") == preview.CONNECTION:
        return True
    own = TierConfig.objects.filter(
        connection__vendor=actor.account, connection__provider=actor.account
    )
    return own.filter(pk=given.get("id")).exists()


def _is_draft(product: Product, kind: str, data: Values, roles: frozenset[str]) -> bool:
    # Where the capability is off, a draft isn't one (connect-extension-for-cb-commerce).
    capability = DRAFT_CAPABILITY.get(kind)
    wanted = data.get("status") == "draft" and DISTRIBUTOR in roles
    return wanted and capability is not None and bool(product.capability(capability))


def _current(config: TierConfig) -> parameters.Params:
    """Return the configuration's parameters, as the product has them now."""
    held = {p["id"]: p for p in config.params}
    return [
        {
            **blank,
            **{
                k: held[blank["id"]][k]
                for k in ("value", "structured_value")
                if k in blank and k in held.get(blank["id"], {})
            },
        }
        for blank in parameters.blank(config.product, setup.SCOPES[config.tier_level])
    ]


def visible_configs(account: Account) -> QuerySet[TierConfig]:
    """Return the configurations that an account sees: those of its connections."""
    return TierConfig.objects.filter(**visibility.party(account, "connection__"))


def _named(pk: str, actor: Actor) -> TierConfig:
    assert actor.account is not None
    found = visible_configs(actor.account).filter(pk=pk).first()
    locked = setup.lock_with_parent(found) if found else None
    if locked is None:
        raise Missing(pk)
    return locked


def _find_or_create(given: Values, actor: Actor, now: datetime) -> TierConfig:
    """Return the configuration of a product, reseller and level, created if there is none."""
    ordered = actor.role == DISTRIBUTOR or _is_preview(given, actor)
    if not ordered or actor.account is None:
        raise Invalid("configuration.id", "This field is required.")
    rows = visibility.products(actor.account)
    product = get_named(rows, given.get("product"), "configuration.product.id", "Product")
    level = _level(given, product)
    connection = _connection(given, product, actor)
    marketplace, contract = lookups.marketplace({}, given, connection)
    sold = TierConfig(
        product=product, connection=connection, marketplace=marketplace, contract=contract
    )
    account = _account(given, "account", connection, now)
    if account is None:
        raise Invalid("configuration.account", "This field is required.")
    accounts: dict[int, TierAccount | None] = {level: account}
    if level == 1:
        accounts[2] = _account(given, "parent_account", connection, now) or account.parent
    return setup.find_or_create(sold, accounts, now)[-1]


def _level(given: Values, product: Product) -> int:
    level: int | None = given.get("tier_level")
    if level is None:
        raise Invalid("configuration.tier_level", "This field is required.", "required")
    if level not in setup.levels(product):
        raise Refused(
            "REQ_003",
            f"The product doesn't configure resellers of tier {level}: that takes the capability "
            f"tiers.configs of this level, and parameters of scope tier{level}.",
        )
    return level


def _connection(given: Values, product: Product, actor: Actor) -> Connection:
    if actor.role == VENDOR:
        return preview.connection_of(product)
    mine = Connection.objects.select_related("provider", "vendor", "hub", "product").filter(
        provider=actor.account, product=product
    )
    pk = given.get("connection")
    if pk is None and (first := mine.first()):
        return first
    return get_named(mine, pk, "configuration.connection.id", "Connection")


def _account(given: Values, name: str, connection: Connection, now: datetime) -> TierAccount | None:
    return tiers.find_or_create(
        given.get(name),
        kind="reseller",
        owner=connection.provider,
        hub=connection.hub,
        path=f"configuration.{name}",
        now=now,
    )


@transaction.atomic
def edit(pk: str, data: Mapping[str, Any], actor: Actor) -> None:
    """Change notes and parameters of an open request by a PUT's body; raises Refused."""
    row = get_row(TierConfigRequest.objects.select_for_update(), pk)
    columns = effects.update(row, Context(actor, UPDATE.check(data), clock.now()))
    rows = TierConfigRequest.objects.filter(pk=pk, status=row.status)
    if not rows.update(**columns):
        raise ActionNotAllowed(f"{pk} has just been moved by somebody else.")
    topics.announce_objects(row.parties(), pk)


def write_params(row: TierConfigRequest, params: parameters.Params, now: datetime) -> None:
    """Write the parameters of a locked request; raises Invalid for a unique value in use."""
    effects.check_unique(row.configuration, params, row.params)
    rows = TierConfigRequest.objects.filter(pk=row.pk)
    rows.update(params=params, updated=clock.shown(now))
    topics.announce_objects(row.parties(), row.pk)

"""Configurations that an order needs, and the requests that set them up.

Lock order: the configuration of tier 2, then that of tier 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import IntegrityError
from django.db.models import Exists, OuterRef, Q, QuerySet

from requests_queue import clock, ids
from requests_queue.catalog import parameter_values as parameters
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import (
    Asset,
    Parameter,
    Product,
    TierAccount,
)
from requests_queue.db.rows import update_columns
from requests_queue.queues import inquiries, transitions
from requests_queue.queues.tier_config.models import OPEN, TierConfig, TierConfigRequest

SCOPES = {1: "tier1", 2: "tier2"}
# What has a product, and the connection, marketplace and contract that it is sold through.
Sold = Asset | TierConfig


def levels(product: Product) -> frozenset[int]:
    """Return the levels of tiers that a product configures.

    These are the levels of its capability `tiers.configs` for which it has parameters.
    """
    configs = product.capability("tiers.configs")
    # A capability without its switch is on.
    if not isinstance(configs, dict) or not configs.get("configs", bool(configs)):
        return frozenset()
    allowed = {1, 2} if str(configs.get("level")) == "2" else {1}
    scopes = set(
        Parameter.objects.filter(product=product, phase__in=("ordering", "fulfillment"))
        .exclude(type__in=("heading", "content"))
        .values_list("scope", flat=True)
    )
    return frozenset(level for level in allowed if SCOPES[level] in scopes)


def find_or_create(
    sold: Sold, accounts: Mapping[int, TierAccount | None], now: datetime
) -> list[TierConfig]:
    """Return the locked configurations of these accounts (by level), the higher level first.

    Creates missing ones, and leaves out levels that the product does not configure. Without an
    account of tier 2, the parent of the configuration of tier 1 is locked but not returned.
    """
    product_levels = levels(sold.product)
    configs: list[TierConfig] = []
    if not product_levels:
        return configs
    parent = _lock_parent(sold, accounts)
    if 2 in product_levels and (account := accounts.get(2)) is not None:
        parent = _find_or_create(sold, account, 2, None, now)
        configs.append(parent)
    if 1 in product_levels and (account := accounts.get(1)) is not None:
        configs.append(_find_or_create(sold, account, 1, parent, now))
    return configs


def _lock_parent(sold: Sold, accounts: Mapping[int, TierAccount | None]) -> TierConfig | None:
    """Lock and return the parent of the configuration of tier 1.

    Also locks the configuration of the given account of tier 2, in the order of their ids: an
    order may name another account of tier 2 than the order that created the configuration.
    """
    tier1, tier2 = accounts.get(1), accounts.get(2)
    parent = _rows(sold, tier1, 1).values_list("parent_id", flat=True).first() if tier1 else None
    other = _rows(sold, tier2, 2).values_list("pk", flat=True).first() if tier2 else None
    keys = {key for key in (parent, other) if key}
    locked = TierConfig.objects.select_for_update().filter(pk__in=keys).order_by("pk")
    return next((row for row in locked if row.pk == parent), None) if keys else None


def _rows(sold: Sold, account: TierAccount, level: int) -> QuerySet[TierConfig]:
    return TierConfig.objects.filter(
        account=account, connection=sold.connection, marketplace=sold.marketplace, tier_level=level
    )


def _find_or_create(
    sold: Sold, account: TierAccount, level: int, parent: TierConfig | None, now: datetime
) -> TierConfig:
    rows = _rows(sold, account, level).select_for_update()
    config = rows.first()
    if config is None:
        try:
            return _create(sold, account, level, parent, now)
        except IntegrityError:
            # Race: another transaction created it; wait for its lock.
            config = rows.get()
    if parent is not None and config.parent_id is None:
        config.parent = parent
        TierConfig.objects.filter(pk=config.pk).update(parent=parent)
    return config


def _create(
    sold: Sold, account: TierAccount, level: int, parent: TierConfig | None, now: datetime
) -> TierConfig:
    shown = clock.shown(now)
    return ids.create(
        TierConfig(
            product=sold.product,
            connection=sold.connection,
            marketplace=sold.marketplace,
            contract=sold.contract,
            account=account,
            tier_level=level,
            parent=parent,
            params=parameters.blank(sold.product, SCOPES[level]),
            created=shown,
            updated=shown,
        ),
        "tier_config",
    )


def lock(config: TierConfig) -> TierConfig:
    """Lock a configuration and return its current state."""
    return TierConfig.objects.select_for_update().get(pk=config.pk)


def lock_with_parent(config: TierConfig) -> TierConfig | None:
    """Lock the parent of a configuration, then the configuration; return its current state.

    Returns None where it was deleted meanwhile, together with a draft.
    """
    rows = TierConfig.objects.select_for_update()
    parent = rows.filter(pk=config.parent_id).first() if config.parent_id else None
    locked = rows.filter(pk=config.pk).first()
    if locked is not None:
        locked.parent = parent
    return locked


def configs_of_tiers(asset: Asset) -> QuerySet[TierConfig]:
    """Return the configurations of an asset's tiers, the higher level first."""
    return TierConfig.objects.filter(
        Q(account=asset.tier1_id, tier_level=1) | Q(account=asset.tier2_id, tier_level=2),
        connection=asset.connection_id,
        marketplace=asset.marketplace_id,
    ).order_by("-tier_level")


def waits_for_setup(asset: Asset) -> bool:
    """Return whether one of the asset's configurations is still being set up."""
    open_requests = TierConfigRequest.objects.filter(configuration=OuterRef("pk"), status__in=OPEN)
    return configs_of_tiers(asset).filter(Exists(open_requests), activated=None).exists()


def start_status(config: TierConfig, params: parameters.Params, kind: str) -> str:
    """Return the first status of a request; a setup waits for the setup of the parent."""
    if kind == "setup" and config.parent is not None and config.parent.activated is None:
        return "tiers_setup"
    return inquiries.first_status(params)


def add_setup_requests(configs: list[TierConfig], now: datetime) -> None:
    """Create a setup request for each configuration that is not set up and has none."""
    for config in configs:
        if config.activated is None and not config.requests.filter(status__in=OPEN).exists():
            params = parameters.blank(config.product, SCOPES[config.tier_level])
            status = start_status(config, params, "setup")
            if status == "tiers_setup" and config.parent is not None:
                # The parent may have no open request, only a draft.
                add_setup_requests([config.parent], now)
            add_request(config, "setup", status, params, now)


def add_request(
    config: TierConfig,
    kind: str,
    status: str,
    params: parameters.Params,
    now: datetime,
    notes: str = "",
    actor: Actor = transitions.PLATFORM,
) -> TierConfigRequest:
    """Create a request of a locked configuration."""
    shown = clock.shown(now)
    before = config.requests.filter(status="approved").order_by("-created", "-pk").first()
    request = TierConfigRequest(
        pk=ids.next_in(TierConfigRequest, config.pk, "TCR-", config.requests_made),
        status=status,
        type=kind,
        configuration=config,
        product=config.product,
        vendor_id=config.connection.vendor_id,
        provider_id=config.connection.provider_id,
        params=params,
        notes=notes,
        previous_approved_request=before,
        inquired=shown if status == "inquiring" else None,
        pended=shown if status == "pending" else None,
        created=shown,
        updated=shown,
    )
    config.requests_made += 1
    changes: dict[str, object] = {"requests_made": config.requests_made}
    if status != "draft":
        changes |= {"status": "processing", "updated": shown}
    update_columns(config, **changes)
    transitions.add(request, actor)
    return request

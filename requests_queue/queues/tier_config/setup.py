"""Which configurations an order needs, made and locked, and the requests that set them up.

Locks are taken in one order everywhere: the configuration of tier 2, then that of tier 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError
from django.db.models import Exists, OuterRef, Q, QuerySet

from requests_queue import clock, ids, transitions
from requests_queue.catalog import parameter_values as parameters
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import (
    Asset,
    Connection,
    Contract,
    Marketplace,
    Parameter,
    Product,
    TierAccount,
)
from requests_queue.queues.tier_config.models import OPEN, TierConfig, TierConfigRequest

SCOPES = {1: "tier1", 2: "tier2"}


@dataclass(frozen=True, slots=True)
class Line:
    """Where a product is sold: a configuration is for one of these."""

    product: Product
    connection: Connection
    marketplace: Marketplace
    contract: Contract


def levels(product: Product) -> frozenset[int]:
    """Return the levels that the product configures: those of its capability that have
    parameters."""
    configs = product.capability("tiers.configs")
    # As the catalogue reads it: a branch without its switch is on.
    if not isinstance(configs, dict) or not configs.get("configs", bool(configs)):
        return frozenset()
    allowed = {1, 2} if str(configs.get("level")) == "2" else {1}
    scopes = set(
        Parameter.objects.filter(product=product, phase__in=("ordering", "fulfillment"))
        .exclude(type__in=("heading", "content"))
        .values_list("scope", flat=True)
    )
    return frozenset(level for level in allowed if SCOPES[level] in scopes)


def of_asset(asset: Asset, now: datetime) -> list[TierConfig]:
    """Return the configurations that an asset needs, locked, made where there are none."""
    line = Line(asset.product, asset.connection, asset.marketplace, asset.contract)
    return find_or_create(line, {1: asset.tier1, 2: asset.tier2}, now)


def find_or_create(
    line: Line, accounts: Mapping[int, TierAccount | None], now: datetime
) -> list[TierConfig]:
    """Return the configurations of these accounts by level, locked, the higher one first.

    Levels that the product doesn't configure are left out. Where no account of tier 2 is named,
    the configuration that the one of tier 1 is below of is locked, but not returned.
    """
    wanted = levels(line.product)
    found: list[TierConfig] = []
    above = _locked_above(line, accounts)
    if 2 in wanted and (account := accounts.get(2)) is not None:
        above = _find_or_create(line, account, 2, None, now)
        found.append(above)
    if 1 in wanted and (account := accounts.get(1)) is not None:
        found.append(_find_or_create(line, account, 1, above, now))
    return found


def _locked_above(line: Line, accounts: Mapping[int, TierAccount | None]) -> TierConfig | None:
    """Return the configuration that the one of tier 1 is below of, locked.

    With it, in the order of their ids, the one of the tier 2 that is named: an order may name
    another than the first one did.
    """
    named, below = accounts.get(2), accounts.get(1)
    own = _of(line, below, 1).values_list("parent_id", flat=True).first() if below else None
    other = _of(line, named, 2).values_list("pk", flat=True).first() if named else None
    keys = {key for key in (own, other) if key}
    locked = TierConfig.objects.select_for_update().filter(pk__in=keys).order_by("pk")
    return next((row for row in locked if row.pk == own), None) if keys else None


def _of(line: Line, account: TierAccount, level: int) -> QuerySet[TierConfig]:
    return TierConfig.objects.filter(
        account=account, connection=line.connection, marketplace=line.marketplace, tier_level=level
    )


def _find_or_create(
    line: Line, account: TierAccount, level: int, parent: TierConfig | None, now: datetime
) -> TierConfig:
    rows = _of(line, account, level).select_for_update()
    config = rows.first()
    if config is None:
        try:
            return _make(line, account, level, parent, now)
        except IntegrityError:
            # Somebody else was faster; the lock waits for that one's end.
            config = rows.get()
    if parent is not None and config.parent_id is None:
        config.parent = parent
        TierConfig.objects.filter(pk=config.pk).update(parent=parent)
    return config


def _make(
    line: Line, account: TierAccount, level: int, parent: TierConfig | None, now: datetime
) -> TierConfig:
    shown = clock.shown(now)
    return ids.create(
        lambda pk: TierConfig(
            pk=pk,
            product=line.product,
            connection=line.connection,
            marketplace=line.marketplace,
            contract=line.contract,
            account=account,
            tier_level=level,
            parent=parent,
            params=parameters.blank(line.product, SCOPES[level]),
            created=shown,
            updated=shown,
        ),
        "tier_config",
    )


def lock(config: TierConfig) -> TierConfig:
    """Lock a configuration, and return it as it then is."""
    return TierConfig.objects.select_for_update().get(pk=config.pk)


def lock_with_parent(config: TierConfig) -> TierConfig | None:
    """Lock a configuration, and the one above it first; return it as it then is.

    None where it has gone meanwhile, with the draft that it was made for.
    """
    rows = TierConfig.objects.select_for_update()
    parent = rows.filter(pk=config.parent_id).first() if config.parent_id else None
    locked = rows.filter(pk=config.pk).first()
    if locked is not None:
        locked.parent = parent
    return locked


def named_by(asset: Asset) -> QuerySet[TierConfig]:
    """Return the configurations that an asset's tiers have, the higher one first."""
    return TierConfig.objects.filter(
        Q(account=asset.tier1_id, tier_level=1) | Q(account=asset.tier2_id, tier_level=2),
        connection=asset.connection_id,
        marketplace=asset.marketplace_id,
    ).order_by("-tier_level")


def is_held(asset: Asset) -> bool:
    """Whether one of the asset's configurations is still being set up."""
    under_way = TierConfigRequest.objects.filter(configuration=OuterRef("pk"), status__in=OPEN)
    return named_by(asset).filter(Exists(under_way), activated=None).exists()


def start_status(config: TierConfig, params: parameters.Params, kind: str) -> str:
    """Return where a request starts: a set-up waits while the tier above is not set up."""
    if kind == "setup" and config.parent is not None and config.parent.activated is None:
        return "tiers_setup"
    return "inquiring" if parameters.missing(params, "ordering") else "pending"


def begin(configs: list[TierConfig], now: datetime) -> None:
    """Add a set-up request to each configuration that has been set up by none yet."""
    for config in configs:
        if config.activated is None and not config.requests.filter(status__in=OPEN).exists():
            params = parameters.blank(config.product, SCOPES[config.tier_level])
            status = start_status(config, params, "setup")
            if status == "tiers_setup" and config.parent is not None:
                # Nothing else may be setting it up: it can have had a draft alone.
                begin([config.parent], now)
            add(config, "setup", status, params, now)


def add(
    config: TierConfig,
    kind: str,
    status: str,
    params: parameters.Params,
    now: datetime,
    notes: str = "",
    actor: Actor = transitions.PLATFORM,
) -> TierConfigRequest:
    """Add a request to a locked configuration, and return it."""
    shown = clock.shown(now)
    before = config.requests.filter(status="approved").order_by("-created", "-pk").first()
    request = TierConfigRequest(
        pk=ids.next_in(config.pk, "TCR-", config.requests_made),
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
    write(config, **changes)
    transitions.add(request, actor)
    return request


def write(config: TierConfig, **changes: object) -> None:
    """Write columns of a configuration, and the copy in memory."""
    TierConfig.objects.filter(pk=config.pk).update(**changes)
    for name, value in changes.items():
        setattr(config, name, value)

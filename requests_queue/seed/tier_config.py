"""Tier configurations of the suite and their requests, in every status.

The rows are written in their final state, so that demo data causes no events for webhooks.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from requests_queue import clock, ids
from requests_queue.catalog import parameter_values
from requests_queue.catalog.models import TierAccount, User
from requests_queue.errors import Invalid
from requests_queue.queues.tier_config.models import OPEN, TierConfig, TierConfigRequest
from requests_queue.queues.tier_config.setup import SCOPES
from requests_queue.seed.accounts import VENDOR_USER
from requests_queue.seed.customers import (
    ALPENGLOW,
    BRIGHTWATER,
    CASCADE,
    FJORDLINE,
    MASTER,
    TALWEG,
)
from requests_queue.seed.orders import Step
from requests_queue.seed.products import SUITE
from requests_queue.seed.rows import Offer, add_missing, filled, moment, offers


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration and its requests, the oldest first."""

    id: str
    account: str
    level: int
    steps: tuple[Step, ...]
    parent: str | None = None


_CONFIGS = (
    Config(
        "TC-733-508-112",
        MASTER,
        2,
        (
            Step(
                "setup",
                "approved",
                58.4,
                5.5,
                params={"master_reference": "KEYSTONE", "master_tenant": "mt-0031"},
            ),
        ),
    ),
    Config(
        "TC-733-508-129",
        BRIGHTWATER,
        1,
        (
            Step(
                "setup",
                "approved",
                58.1,
                9.2,
                params={"partner_agreement": "NSS-2-0120", "partner_tenant": "pt-0120"},
            ),
            Step(
                "adjustment",
                "approved",
                27.3,
                0.2,
                params={"partner_tenant": "pt-0120-eu"},
                note="The tenant has moved to another region.",
            ),
            Step(
                "update",
                "inquiring",
                2.6,
                3.4,
                params={"partner_agreement": "NSS-2"},
                errors={"partner_agreement": "This number is incomplete."},
                note="The agreement has been renewed.",
            ),
        ),
        parent="TC-733-508-112",
    ),
    Config(
        "TC-733-508-136",
        CASCADE,
        1,
        (
            Step(
                "setup",
                "approved",
                57.7,
                2.1,
                params={"partner_agreement": "NSS-1-0112", "partner_tenant": "pt-0112"},
            ),
            Step(
                "update",
                "failed",
                19.9,
                6.8,
                params={"partner_agreement": "NSS-1-0113"},
                reason="The agreement NSS-1-0113 belongs to another reseller.",
            ),
            Step("update", "draft", 1.4, 0.1, params={"partner_agreement": "NSS-1-0212"}),
        ),
    ),
    # An order waits for this one: AS-2934-6610-1192.
    Config(
        "TC-733-508-143",
        FJORDLINE,
        1,
        (Step("setup", "pending", 0.74, 0, params={"partner_agreement": "NSS-1-0107"}),),
    ),
    Config(
        "TC-733-508-150",
        ALPENGLOW,
        2,
        (
            Step(
                "setup",
                "inquiring",
                1.9,
                4.3,
                params={"master_reference": "ALPENGLOW"},
                errors={"master_reference": "This name is taken: please choose another one."},
            ),
        ),
    ),
    Config(
        "TC-733-508-167",
        TALWEG,
        1,
        (Step("setup", "tiers_setup", 1.9, 0, params={"partner_agreement": "NSS-1-0138"}),),
        parent="TC-733-508-150",
    ),
)


def add_configs(at: datetime) -> dict[str, int]:
    """Add missing configurations with their requests.

    A configuration whose product or reseller the user has changed or deleted is skipped.
    """
    added = {"tier configs": 0, "tier requests": 0}
    offer = offers([SUITE]).get(SUITE)
    if offer is None:
        return added
    params = {level: parameter_values.blank(offer.product, SCOPES[level]) for level in SCOPES}
    accounts = TierAccount.objects.in_bulk([row.account for row in _CONFIGS])
    user = User.objects.filter(uid=VENDOR_USER).first()
    # A configuration of the user's may be in the place of a parent, which isn't inserted then.
    for has_parent in (False, True):
        existing = set(TierConfig.objects.values_list("pk", flat=True))
        missing: dict[TierConfig, list[TierConfigRequest]] = {}
        for row in _CONFIGS:
            if row.id in existing or row.account not in accounts:
                continue
            if (row.parent in existing) if has_parent else (row.parent is None):
                config = _config(row, offer, accounts[row.account], at)
                config.params = params[row.level]
                # The user may have removed a parameter from the product.
                with suppress(Invalid):
                    missing[config] = _requests(config, row, offer, user, at)
        add_missing(list(missing))
        stored = set(TierConfig.objects.values_list("pk", flat=True)) - existing
        requests = [each for config in missing if config.pk in stored for each in missing[config]]
        added["tier configs"] += len(stored)
        added["tier requests"] += add_missing(requests)
    return added


def _config(row: Config, offer: Offer, account: TierAccount, at: datetime) -> TierConfig:
    """Return the configuration before its first request."""
    created = moment(at, -row.steps[0].days)
    return TierConfig(
        id=row.id,
        status="processing" if any(step.status in OPEN for step in row.steps) else "active",
        product=offer.product,
        connection=offer.connection,
        marketplace=offer.contract.marketplace,
        contract=offer.contract,
        account=account,
        tier_level=row.level,
        parent_id=row.parent,
        requests_made=len(row.steps),
        created=created,
        updated=created,
    )


def _requests(
    config: TierConfig, row: Config, offer: Offer, user: User | None, at: datetime
) -> list[TierConfigRequest]:
    """Return the requests and apply them to the configuration."""
    requests: list[TierConfigRequest] = []
    for step in row.steps:
        request = _request(config, step, requests, at)
        if step.status == "approved":
            request.template = offer.template(SCOPES[row.level], "fulfillment")
        if request.status not in ("draft", "tiers_setup") and request.updated > request.created:
            request.assignee = user
        requests.append(request)
        if step.status != "draft":
            config.updated = request.updated
        if step.status in ("approved", "failed"):
            config.activated = config.activated or request.updated
        if step.status == "approved":
            config.params, config.template = request.params, request.template
    return requests


def _request(
    config: TierConfig, step: Step, before: list[TierConfigRequest], at: datetime
) -> TierConfigRequest:
    created = moment(at, -step.days)
    updated = clock.shown(created + timedelta(hours=step.hours))
    return TierConfigRequest(
        id=ids.child(config.pk, "TCR-", len(before) + 1),
        status=step.status,
        type=step.type,
        configuration=config,
        product=config.product,
        vendor_id=config.connection.vendor_id,
        provider_id=config.connection.provider_id,
        params=filled(config.params, step.params, step.errors),
        notes=step.note,
        reason=step.reason,
        effective_date=updated if step.status == "approved" else None,
        inquired=updated if step.status == "inquiring" else None,
        pended=created if step.status not in ("draft", "tiers_setup") else None,
        previous_approved_request=next((r for r in before[::-1] if r.status == "approved"), None),
        created=created,
        updated=updated,
    )

"""The invariants of a platform that `test_walks` checks after each step."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from django.db.models import Count, Sum

from requests_queue.catalog.models import Asset, Listing, TierAccount
from requests_queue.queues import base
from requests_queue.queues.billing.models import BillingRequest
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.listing.models import ListingRequest
from requests_queue.queues.tier_account.models import TierAccountRequest
from requests_queue.queues.tier_config.models import TierConfig, TierConfigRequest
from requests_queue.queues.usage_file.models import UsageFile, UsageRecord
from tests.queue import tables
from tests.queue.platforms import Platform
from tests.queue.tables import BILLING
from webhooks import webhook_health
from webhooks.models import Event, Webhook

OPEN = ("draft", "tiers_setup", "pending", "inquiring", "scheduled", "revoking")
WORKED_ON = ("tiers_setup", "pending", "inquiring")


class Books:
    """The events that each party has received of each object so far."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.read = 0
        # By queue and object: the last status that each party was notified of, and how often.
        self.notified: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        self.times: Counter[tuple[str, str, str]] = Counter()

    def read_events(self) -> None:
        """Read the new events: each change starts at the last status of its object."""
        for pk, hook, row, source, target in (
            Event.objects.filter(pk__gt=self.read)
            .values_list("pk", "webhook", "object_id", "status_from", "status_to")
            .order_by("pk")
        ):
            self.read = pk
            queue, side = self.platform.owner[hook]
            last = self.notified[queue, row].get(side)
            if queue == BILLING:
                assert source == target == ""
            elif last is None:
                # Creating a draft is not a queue change.
                first = target in tables.INITIAL[queue] and target != "draft" and source == ""
                assert first or (source == "draft" and (source, target) in tables.links(queue))
            else:
                assert source == last and (source, target) in tables.links(queue), (row, target)
            self.notified[queue, row][side] = target
            self.times[queue, row, side] += 1

    def check(self, touched: Counter[str]) -> None:
        """Check the last notified status of objects; `touched` counts billing requests by id."""
        self.read_events()
        for queue in base.registered():
            if queue.object_class == BILLING:
                continue
            for pk, status in queue.model._default_manager.values_list("pk", "status"):
                last = self.notified[queue.object_class, pk]
                assert status in tables.STATUSES[queue.object_class]
                if status == "draft" and not last:
                    continue
                assert last == {"V": status, "D": status}, (pk, status, last)
        for pk, kind in BillingRequest.objects.values_list("pk", "type"):
            times = {side: self.times[BILLING, pk, side] for side in "VD"}
            changes = 1 + touched[pk]
            assert times == {"V": changes if kind == "vendor" else 0, "D": changes}, pk
        assert webhook_health.counter_discrepancies() == []
        assert Webhook.objects.aggregate(n=Sum("events"))["n"] == sum(self.times.values())


def subscriptions() -> None:
    """Check the status of each asset against its requests, and that at most one is open."""
    effects = {row[0]: row[2:] for row in tables.ASSETS}
    requests: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for asset, kind, status in Request.objects.order_by("pk").values_list(
        "asset", "type", "status"
    ):
        requests[asset].append((kind, status))
    for pk, status in Asset.objects.values_list("pk", "status"):
        rows = requests[pk]
        assert sum(s in OPEN for _, s in rows) <= 1, (pk, rows)
        is_now = "draft"
        for kind, ended in rows:
            created, approved, failed = effects[kind]
            if ended == "draft":
                continue
            if ended == "failed" and kind in ("suspend", "resume"):
                # A request created as failed may refer to a subscription in the other status.
                failed = "active" if kind == "suspend" else "suspended"
            outcome = {"approved": approved, "failed": failed, "revoked": failed}
            before, is_now = is_now, outcome.get(ended, created)
            if kind == "cancel" and ended in ("failed", "revoked"):
                is_now = before
        assert status == is_now, (pk, rows, status)


def configurations() -> None:
    """Check configurations: one open request, active after setup, and no missing setups."""
    worked_on: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for config, kind, status in TierConfigRequest.objects.filter(status__in=WORKED_ON).values_list(
        "configuration", "type", "status"
    ):
        worked_on[config].append((kind, status))
    rows = {row.pk: row for row in TierConfig.objects.all()}
    missing = set()
    for pk, row in rows.items():
        assert len(worked_on[pk]) <= 1, (pk, worked_on[pk])
        is_active = row.activated is not None and not worked_on[pk]
        assert row.status == ("active" if is_active else "processing"), pk
        if worked_on[pk] and row.activated is None:
            missing.add((row.account_id, row.tier_level))
        for kind, status in worked_on[pk]:
            if status == "tiers_setup":
                above = rows[str(row.parent_id)]
                assert kind == "setup" and above.activated is None and worked_on[above.pk]
    for tier1, tier2 in Request.objects.filter(status="tiers_setup").values_list(
        "asset__tier1", "asset__tier2"
    ):
        assert missing & {(tier1, 1), (tier2, 2)}


def listings(listed: dict[str, str]) -> None:
    """Check the status of listings against completions and the distributor's changes, `listed`."""
    for pk, status in Listing.objects.filter(product__owner__id="VA-111-111").values_list(
        "pk", "status"
    ):
        assert status == listed.get(pk, "unlisted"), pk
    open_requests = ListingRequest.objects.filter(status__in=("reviewing", "deploying"))
    assert not open_requests.values("listing").annotate(n=Count("pk")).filter(n__gt=1).exists()


def usage_files() -> None:
    """Check the counts of files, and that statuses of records match their files."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for file, status, n in UsageRecord.objects.values_list("file", "status").annotate(
        n=Count("pk")
    ):
        counts[file][status] = n
    for file in UsageFile.objects.all():
        records = counts[file.pk]
        is_processing = file.status in ("uploading", "processing")
        assert not is_processing or file.sub_status == "processing"
        if is_processing:
            continue
        assert (file.invalid, file.pending, file.accepted, file.closed) == tuple(
            records[status] for status in ("invalid", "valid", "approved", "closed")
        ), (file, records)
        assert file.uploaded == file.validated == sum(records.values()), (file, records)
        assert file.billed <= file.closed
        may_have: dict[str, Any] = {
            "draft": (),
            "deleted": (),
            "ready": ("valid",),
            "rejected": ("rejected",),
            "accepted": ("approved", "rejected", "closed"),
            "closed": ("closed", "rejected"),
            "invalid": ("valid", "invalid"),
            "pending": ("valid", "approved", "rejected"),
        }
        has = {status for status, n in records.items() if n}
        assert has <= set(may_have[file.status]), (file, records)


def tier_accounts() -> None:
    """Check the number of versions, and one request for each version and product."""
    rows = TierAccount.objects.annotate(kept=Count("versions"))
    assert not [row for row in rows if row.version != (row.kept or 1)]
    counts = TierAccountRequest.objects.values("account", "product").annotate(n=Count("pk"))
    assert not counts.filter(n__gt=1).exists()

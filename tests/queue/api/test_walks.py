"""Random walks through all queues, by both parties and the clock, keep the invariants.

`--hypothesis-profile=deep` tries more and longer walks, different ones each time.
"""

from __future__ import annotations

import random
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import transaction
from django.db.models import Model
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from requests_queue.catalog.models import Asset, Listing, TierAccount
from requests_queue.models import Clock
from requests_queue.queues.billing.models import BillingRequest
from requests_queue.queues.listing.models import ListingRequest
from requests_queue.queues.tier_config.models import TierConfig
from requests_queue.queues.usage_file import leases, processing
from requests_queue.queues.usage_file.models import UsageRecord
from requests_queue.tasks import run_due
from tests import make
from tests.api import Response
from tests.hypothesis_profiles import examples, is_deep, is_sample
from tests.queue import builders, tables, walking
from tests.queue.platforms import Platform, model
from tests.queue.tables import (
    BILLING,
    FULFILLMENT,
    LISTING,
    PATHS,
    TIER_ACCOUNT,
    TIER_CONFIG,
    USAGE,
)

pytestmark = pytest.mark.django_db

START = make.AT + timedelta(days=30)
PICK = st.integers(0, 10**6)
SEED = st.integers(0, 2**32 - 1)
SIDE = st.sampled_from("VD")
ACTOR = st.sampled_from(["V", "D", "V", "D", "V", "D", "stranger vendor", "nobody"])
RESELLER = st.sampled_from([None, "known", "one", "two"])
QUEUES = (FULFILLMENT, TIER_CONFIG, TIER_ACCOUNT, LISTING, USAGE)
CALLED = [
    (queue, verb)
    for queue in QUEUES
    for verb in tables.verbs(queue)
    if tables.is_callable(queue, verb)
]
# Actions that may be refused although the table has them, for other reasons.
GUARDED = ("inquire", "submit", "reconciliation")
PERIOD = {"from": "2026-10-01", "to": "2026-11-01", "delta": 1, "uom": "monthly"}
# Number of times that each row of the tables was used.
MADE: Counter[tuple[str, str, str]] = Counter()
MAKES = {"new": "listed", "update": "listed", "remove": "unlisted"}


def scope(row: Any) -> str:
    return f"tier{row.configuration.tier_level}" if hasattr(row, "configuration") else ""


@contextmanager
def drawn() -> Iterator[None]:
    """Draw the same ids each time, so that a failing walk can be repeated."""
    drawn = random.Random(1)
    with (
        mock.patch.object(secrets, "choice", drawn.choice),
        mock.patch.object(secrets, "randbelow", drawn.randrange),
    ):
        yield


def begun() -> Platform:
    """Return a platform with an object of each queue, so that short walks include all queues."""
    Clock.objects.create(pk=1, frozen_at=START)
    platform = Platform()
    builders.set_up(platform)
    asset = builders.subscription(platform)
    builders.request(platform, "tiers_setup")
    builders.create_order(platform, "purchase")
    builders.config_request(platform, "tiers_setup")
    builders.account_request(platform, "pending")
    builders.listing_request(platform, "draft")
    builders.usage_file(platform, "ready")
    body = {"asset": {"id": asset}, "items": [{"id": "SEAT"}], "period": PERIOD}
    platform.post("V", PATHS[BILLING], body)
    return platform


class Walk(RuleBasedStateMachine):
    """Random calls of two parties and of strangers."""

    def __init__(self, platform: Platform) -> None:
        super().__init__()
        self.drawn = drawn()
        self.drawn.__enter__()
        self.block = transaction.atomic()
        self.block.__enter__()
        self.now = START
        self.platform = platform
        self.books = walking.Books(platform)
        self.listed = {Listing.objects.get(product=platform.product).pk: "listed"}
        self.touched: Counter[str] = Counter()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.block.__exit__(None, None, None)
        self.drawn.__exit__(None, None, None)

    def tick(self, **span: float) -> None:
        # Each step has its own time, so that rows are listed in the order of creation.
        self.now += timedelta(**span) if span else timedelta(seconds=1)
        Clock.objects.update(frozen_at=self.now)

    def pick(self, rows: type[Model], n: int, **which: Any) -> Any:
        """Return one of the rows, or None."""
        order = ("pk",) if rows is UsageRecord else ("created", "pk")
        matching = rows._default_manager.filter(**which).order_by(*order)
        count = matching.count()
        return matching[n % count] if count else None

    def call(self, actor: str, method: str, path: str, body: Any = None) -> Response:
        response = self.platform.by[actor].call(method, path, body)
        assert response.status < 500, (method, path, body, response)
        return response

    def post(self, actor: str, path: str, body: Any = None) -> Response:
        return self.call(actor, "POST", path, body)

    # Creation.

    @rule(draft=st.booleans(), tier1=RESELLER, tier2=RESELLER)
    def order(self, draft: bool, tier1: str | None, tier2: str | None) -> None:
        self.tick()
        more = {"status": "draft"} if draft else {}
        body = builders.order(self.platform, builders.reseller(tier1 or "known"), **more)
        if tier2:
            body["asset"]["tiers"]["tier2"] = builders.reseller(f"{tier2} above")
        # Only listed products can be ordered.
        is_listed = "listed" in self.listed.values()
        response = self.post("D", "/requests", body)
        assert response.status == (201 if is_listed else 400), response

    @rule(
        n=PICK,
        kind=st.sampled_from(tables.TYPES[FULFILLMENT][1:]),
        actor=ACTOR,
        draft=st.booleans(),
    )
    def ask(self, n: int, kind: str, actor: str, draft: bool) -> None:
        self.tick()
        asset = self.pick(Asset, n)
        if asset is not None:
            more = {"status": "draft"} if draft else {}
            response = self.post(actor, "/requests", builders.asset_request(asset.pk, kind, **more))
            assert (response.status == 201) <= (
                actor == "D" or (actor, kind) == ("V", "adjustment")
            )

    @rule(n=PICK, kind=st.sampled_from(tables.TYPES[TIER_CONFIG]), actor=ACTOR, draft=st.booleans())
    def ask_of_reseller(self, n: int, kind: str, actor: str, draft: bool) -> None:
        self.tick()
        config = self.pick(TierConfig, n)
        body = {"type": kind, "configuration": {"id": config.pk}}
        body |= {"status": "draft"} if draft else {}
        response = self.post(actor, PATHS[TIER_CONFIG], body)
        assert (response.status == 201) <= (actor == "D" or (actor == "V" and kind != "setup"))

    @rule(tier=RESELLER, above=RESELLER, draft=st.booleans())
    def set_up(self, tier: str | None, above: str | None, draft: bool) -> None:
        self.tick()
        configuration: dict[str, Any] = {
            "product": {"id": self.platform.product},
            "tier_level": 1,
            "account": builders.reseller(tier or "three"),
        }
        if above:
            configuration["parent_account"] = builders.reseller(f"{above} above")
        body = {"type": "setup", "configuration": configuration}
        body |= {"status": "draft"} if draft else {}
        assert self.post("D", PATHS[TIER_CONFIG], body).status in (201, 400, 409)

    @rule(n=PICK, value=st.integers(1, 3), by_request=st.booleans())
    def change_account(self, n: int, value: int, by_request: bool) -> None:
        self.tick()
        account = self.pick(TierAccount, n)
        change = {"tax_id": f"tax {value}"}
        if by_request:
            body = {"type": "update", "account": {"id": account.pk, **change}}
            assert self.post("D", PATHS[TIER_ACCOUNT], body).status in (201, 400)
        else:
            assert self.call("D", "PUT", f"/tier/accounts/{account.pk}", change).status == 200

    @rule(n=PICK, actor=ACTOR, kind=st.sampled_from(["vendor", "provider"]))
    def bill(self, n: int, actor: str, kind: str) -> None:
        self.tick()
        if (asset := self.pick(Asset, n)) is None:
            return
        body = {
            "type": kind,
            "asset": {"id": asset.pk},
            "items": [{"id": "SEAT"}],
            "period": PERIOD,
        }
        response = self.post(actor, PATHS[BILLING], body)
        allowed = {"vendor": "V", "provider": "D"}[kind] == actor
        assert (response.status == 201) == (allowed and asset.status not in ("draft", "processing"))

    @rule(n=PICK, actor=SIDE, value=st.integers(1, 2))
    def note_on_a_bill(self, n: int, actor: str, value: int) -> None:
        self.tick()
        if (row := self.pick(BillingRequest, n)) is None:
            return
        side = {"V": "vendor", "D": "provider"}[actor]
        path = f"{PATHS[BILLING]}/{row.pk}/attributes"
        response = self.call(actor, "PUT", path, {side: {"n": value}})
        assert response.status == (404 if (actor, row.type) == ("V", "provider") else 200)
        if response.status == 200 and row.attributes.get(side) != {"n": value}:
            self.touched[row.pk] += 1

    @rule(kind=st.sampled_from(tables.TYPES[LISTING]), actor=ACTOR)
    def ask_for_listing(self, kind: str, actor: str) -> None:
        self.tick()
        body = {
            "type": kind,
            "product_id": self.platform.product,
            "contract_id": "CRD-11111-11111-11111",
        }
        response = self.post(actor, PATHS[LISTING], body)
        assert (response.status == 201) <= (actor == "V")

    @rule(n=PICK, actor=ACTOR)
    def delete_listing_draft(self, n: int, actor: str) -> None:
        self.tick()
        if (row := self.pick(ListingRequest, n)) is not None:
            response = self.call(actor, "DELETE", f"{PATHS[LISTING]}/{row.pk}")
            assert (response.status == 204) == (actor == "V" and row.status == "draft")

    @rule(n=PICK, actor=SIDE, status=st.sampled_from(["listed", "unlisted"]))
    def list_directly(self, n: int, actor: str, status: str) -> None:
        self.tick()
        row = self.pick(Listing, n, product=self.platform.product)
        if row is None:
            return
        response = self.call(actor, "PUT", f"/listings/{row.pk}", {"status": status})
        if response.status == 200:
            self.listed[row.pk] = status
        assert response.status == (200 if actor == "D" or row.status == status else 403)

    # Actions.

    @rule(seed=SEED, count=st.integers(6, 14))
    def go_on(self, seed: int, count: int) -> None:
        """Take some of the currently legal actions."""
        drawn = random.Random(seed)
        for _ in range(count):
            self.go_a_step(drawn.choice(QUEUES), drawn)

    @rule(seed=SEED, queue=st.sampled_from(QUEUES), count=st.integers(6, 14))
    def go_far(self, seed: int, queue: str, count: int) -> None:
        """Take legal actions in one queue, and run its workers after each."""
        drawn = random.Random(seed)
        for _ in range(count):
            self.go_a_step(queue, drawn)
            self.work()

    def go_a_step(self, queue: str, drawn: random.Random) -> None:
        self.tick()
        actions = self.legal(queue)
        if actions:
            verb, status, actor = drawn.choice(sorted(actions))
            row = drawn.choice(actions[verb, status, actor])
            if verb == "inquire":
                self.find_fault(queue, row)
            self.make(queue, row, verb, actor, drawn.randrange(100))
            self.invariants_hold()

    @rule(seed=SEED, days=st.integers(1, 3))
    def days_of_work(self, seed: int, days: int) -> None:
        """Advance by days: run workers and due jobs, and take legal actions."""
        for day in range(days):
            self.work()
            kinds = tables.TYPES[FULFILLMENT][1:]
            self.ask(seed + day, kinds[(seed + day) % len(kinds)], "D", False)
            self.go_on(seed + day, 6)
            self.wait(1)
            self.invariants_hold()

    def legal(self, queue: str) -> dict[tuple[str, str, str], list[Any]]:
        """Return the objects of a queue by the action, status and actor that are legal now."""
        actions: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
        for row in model(queue)._default_manager.order_by("created", "pk"):
            for line in tables.TABLES[queue]:
                fits = tables.fits(queue, line.verb, getattr(row, "type", ""))
                if fits and line.source == row.status:
                    for actor in line.actors.replace("S", ""):
                        actions[line.verb, row.status, actor].append(row)
        return actions

    @rule(called=st.sampled_from(CALLED), n=PICK, actor=ACTOR)
    def try_anything(self, called: tuple[str, str], n: int, actor: str) -> None:
        """Take any action on any object, as any caller."""
        self.tick()
        queue, verb = called
        row = self.pick(model(queue), n)
        if row is not None:
            self.make(queue, row, verb, actor, n)

    def make(self, queue: str, row: Any, verb: str, actor: str, n: int) -> None:
        kind, path = getattr(row, "type", ""), f"{PATHS[queue]}/{row.pk}/{verb}"
        if verb == "upload":
            asset = self.pick(Asset, n, status="active")
            content = builders.sheet(asset.pk if n % 3 and asset else "AS-0", 1, 2, 3)
            response = builders.send(self.platform.by[actor], path, content)
        elif verb == "reconciliation":
            content = f"record_id,status\nr-{1 + n % 3},closed\n".encode()
            response = builders.send(self.platform.by[actor], path, content)
        else:
            response = self.post(actor, path, self.body_of(verb))
        self.judge(queue, row, verb, actor, kind, response)

    def find_fault(self, queue: str, row: Any) -> None:
        names = {FULFILLMENT: "asset_ask", TIER_CONFIG: f"{scope(row)}_ask"}
        params = [{"id": names[queue], "value_error": "Choose another."}]
        body = {"params": params} if queue == TIER_CONFIG else {"asset": {"params": params}}
        assert self.call("V", "PUT", f"{PATHS[queue]}/{row.pk}", body).status == 200

    def body_of(self, verb: str) -> Any:
        if verb == "schedule":
            return {"planned_date": (self.now + timedelta(days=2)).isoformat()}
        return builders.body_of(verb)

    def judge(
        self, queue: str, row: Any, verb: str, actor: str, kind: str, response: Response
    ) -> None:
        """Check that the response matches the table, and that a refusal changed nothing."""
        before = row.status
        legal = tables.legal(queue, verb, before, kind, actor) if actor in "VD" else None
        row.refresh_from_db()
        if legal and response.status < 400:
            assert row.status in (legal.target, *legal.others), (verb, row)
            MADE[queue, verb, before] += 1
            if queue == LISTING and verb == "complete":
                self.listed[row.listing_id] = MAKES[kind]
            return
        assert row.status == before, (verb, row)
        if legal:
            assert verb in GUARDED and response.status in (400, 409), (verb, row, response)
        elif actor in "VD":
            assert response.status == tables.refusal(queue, verb, before, kind, actor), (verb, row)
        else:
            assert response.status == (401 if actor == "nobody" else 404)

    # Usage.

    @rule()
    def draft_usage(self) -> None:
        self.tick()
        builders.draft_usage_file(self.platform)

    @rule()
    def work(self) -> None:
        self.tick()
        for pk in sorted(leases.in_progress()):
            processing.run(pk)

    @rule(n=PICK, actor=ACTOR, status=st.sampled_from(["approved", "rejected", "closed", "all"]))
    def decide(self, n: int, actor: str, status: str) -> None:
        self.tick()
        if (record := self.pick(UsageRecord, n)) is None:
            return
        path = f"/usage/records/{record.pk}"
        if status == "all":
            response = self.call(actor, "PUT", f"{PATHS[USAGE]}/{record.file_id}/approve-all")
        elif status == "closed":
            response = self.post(actor, f"{path}/close", {"external_billing_id": "INV-1"})
        else:
            response = self.call(actor, "PUT", path, {"status": status})
        assert (response.status == 200) <= (actor == "D")

    # Time.

    @rule(days=st.sampled_from([1, 3, 16]))
    def wait(self, days: int) -> None:
        self.tick(days=days)
        run_due()

    # Invariants.

    @invariant()
    def invariants_hold(self) -> None:
        self.books.check(self.touched)
        walking.subscriptions()
        walking.configurations()
        walking.listings(self.listed)
        walking.usage_files()
        walking.tier_accounts()


def test_any_walk_keeps_the_invariants() -> None:
    chosen = settings(max_examples=300, stateful_step_count=100)
    if not is_deep():
        # The same walks each time; failing walks are not shrunk.
        phases = (Phase.explicit, Phase.generate)
        chosen = examples(
            20 if is_sample() else 14, stateful_step_count=25, derandomize=True, phases=phases
        )
    quiet = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
    MADE.clear()
    with drawn():
        platform = begun()
    run_state_machine_as_test(lambda: Walk(platform), settings=settings(chosen, **quiet))
    lines = {
        (queue, line.verb, line.source)
        for queue in QUEUES
        for line in tables.TABLES[queue]
        # No action leads to `uploaded`.
        if line.actors != "S" and line.source != "uploaded"
    }
    # Check that the walks have used most rows of the tables; a sample of them uses fewer.
    share = 1 / 3 if is_sample() else 2 / 3
    assert len(lines & set(MADE)) > len(lines) * share, lines - set(MADE)

"""Any sequence of purchases, edits, claims, responses and lost workers keeps the invariants.

The real database without HTTP: a state machine runs users, workers and clocks, keeps a model of
the expected state, and compares.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    rule,
    run_state_machine_as_test,
)

from portal.deliveries import changes_form
from requests_queue.catalog.actors import Actor
from requests_queue.errors import Refused
from requests_queue.queues import transitions
from requests_queue.queues.fulfillment import creation, rules
from requests_queue.queues.fulfillment.models import Request
from tests import make
from tests.engines import lost_results
from tests.hypothesis_profiles import sequences
from tests.pruned import prune
from tests.webhooks.claimed import counted
from tests.webhooks.machines import DeliveryMachine
from webhooks import actions, states, webhook_health
from webhooks.delivery import claim, fan_out, record, resend
from webhooks.delivery.attempt import AttemptResult
from webhooks.delivery.claim import Claim
from webhooks.http.client import Response
from webhooks.models import Attempt, Delivery, Event, Webhook

pytestmark = pytest.mark.django_db

CAP, LIMIT = 3, 3
OUTCOMES = st.sampled_from([states.SUCCESS, states.SUCCESS, states.FAILURE, states.UNKNOWN])
MOVES = sorted(rules.QUEUE.by_name)
PICK = st.integers(0, 10**6)
CLAIMS = {"webhook_id": "WH-1", "processing_timeout": 600, "exp": 1}


class Emitter(DeliveryMachine):
    """Three webhooks of both parties, one of them often disabled, and two workers."""

    def __init__(self) -> None:
        super().__init__()
        self.catalog = make.catalog(capabilities={"cart": {"validation": True}})
        for n, account in enumerate(
            (self.catalog.vendor, self.catalog.vendor, self.catalog.provider), 1
        ):
            make.webhook(self.catalog, n=n, account=account)
        # The model: what was counted, what is in flight, what was lost, what may be cancelled.
        self.events: Counter[str] = Counter()
        self.calls: Counter[tuple[str, str]] = Counter()
        self.since: Counter[str] = Counter()
        self.responding: dict[str, bool] = {}
        self.in_flight: list[Claim] = []
        self.lost: list[Claim] = []
        # Late results of lost workers, with their outcome.
        self.recorded: set[Any] = set()
        self.disabled_at: dict[str, Any] = {}

    def hook(self, pick: int) -> Webhook:
        rows: list[Webhook] = list(Webhook.objects.order_by("pk"))
        return rows[pick % len(rows)]

    def count_event(self, hooks: Any) -> None:
        self.events.update(hook.pk for hook in hooks)

    # Users.

    @rule(draft=st.booleans())
    def purchase(self, draft: bool) -> None:
        self.tick()
        active = list(Webhook.objects.filter(active=True))
        status = "draft" if draft else "pending"
        row = creation.create(
            make.purchase(self.catalog, status=status), self.catalog.as_distributor
        )
        assert row.status == status
        if not draft:
            self.count_event(active)

    @rule(pick=PICK, name=st.sampled_from(MOVES), party=st.sampled_from(["V", "D", "S"]))
    def act(self, pick: int, name: str, party: str) -> None:
        rows = list(Request.objects.order_by("pk"))
        if not rows:
            return
        self.tick()
        row = rows[pick % len(rows)]
        actors = {"V": self.catalog.as_vendor, "D": self.catalog.as_distributor, "S": Actor()}
        actor = actors[party]
        legal = name in {m.name for m in rules.QUEUE.available_actions(row, actor.role)}
        active = list(Webhook.objects.filter(active=True))
        later = (self.now + timedelta(days=1)).isoformat()
        data = {"reason": "Because", "planned_date": later}
        try:
            with transaction.atomic():
                moved = transitions.move(Request, row.pk, name, actor, data)
        except Refused:
            # `inquire` is also refused if no parameter is wrong.
            assert not legal or name == "inquire"
        else:
            assert legal and moved.status in rules.QUEUE.by_status
            self.count_event(active)

    @rule(pick=PICK)
    def trigger_now(self, pick: int) -> None:
        self.tick()
        hook = self.hook(pick)
        try:
            fan_out.trigger(hook)
        except Refused:
            assert not hook.active
        else:
            assert hook.active
            self.count_event([hook])

    @rule(pick=PICK, changed=st.booleans())
    def send_again(self, pick: int, changed: bool) -> None:
        """No event is counted."""
        rows = list(Attempt.objects.select_related("webhook").order_by("pk"))
        if not rows:
            return
        self.tick()
        attempt = rows[pick % len(rows)]
        # The attempts of this machine send nothing.
        Attempt.objects.filter(pk=attempt.pk).update(claims=CLAIMS)
        attempt.claims = CLAIMS
        changes = {"external_url": "http://127.0.0.1:9/other"}
        try:
            delivery = (
                changes_form.send_changed(attempt, changes)
                if changed
                else resend.create_resend(attempt)
            )
        except Refused:
            assert not attempt.webhook.active
        else:
            assert attempt.webhook.active and delivery.forced

    @rule(pick=PICK, active=st.booleans())
    def switch(self, pick: int, active: bool) -> None:
        self.tick()
        hook = self.hook(pick)
        actions.edit(hook.pk, self.catalog.vendor_user, {"active": active})
        if active != hook.active:
            self.disabled_at[hook.pk] = self.now
            assert not Delivery.objects.filter(webhook=hook, state="waiting").exists()

    @rule(pick=PICK, n=st.integers(0, 3), how=st.booleans())
    def edit(self, pick: int, n: int, how: bool) -> None:
        self.tick()
        fields = {"data": {"n": n}} if how else {"label": f"Label {n}"}
        actions.edit(self.hook(pick).pk, self.catalog.vendor_user, fields)

    @rule(pick=PICK)
    def recover(self, pick: int) -> None:
        self.tick()
        hook = self.hook(pick)
        recovered = actions.recover(hook.pk)
        assert recovered == (hook.out_of_order and hook.active)

    # Workers.

    @rule(slots=st.integers(1, 12))
    def claim(self, slots: int) -> None:
        self.tick()
        before = {hook.pk: hook for hook in Webhook.objects.all()}
        due = dict(Delivery.objects.filter(due_at__isnull=False).values_list("pk", "due_at"))
        claimed = claim.claim(slots).claims
        assert len(claimed) <= slots
        for one in claimed:
            assert due.get(one.delivery_id, self.now) <= self.now
            hook = before[one.webhook.id]
            gate = hook.earliest_possible_trigger
            assert hook.active
            assert one.forced or not hook.out_of_order
            assert one.forced or gate is None or gate <= self.now
        self.in_flight += claimed
        if len(claimed) < slots:
            assert claim.select(1, self.now)[0] == []

    @rule(
        picks=st.lists(PICK, min_size=1, max_size=5),
        outcome=OUTCOMES,
        late=PICK,
        responds=st.booleans(),
    )
    def record(self, picks: list[int], outcome: str, late: int, responds: bool) -> None:
        """Flush some attempts of a worker, and perhaps one whose claim was lost."""
        self.tick()
        ended = [self.in_flight.pop(pick % len(self.in_flight)) for pick in picks if self.in_flight]
        responds |= outcome == states.SUCCESS
        response = Response(200, (), b"", truncated=False) if responds else None
        finished = [AttemptResult(one, outcome, 5, response=response) for one in ended]
        if self.lost:
            lost = self.lost[late % len(self.lost)]
            finished.insert(0, AttemptResult(lost, outcome, 5, response=response))
            expected = self.late(finished[0])
        result = record.record(finished)
        assert result.count("settled") == len(ended)
        if self.lost:
            assert result[0] == expected
        for one, kind in zip(finished, result, strict=True):
            if kind in ("settled", "late"):
                self.book(one.claim, outcome, responds=responds)

    def late(self, call: AttemptResult) -> str:
        """Return the expected result of an attempt whose claim was lost."""
        exists = Delivery.objects.filter(pk=call.claim.delivery_id).exists()
        if call.outcome == states.UNKNOWN or not exists:
            return "dropped"
        key = (call.claim.delivery_id, call.claim.token, call.outcome)
        if key in self.recorded:
            return "dropped"
        self.recorded.add(key)
        return "late"

    def book(self, one: Claim, outcome: str, *, responds: bool = False) -> None:
        pk = one.webhook.id
        if outcome in (states.SUCCESS, states.FAILURE):
            self.responding[pk] = responds
        self.calls[pk, outcome] += 1
        if outcome == states.SUCCESS:
            self.since[pk] = 0
        elif outcome == states.FAILURE:
            self.since[pk] += 1

    @rule(pick=PICK)
    def lose_a_worker(self, pick: int) -> None:
        if not self.in_flight:
            return
        self.tick()
        one = self.in_flight.pop(pick % len(self.in_flight))
        self.lost.append(one)
        Delivery.objects.filter(pk=one.delivery_id, claim=one.token).update(lease=1.0)
        # Two other workers record it.
        lost = lost_results(), lost_results()
        before = list(Webhook.objects.order_by("pk").values_list(*actions.HEALTHY))
        assert [f.claim.delivery_id for f in lost[0]] == [one.delivery_id]
        assert record.record(lost[0]) == ["settled"]
        assert record.record(lost[1]) == ["dropped"]
        self.book(one, states.UNKNOWN)
        assert before == list(Webhook.objects.order_by("pk").values_list(*actions.HEALTHY))

    @rule()
    def renew(self) -> None:
        claim.renew([*self.in_flight, *self.lost])
        assert claim.lost_claims() == []

    # Time.

    @rule(minutes=st.sampled_from([1, 5, 15, 60, 24 * 60, 40 * 24 * 60]))
    def wait(self, minutes: int) -> None:
        self.tick(minutes * 60)

    @rule()
    def prune(self) -> None:
        prune()

    # Invariants.

    @invariant()
    def counters_are_what_happened(self) -> None:
        assert webhook_health.counter_discrepancies() == []
        for hook in Webhook.objects.all():
            calls = {outcome: self.calls[hook.pk, outcome] for _, outcome in self.calls}
            assert counted(hook) == (
                self.events[hook.pk],
                sum(calls.values()),
                calls.get(states.SUCCESS, 0),
                calls.get(states.FAILURE, 0),
                self.since[hook.pk],
            )
            assert hook.responds == self.responding.get(hook.pk, False)

    @invariant()
    def standings_are_consistent(self) -> None:
        for hook in Webhook.objects.all():
            gate = hook.earliest_possible_trigger
            assert hook.out_of_order == (hook.round >= LIMIT)
            if hook.out_of_order:
                assert gate is None
            elif gate is None:
                assert hook.round == 0
            if not hook.active:
                assert (gate, hook.round, hook.out_of_order) == (None, 0, False)
                assert not hook.deliveries.filter(state="waiting").exists()

    @invariant()
    def no_more_in_flight_than_the_limit(self) -> None:
        rows = Delivery.objects.filter(state="calling")
        assert set(rows.values_list("pk", "claim")) == {
            (f.delivery_id, f.token) for f in self.in_flight
        }
        in_flight = Counter(rows.filter(forced=False).values_list("webhook", flat=True))
        assert max(in_flight.values(), default=0) <= CAP

    @invariant()
    def statuses_and_numbers_are_legal(self) -> None:
        assert set(Request.objects.values_list("status", flat=True)) <= set(
            rules.QUEUE.status_names
        )
        for row in Delivery.objects.prefetch_related("attempt_set"):
            numbers = sorted(attempt.number for attempt in row.attempt_set.all())
            assert numbers == list(range(1, row.attempts + 1))

    @invariant()
    def coalesce_means_one_waits(self) -> None:
        if settings.SIM_EVENT_MODE == "coalesce":
            waiting = Delivery.objects.filter(state="waiting", forced=False, due_at=None)
            by_webhook = Counter(waiting.values_list("webhook", flat=True))
            assert max(by_webhook.values(), default=0) <= 1

    @invariant()
    def only_deliveries_that_lost_their_workers_wait_alone(self) -> None:
        for row in Delivery.objects.filter(state="waiting", due_at__isnull=False):
            assert row.losses > 1 and not row.forced

    @invariant()
    def no_event_is_lost(self) -> None:
        for event in Event.objects.select_related("delivery"):
            state = event.delivery.state
            if state == Delivery.CANCELLED:
                # Only disabling a webhook cancels deliveries.
                assert self.disabled_at[event.webhook_id] >= event.at
            elif state == Delivery.DELIVERED:
                calls = event.delivery.attempt_set.filter(outcome=Attempt.SUCCESS)
                assert any(call.started_at > event.at for call in calls)
            else:
                assert state in (Delivery.WAITING, Delivery.CALLING)

    def finish(self) -> None:
        """With working handlers, all pending deliveries are delivered within a few hours."""
        while self.in_flight:
            self.record([0] * 5, states.SUCCESS, 0, responds=True)
        for hook in Webhook.objects.filter(out_of_order=True):
            actions.recover(hook.pk)
        for _ in range(200):
            self.claim(10)
            if not self.in_flight:
                if not Delivery.objects.filter(state="waiting").exists():
                    break
                self.wait(60)
            while self.in_flight:
                self.record([0] * 5, states.SUCCESS, 0, responds=True)
        assert not Delivery.objects.filter(state__in=("waiting", "calling")).exists()
        for check in (
            self.no_event_is_lost,
            self.counters_are_what_happened,
            self.standings_are_consistent,
        ):
            check()


@pytest.mark.parametrize("mode", ["each", "coalesce"])
def test_any_sequence_keeps_the_invariants(mode: str, settings: Any) -> None:
    settings.SIM_EVENT_MODE = mode
    settings.SIM_MAX_IN_FLIGHT = CAP
    settings.SIM_FAILURE_LIMIT = LIMIT
    run_state_machine_as_test(
        Emitter,
        settings=sequences(6, steps=40),
    )

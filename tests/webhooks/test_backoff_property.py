"""Any sequence of requests, edits and lost workers keeps the announced backoff.

The real database without HTTP, with moved platform time and the claims of engines.
"""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from portal.deliveries import changes_form
from requests_queue.queues.fulfillment import creation
from tests import make
from tests.engines import lost_results
from tests.hypothesis_profiles import sequences
from tests.webhooks.machines import DeliveryMachine
from webhooks import actions, next_attempt, states, webhook_health
from webhooks.delivery import claim, fan_out, record, resend, wakeup
from webhooks.delivery.attempt import AttemptResult
from webhooks.delivery.claim import Claim
from webhooks.models import Attempt, ClearedBackoff, Delivery, Webhook

pytestmark = pytest.mark.django_db

LIMIT, BASE = 4, timedelta(seconds=300)
PICK = st.integers(0, 10**6)
OUTCOMES = st.sampled_from([states.SUCCESS, states.FAILURE, states.FAILURE])
CLAIMS = {"webhook_id": "WH-1", "processing_timeout": 600, "exp": 1}
COUNTED = re.compile(rf"\((\d+) of {LIMIT}\)")


class Backoffs(DeliveryMachine):
    """One webhook, its handler and its users."""

    def __init__(self) -> None:
        super().__init__()
        self.catalog = make.catalog()
        self.hook = make.webhook(self.catalog)
        self.in_flight: list[Claim] = []
        # Attempts during which a setting was edited: repeated immediately with the new settings.
        self.outdated: set[tuple[int, int]] = set()

    def tick(self, seconds: float = 0.4) -> None:
        super().tick(seconds)

    # Users.

    @rule(times=st.integers(1, 4))
    def order(self, times: int) -> None:
        for _ in range(times):
            creation.create(make.purchase(self.catalog), self.catalog.as_distributor)

    @rule()
    def trigger_now(self) -> None:
        self.tick()
        self.hook.refresh_from_db()
        if self.hook.active:
            fan_out.trigger(self.hook)

    @rule(pick=PICK, changed=st.booleans())
    def send_again(self, pick: int, changed: bool) -> None:
        rows = list(Attempt.objects.select_related("webhook").order_by("pk"))
        self.hook.refresh_from_db()
        if rows and self.hook.active:
            self.tick()
            attempt = rows[pick % len(rows)]
            Attempt.objects.filter(pk=attempt.pk).update(claims=CLAIMS)
            attempt.claims = CLAIMS
            if changed:
                changes = {"external_url": "http://127.0.0.1:9/other"}
                changes_form.send_changed(attempt, changes)
            else:
                resend.create_resend(attempt)

    @rule(n=st.integers(0, 3), how=st.booleans())
    def edit(self, n: int, how: bool) -> None:
        self.tick()
        fields = {"data": {"n": n}} if how else {"label": f"Label {n}"}
        actions.edit(self.hook.pk, self.catalog.vendor_user, fields)

    @rule()
    def recover(self) -> None:
        self.tick()
        actions.recover(self.hook.pk, self.catalog.vendor_user)

    @rule()
    def disable_and_enable(self) -> None:
        for active in (False, True):
            self.tick()
            actions.edit(self.hook.pk, self.catalog.vendor_user, {"active": active})

    # Workers.

    @rule(slots=st.integers(1, 12))
    def claim(self, slots: int) -> None:
        self.tick()
        self.in_flight += claim.claim(slots).claims

    @precondition(lambda self: self.in_flight)
    @rule(picks=st.lists(PICK, min_size=1, max_size=4), outcome=OUTCOMES)
    def respond(self, picks: list[int], outcome: str) -> None:
        self.tick()
        self.record([AttemptResult(one, outcome, 5) for one in self.take(picks)])

    @precondition(lambda self: self.in_flight)
    @rule(picks=st.lists(PICK, min_size=1, max_size=4))
    def stop_a_worker(self, picks: list[int]) -> None:
        self.tick()
        before = self.backoff()
        stopped = [AttemptResult(one, states.UNKNOWN, 5, stopped=True) for one in self.take(picks)]
        self.record(stopped)
        assert self.backoff() == before

    @precondition(lambda self: self.in_flight)
    @rule(picks=st.lists(PICK, min_size=1, max_size=9))
    def lose_a_worker(self, picks: list[int]) -> None:
        self.tick()
        before = self.backoff()
        pks = [one.delivery_id for one in self.take(picks)]
        Delivery.objects.filter(pk__in=pks).update(lease=1.0)
        self.record(lost_results())
        assert self.backoff() == before

    def take(self, picks: list[int]) -> list[Claim]:
        return [self.in_flight.pop(pick % len(self.in_flight)) for pick in picks if self.in_flight]

    def record(self, finished: list[AttemptResult]) -> None:
        self.hook.refresh_from_db()
        for one in finished:
            edited = self.hook.modified_at and self.hook.modified_at >= (
                one.claim.started_at.replace(microsecond=0)
            )
            if edited or one.claim.webhook.revision != self.hook.revision:
                self.outdated.add((one.claim.delivery_id, one.claim.number))
        record.record(finished)

    def backoff(self) -> tuple[Any, ...]:
        self.hook.refresh_from_db()
        hook = self.hook
        return (hook.round, hook.earliest_possible_trigger, hook.gate_closed_at, hook.out_of_order)

    # Time.

    @rule(seconds=st.sampled_from([1, 299, 300, 301, 600, 1200, 86400]))
    def wait(self, seconds: float) -> None:
        self.tick(seconds)

    @rule()
    def wait_for_the_next_moment(self) -> None:
        until = wakeup.next_due(self.now)
        if until is not None:
            # To the microsecond, as a move of the clock does.
            self.tick((until - self.now).total_seconds())
            assert claim.select(1, self.now)[0] or self.in_flight

    # Invariants.

    @invariant()
    def no_attempt_starts_before_the_recorded_backoff_ends_unless_somebody_cleared_it(self) -> None:
        rows = ClearedBackoff.objects.exclude(cause="succeeded")
        cleared = list(rows.values_list("at", flat=True))
        for former, later in self.pairs():
            if any(former.finished_at <= at <= later.started_at for at in cleared):
                continue
            if former.next_attempt_at is not None:
                assert later.started_at >= former.next_attempt_at
            is_outdated = (former.delivery_id, former.number) in self.outdated
            if former.outcome == Attempt.FAILURE and not is_outdated:
                assert later.started_at - former.finished_at >= BASE

    @invariant()
    def only_requests_started_under_a_backoff_have_ended_it(self) -> None:
        for row in ClearedBackoff.objects.select_related("attempt"):
            if row.cause == "succeeded":
                assert row.attempt and row.until and row.attempt.started_at >= row.until
            elif row.cause == "triggered":
                assert row.attempt and row.began_at and row.attempt.started_at > row.began_at
            else:
                assert row.user == self.catalog.vendor_user

    def pairs(self) -> list[tuple[Attempt, Attempt]]:
        rows = list(Attempt.objects.select_related("delivery").order_by("delivery", "number"))
        return [(a, b) for a, b in pairwise(rows) if a.delivery_id == b.delivery_id]

    @invariant()
    def requests_that_fail_together_count_once(self) -> None:
        """Check that each counted failure started after the previous backoff."""
        last: Attempt | None = None
        for row in Attempt.objects.order_by("pk"):
            match = COUNTED.search(row.why)
            if not match:
                continue
            count = int(match[1])
            if count == 1:
                last = row
                continue
            assert last is not None and last.next_attempt_at is not None
            assert int(COUNTED.search(last.why)[1]) == count - 1  # type: ignore[index]
            assert row.started_at >= last.finished_at + BASE
            last = row

    @invariant()
    def what_is_shown_is_to_come_and_the_same_everywhere(self) -> None:
        [hook] = Webhook.objects.annotate(**next_attempt.backoff_end(self.now))
        assert hook.next_attempt_at is None or hook.next_attempt_at > self.now
        for row in Delivery.objects.filter(state="waiting").select_related("webhook"):
            shown = next_attempt.of_delivery(row, self.now)
            if not row.forced:
                at = max(filter(None, (hook.next_attempt_at, row.due_at)), default=None)
                assert shown.moment == next_attempt.future(at, self.now)
            last = row.attempt_set.filter(number=row.attempts).first()
            if last is not None:
                shown_next = next_attempt.after_attempt(last, row, self.now)
                assert (shown_next.next.moment if shown_next.next else None) == shown.moment
                until = last.next_attempt_at
                cleared = ClearedBackoff.objects.filter(at__gte=last.finished_at).exists()
                assert (
                    until is None
                    or cleared
                    or hook.out_of_order
                    or until <= max(filter(None, (hook.earliest_possible_trigger, row.due_at)))
                )

    @invariant()
    def the_state_is_consistent(self) -> None:
        hook = Webhook.objects.get()
        assert hook.out_of_order == (hook.round >= LIMIT)
        assert not hook.out_of_order or hook.earliest_possible_trigger is None
        assert hook.out_of_order or (hook.earliest_possible_trigger is not None) >= bool(hook.round)
        assert webhook_health.counter_discrepancies() == []


def run(mode: str, settings: Any, examples: int) -> None:
    settings.SIM_EVENT_MODE = mode
    settings.SIM_FAILURE_LIMIT = LIMIT
    settings.SIM_MAX_IN_FLIGHT = 6
    run_state_machine_as_test(
        Backoffs,
        settings=sequences(examples, steps=40),
    )


@pytest.mark.parametrize("mode", ["each", "coalesce"])
def test_any_sequence_keeps_the_announced_backoff(mode: str, settings: Any) -> None:
    run(mode, settings, 3)


@pytest.mark.nightly(reason="400 sequences; fewer run each time")
@pytest.mark.parametrize("mode", ["each", "coalesce"])
def test_many_sequences_keep_the_announced_backoff(mode: str, settings: Any) -> None:
    run(mode, settings, 400)

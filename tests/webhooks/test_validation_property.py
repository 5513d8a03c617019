"""Any sequence of validations, responses, lost workers and edits keeps the counters correct.

The real database without HTTP, as in `test_delivery_property`: a state machine runs callers and
handlers, keeps a model of the expected state, and compares.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from requests_queue.errors import Refused
from requests_queue.queues import validation as queues
from requests_queue.queues.fulfillment.api import VALIDATED
from requests_queue.queues.validation import ValidationRequest
from tests import make
from tests.engines import lost_results
from tests.hypothesis_profiles import sequences
from tests.pruned import prune
from tests.webhooks.claimed import counted
from tests.webhooks.machines import DeliveryMachine
from tests.webhooks.validating import draft, platform
from webhooks import account_secrets, actions, states, webhook_health
from webhooks.delivery import claim, fan_out, record, validators
from webhooks.delivery.attempt import AttemptResult
from webhooks.delivery.claim import Claim
from webhooks.http.client import Response
from webhooks.models import Attempt, Delivery, Event, Webhook

pytestmark = pytest.mark.django_db

PICK = st.integers(0, 10**6)
COMPLAINS = {"asset": {"params": [{"id": "region", "value_error": "No"}]}}
# The end of a request: the result of the client, and how it is counted.
ENDS: dict[str, tuple[str, Response | None, str]] = {
    "right": (states.SUCCESS, Response(200, (), json.dumps(COMPLAINS).encode(), False), "success"),
    "empty": (states.SUCCESS, Response(200, (), b"{}", False), "success"),
    "wrong": (states.SUCCESS, Response(200, (), b"[]", False), "failure"),
    "no JSON": (states.SUCCESS, Response(200, (), b"<p>", False), "failure"),
    "refuses": (states.FAILURE, Response(500, (), b"{}", False), "failure"),
    "silent": (states.FAILURE, None, "failure"),
    "stopped": (states.UNKNOWN, None, "unknown"),
}


@dataclass
class Asking:
    """A caller that waits for an object's validators."""

    wanted: ValidationRequest
    calls: list[Claim]


class Validators(DeliveryMachine):
    """Three validators of a product, one of them older than its id suggests, and their callers."""

    def __init__(self) -> None:
        super().__init__()
        # Like Django's own test cases: durable blocks are allowed inside.
        self.block._from_testcase = True  # type: ignore[attr-defined]
        self.catalog = platform()
        for n in (1, 2, 3):
            at = make.AT + timedelta(hours=n % 3)
            make.webhook(self.catalog, n=n, type="validator", created_at=at)
        self.order = list(Webhook.objects.order_by("created_at").values_list("pk", flat=True))
        self.row = draft(self.catalog)
        self.asking: list[Asking] = []
        self.lost: set[int] = set()
        self.forced: list[Claim] = []
        self.events: Counter[str] = Counter()
        self.calls: Counter[tuple[str, str]] = Counter()
        self.since: Counter[str] = Counter()

    def finish(self) -> None:
        while self.asking:
            self.respond(0, ["right", "silent", "wrong"])
        self.counters_are_what_happened()
        calling = Delivery.objects.filter(state="calling")
        assert not calling.exclude(pk__in=[c.delivery_id for c in self.forced]).exists()

    def hook(self, pick: int) -> Webhook:
        return Webhook.objects.get(pk=self.order[pick % len(self.order)])

    @rule()
    def ask(self) -> None:
        self.tick()
        active = set(Webhook.objects.filter(active=True).values_list("pk", flat=True))
        expected = queues._prepared(VALIDATED, self.row.pk, {}, self.catalog.as_distributor)
        calls = validators._claim("validator", expected)
        # Those that are enabled, in the order of their creation.
        assert [c.webhook.id for c in calls] == [pk for pk in self.order if pk in active]
        self.events.update(active)
        if calls:
            self.asking.append(Asking(expected, calls))

    @rule(pick=PICK, ends=st.lists(st.sampled_from(sorted(ENDS)), min_size=3, max_size=3))
    def respond(self, pick: int, ends: list[str]) -> None:
        if not self.asking:
            return
        self.tick()
        one = self.asking.pop(pick % len(self.asking))
        came = [ENDS[end] for end, _ in zip(ends, one.calls, strict=False)]
        flown = [
            AttemptResult(call, outcome, 5, response=response, error="" if response else "Silence.")
            for call, (outcome, response, _) in zip(one.calls, came, strict=True)
        ]
        ids = {call.delivery_id for call in one.calls}
        late = self.lost & set(Delivery.objects.filter(pk__in=ids).values_list("pk", flat=True))
        wrong = sum(counts != "success" for *_, counts in came)
        redactions = account_secrets.redactions({one.wanted.vendor_id})
        read = [validators._read_response(each, one.wanted, redactions) for each in flown]
        try:
            readings = validators._finish(read)
        except Refused as refused:
            assert refused.code == "VAL_100"
            # Late responses are not merged, like invalid ones.
            assert len(refused.errors) == 1 + (wrong or bool(late))
        else:
            assert not wrong and not late
            assert len(readings) == len(one.calls)
        for call, (*_, counts) in zip(one.calls, came, strict=True):
            comes_late = call.delivery_id in late and counts != "unknown"
            if comes_late or call.delivery_id not in self.lost:
                self.book(call, counts)

    def book(self, call: Claim, counts: str) -> None:
        pk = call.webhook.id
        self.calls[pk, counts] += 1
        if counts == "success":
            self.since[pk] = 0
        elif counts == "failure":
            self.since[pk] += 1

    @rule(pick=PICK)
    def lose(self, pick: int) -> None:
        """Expire the lease of a request: a worker records it, and its response is late."""
        calls = [c for one in self.asking for c in one.calls if c.delivery_id not in self.lost]
        if not calls:
            return
        self.tick()
        call = calls[pick % len(calls)]
        Delivery.objects.filter(pk=call.delivery_id).update(lease=1.0)
        assert record.record(lost_results()) == ["settled"]
        assert claim.lost_claims() == []
        self.lost.add(call.delivery_id)
        self.book(call, "unknown")

    @rule(pick=PICK)
    def trigger_now(self, pick: int) -> None:
        self.tick()
        hook = self.hook(pick)
        try:
            fan_out.trigger(hook)
        except Refused:
            assert not hook.active
        else:
            self.events[hook.pk] += 1

    @rule(outcome=st.sampled_from([states.SUCCESS, states.FAILURE, states.UNKNOWN]))
    def work(self, outcome: str) -> None:
        """Run a worker: only Trigger now is due."""
        self.tick()
        self.forced = claim.claim(100).claims
        assert all(call.forced for call in self.forced)
        record.record([AttemptResult(call, outcome, 5) for call in self.forced])
        for call in self.forced:
            self.book(call, outcome)
        self.forced = []

    @rule(pick=PICK, active=st.booleans())
    def switch(self, pick: int, active: bool) -> None:
        self.tick()
        actions.edit(self.hook(pick).pk, self.catalog.vendor_user, {"active": active})

    @rule(pick=PICK, n=st.integers(0, 3))
    def edit(self, pick: int, n: int) -> None:
        self.tick()
        actions.edit(self.hook(pick).pk, self.catalog.vendor_user, {"data": {"n": n}})

    @rule(days=st.sampled_from([1, 40]))
    def wait_and_prune(self, days: int) -> None:
        self.tick(days * 24 * 3600)
        prune()

    @invariant()
    def counters_are_what_happened(self) -> None:
        assert webhook_health.counter_discrepancies() == []
        for hook in Webhook.objects.all():
            calls = {counts: self.calls[hook.pk, counts] for _, counts in self.calls}
            assert counted(hook) == (
                self.events[hook.pk],
                sum(calls.values()),
                calls.get("success", 0),
                calls.get("failure", 0),
                self.since[hook.pk],
            )
            assert (hook.last_success is None) == (not calls.get("success"))
            assert (hook.last_failure is None) == (not calls.get("failure"))

    @invariant()
    def nobody_is_out_of_order(self) -> None:
        standings = Webhook.objects.values_list(
            "earliest_possible_trigger", "gate_closed_at", "round", "out_of_order"
        )
        assert set(standings) == {(None, None, 0, False)}

    @invariant()
    def each_is_tried_once(self) -> None:
        for delivery in Delivery.objects.prefetch_related("attempt_set"):
            tried = [attempt.outcome for attempt in delivery.attempt_set.all()]
            assert delivery.attempts == len(tried)
            if delivery.pk in self.lost and len(tried) == 2:
                # One more late attempt.
                assert tried.pop(0) != Attempt.UNKNOWN
            match delivery.state:
                case Delivery.WAITING | Delivery.CALLING:
                    assert tried == []
                case Delivery.DELIVERED:
                    assert tried == [Attempt.SUCCESS]
                case Delivery.FAILED:
                    assert tried in ([Attempt.FAILURE], [Attempt.UNKNOWN])
                case _:
                    # Its webhook was disabled during the request or before it.
                    assert delivery.state == Delivery.CANCELLED and len(tried) <= 1
        for event in Event.objects.exclude(object_id=""):
            assert event.change == "validated in draft"


@pytest.mark.parametrize("mode", ["each", "coalesce"])
def test_any_sequence_of_validations_leaves_the_counters_in_order(mode: str, settings: Any) -> None:
    settings.SIM_EVENT_MODE = mode
    run_state_machine_as_test(
        Validators,
        settings=sequences(6, steps=40),
    )

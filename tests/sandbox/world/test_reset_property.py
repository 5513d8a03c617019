"""After any sequence of operations, a reset equals a fresh sandbox, and what follows does too."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from requests_queue.catalog.models import Account, User
from requests_queue.queues.fulfillment.models import Request
from sandbox.clock import settling
from sandbox.timeline import timeline
from sandbox.world import snapshots
from tests import api
from tests.api import Caller
from tests.hypothesis_profiles import examples
from tests.sandbox import worlds
from tests.sandbox.worlds import Rows, approve, ok, purchase, webhook
from webhooks import states
from webhooks.delivery import claim, record
from webhooks.delivery.attempt import AttemptResult
from webhooks.models import Webhook

pytestmark = pytest.mark.django_db(transaction=True)

_ID = re.compile(r"\b[A-Z]{2,4}(?:-\d{2,})+\b")


class Users:
    """What people, programs, handlers and the clock do; `pick` chooses what it is done to."""

    def __init__(self, vendor: Caller, distributor: Caller) -> None:
        self.vendor, self.distributor = vendor, distributor

    def order(self, pick: int) -> None:
        purchase(self.distributor)

    def approve(self, pick: int) -> None:
        if pk := self._request(pick):
            approve(self.vendor, {"id": pk})

    def fail(self, pick: int) -> None:
        if pk := self._request(pick):
            self.vendor.post(f"/requests/{pk}/fail", {"reason": "Because"})

    def create_webhook(self, pick: int) -> None:
        who = (self.vendor, self.distributor)[pick % 2]
        webhook(who, "http://127.0.0.1:9/")

    def change_webhook(self, pick: int) -> None:
        pks = list(Webhook.objects.order_by("pk").values_list("pk", flat=True))
        if pks:
            path = f"/notifications/webhooks/{pks[pick % len(pks)]}"
            for who in (self.vendor, self.distributor):
                if pick % 3:
                    who.post(f"{path}/trigger")
                else:
                    who.delete(path)

    def deliver(self, pick: int) -> None:
        outcome = (states.SUCCESS, states.FAILURE, states.UNKNOWN)[pick % 3]
        claimed = claim.claim(10).claims
        # Some stay in flight, and their results come after the reset.
        record.flush([AttemptResult(each, outcome, 5) for each in claimed[pick % 2 :]])

    def move_clock(self, pick: int) -> None:
        body = {"by": f"{pick % 50 + 1}h", "patience": 0, "settle": 0}
        ok(self.vendor.post("/sandbox/clock/advance", body))

    def talk(self, pick: int) -> None:
        if pk := self._request(pick):
            found = ok(self.vendor.get(f"/conversations?eq(instance_id,{pk})"))
            if found:
                path = f"/conversations/{found[0]['id']}/messages"
                self.vendor.post(path, {"type": "message", "text": "Hello"})

    def sample(self, pick: int) -> None:
        queues = (
            "usage_file",
            "tier_config",
            "tier_account",
            "listing",
            "billing",
            "helpdesk",
            "fulfillment",
        )
        self.vendor.post("/sandbox/queue/samples", {"queue": queues[pick % len(queues)]})

    def add_people(self, pick: int) -> None:
        number = User.objects.order_by("-pk")[0].pk + 1
        User.objects.create_user(f"u{number}", password=None, uid=f"UR-900-000-{number:05d}")
        account = Account.objects.order_by("pk")[pick % Account.objects.count()]
        api.caller(account, f"SU-900-000-{number % 1000:03d}:secret-of-the-user").get("/requests")

    def hold(self, pick: int) -> None:
        settling.take_hold(100)

    def save(self, pick: int) -> None:
        snapshots.save("a", replace=True, patience=0)

    def restore(self, pick: int) -> None:
        if snapshots.all_snapshots()[0].name == "a":
            snapshots.restore("a", patience=0)

    def reset(self, pick: int) -> None:
        snapshots.reset(patience=0)

    def _request(self, pick: int) -> str:
        """Return a pending request of the plain product, whose parameters are known."""
        rows = Request.objects.filter(status="pending", product=worlds.PLAIN).order_by("pk")
        pks = list(rows.values_list("pk", flat=True))
        return pks[pick % len(pks)] if pks else ""


OPERATIONS = sorted(name for name in vars(Users) if not name.startswith("_"))
STEPS = st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 100)), max_size=12)


def run(users: Users) -> list[Any]:
    """Run what is the same each time, and return the timeline without ids and times."""
    cursor = timeline.now()
    steps: list[Callable[[int], None]] = [
        users.create_webhook,
        users.order,
        users.order,
        users.deliver,
        users.approve,
        users.deliver,
        users.move_clock,
        users.deliver,
        users.fail,
        users.deliver,
    ]
    for number, step in enumerate(steps):
        step(2 * number)
    return [
        (row.kind, bool(row.attempt), row.attempt, _without_ids(row.data))
        for row in timeline.between(cursor, timeline.now())
        if row.kind != timeline.API_CALL
    ]


def _without_ids(data: dict[str, Any]) -> Any:
    # Of the pending orders, ids decide which one is approved.
    left_out = ("next_attempt_at", "from", "to", "type")
    text = json.dumps({k: v for k, v in data.items() if k not in left_out})
    text = _ID.sub(lambda match: match[0].partition("-")[0], text)
    # Times in explanations.
    return re.sub(r"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d", "", text)


def test_reset_equals_a_fresh_sandbox(saved: Rows, vendor: Caller, distributor: Caller) -> None:
    users = Users(vendor, distributor)
    first = run(users)
    assert {kind for kind, *_ in first} >= {"change", "event", "attempt_finished", "clock"}
    snapshots.reset(patience=0)

    @examples(8, suppress_health_check=list(HealthCheck), deadline=timedelta(minutes=5))
    @given(STEPS)
    def check(steps: list[tuple[str, int]]) -> None:
        for name, pick in steps:
            getattr(users, name)(pick)
        snapshots.reset(patience=0)
        assert not worlds.differing(saved, worlds.contents())
        assert run(users) == first
        snapshots.reset(patience=0)

    check()

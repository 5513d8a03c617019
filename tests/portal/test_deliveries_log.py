"""The log of deliveries: whose, in which order, how it goes on, and what that costs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from tests import make
from tests.make import AT
from tests.portal.delivered import attempt, delivery, hook, ids
from tests.signed_in import distributor, root, stranger, vendor, world
from webhooks.models import Delivery, Event, Resend, Webhook

__all__ = ["distributor", "hook", "root", "stranger", "vendor", "world"]

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def fill(hook: Webhook, count: int) -> None:
    """Add deliveries with an event and an attempt each."""
    for n in range(count):
        attempt(delivery(hook, f"PR-{n:04d}-0000-0000-001"))


def test_each_account_sees_its_own(
    vendor: Client, distributor: Client, stranger: Client, hook: Webhook, world: make.World
) -> None:
    theirs = delivery(make.webhook(world, n=2, account=world.provider))
    ours = delivery(hook)
    assert ids(vendor) == [ours.pk]
    assert ids(distributor) == [theirs.pk]
    assert ids(stranger) == []
    assert ids(stranger, f"?q=webhook:{hook.pk}") == []
    assert "No deliveries yet" in stranger.get("/deliveries/").content.decode()
    assert Client().get("/deliveries/").status_code == 303


def test_a_row_says_what_happened_and_how_it_ended(vendor: Client, hook: Webhook) -> None:
    row = delivery(hook, "PR-1111-1111-1111-001", "PR-2222-2222-2222-001", state="waiting")
    attempt(row, "failure", error="<b>refused</b>\x1b[31m")
    again = delivery(hook)
    again.events.all().delete()
    Resend.objects.create(
        delivery=again, repeats=row, number=1, changed=True, url="http://x/", method="POST",
        payload="{}",
    )  # fmt: skip
    page = vendor.get("/deliveries/").content.decode()
    for words in (
        "created → pending", "PR-1111-1111-1111-001", "+1 more", "waiting", "500 failure", "7 ms",
        "&lt;b&gt;refused&lt;/b&gt;\\x1b[31m", hook.pk, hook.label,
        f"Sent again with changes, from delivery {row.pk}",
    ):  # fmt: skip
        assert words in page, words


def test_pages_go_on_by_ids_while_the_log_grows(vendor: Client, hook: Webhook) -> None:
    fill(hook, 60)
    every = list(Delivery.objects.order_by("-pk").values_list("pk", flat=True))
    first = vendor.get("/deliveries/").context["log"]
    fill(hook, 5)
    second = vendor.get(f"/deliveries/{first.older}").context["log"]
    third = vendor.get(f"/deliveries/{second.older}").context["log"]
    assert first.ids + second.ids + third.ids == every
    assert not third.older and not first.newer
    assert vendor.get(f"/deliveries/{third.newer}").context["log"].ids == second.ids
    back = vendor.get(f"/deliveries/{second.newer}").context["log"]
    assert back.ids == first.ids and back.newer
    # Only the newest are looked at again.
    assert "hx-get" in vendor.get("/deliveries/").content.decode()
    assert "hx-get" not in vendor.get(f"/deliveries/{first.older}").content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "?older=x", "?newer=-1", f"?older={'9' * 30}", "?older=٣", "?older=0", f"?newer={2**62}",
        "?state=<b>", "?state=gone",
    ],
)  # fmt: skip
def test_any_query_shows_a_page(vendor: Client, hook: Webhook, query: str) -> None:
    delivery(hook)
    assert vendor.get(f"/deliveries/{query}").status_code == 200


def test_the_state_filters(vendor: Client, hook: Webhook) -> None:
    made = {state: delivery(hook, state=state).pk for state in ("waiting", "failed", "delivered")}
    for state, pk in made.items():
        assert ids(vendor, f"?state={state}") == [pk]
    assert ids(vendor, "?state=failed&q=state:waiting") == []


def test_a_look_at_what_was_seen_is_204_until_something_changes(
    vendor: Client, hook: Webhook, django_assert_max_num_queries: Any
) -> None:
    fill(hook, 30)
    row = delivery(hook, state="waiting")

    def after(change: Any) -> int:
        stamp = vendor.get("/deliveries/").context["log"].stamp
        change()
        return vendor.get(f"/deliveries/?stamp={stamp}", headers=HTMX).status_code

    assert after(lambda: None) == 204
    assert after(lambda: delivery(hook)) == 200
    assert after(lambda: Delivery.objects.filter(pk=row.pk).update(state="calling")) == 200
    assert after(lambda: attempt(row, "failure")) == 200
    assert after(lambda: Event.objects.create(webhook=hook, delivery=row, at=AT)) == 200
    stamp = vendor.get("/deliveries/").context["log"].stamp
    with django_assert_max_num_queries(7):
        answer = vendor.get(f"/deliveries/?stamp={stamp}", headers=HTMX)
    assert (answer.status_code, answer.content) == (204, b"")
    piece = vendor.get("/deliveries/?stamp=old", headers=HTMX).content.decode()
    assert piece.lstrip().startswith('<div id="log"')


def test_statements_are_bounded_and_leave_bodies_alone(
    vendor: Client, hook: Webhook, django_assert_max_num_queries: Any
) -> None:
    row = delivery(hook, *(f"PR-{n:04d}-0000-0000-001" for n in range(50)))
    for _ in range(5):
        attempt(row, "failure")
    fill(hook, 30)
    with django_assert_max_num_queries(12) as asked:
        assert len(ids(vendor, "?q=outcome:failure,success")) == 25
    said = " ".join(query["sql"] for query in asked)
    assert "response_body" not in said and "jwt_secret" not in said and "claims" not in said


def test_an_administrator_reads_as_the_account_that_is_acted_as(
    root: Client, hook: Webhook, world: make.World
) -> None:
    row = delivery(hook)
    assert ids(root) == [row.pk]
    root.post("/acting/", {"account": world.provider.pk})
    assert ids(root) == []
    assert root.get(f"/deliveries/{row.pk}/").status_code == 404


def test_the_times_stand_without_scripts(vendor: Client, hook: Webhook) -> None:
    delivery(hook, created_at=AT + timedelta(hours=6))
    assert "2026-11-01 15:00:00 UTC" in vendor.get("/deliveries/").content.decode()

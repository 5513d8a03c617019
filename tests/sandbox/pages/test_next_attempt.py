"""The button of a delivery's page that moves the clock to its next attempt."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from requests_queue import clock
from sandbox.clock import moves
from sandbox.clock.moves import MoveResult
from sandbox.models import TimelineEntry
from tests import html
from tests.portal.delivery_rows import attempt, delivery
from tests.signed_in import stranger, vendor
from webhooks.models import Delivery, Webhook

__all__ = ["stranger", "vendor"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def row(hook: Webhook) -> Delivery:
    """A delivery whose next attempt is in five minutes."""
    row = delivery(hook, state="waiting")
    attempt(row, "failure")
    Webhook.objects.update(earliest_possible_trigger=clock.now() + timedelta(minutes=5), round=1)
    return row


@pytest.fixture
def clock_moves(row: Delivery, monkeypatch: pytest.MonkeyPatch) -> list[timedelta]:
    """The moves of the clock, each of which runs attempt 2."""
    made: list[timedelta] = []

    def advance(duration: timedelta) -> MoveResult:
        made.append(duration)
        ended = TimelineEntry(webhook_id=row.webhook_id, data={"outcome": "failure"})
        now = clock.now()
        return MoveResult(now, now, 1, "end", [ended])

    monkeypatch.setattr(moves, "advance", advance)
    return made


def test_button_moves_to_the_attempt_and_shows_its_result(
    vendor: Client, row: Delivery, clock_moves: list[timedelta]
) -> None:
    path = f"/deliveries/{row.pk}/"
    form = html.get(vendor, path).one("#next form")
    assert form.by_role("button", "Advance to it")
    response = vendor.post(form["action"], follow=True)
    [moved] = clock_moves
    assert timedelta(minutes=4) < moved <= timedelta(minutes=5)
    assert response.redirect_chain == [(path, 303)]
    assert html.parse(response).one("*[data-summary]").text == "1 attempt: 1 failed. View"


def test_refused_move_is_explained(vendor: Client, row: Delivery) -> None:
    with moves.Move("advance"):
        response = vendor.post(f"/deliveries/{row.pk}/advance/", follow=True)
    assert "already being moved" in html.parse(response).messages


def test_only_a_delivery_with_a_time_has_the_button(
    vendor: Client, stranger: Client, row: Delivery, clock_moves: list[timedelta]
) -> None:
    assert stranger.post(f"/deliveries/{row.pk}/advance/").status_code == 404
    assert vendor.get(f"/deliveries/{row.pk}/advance/").status_code == 405
    Webhook.objects.update(out_of_order=True)
    assert not html.get(vendor, f"/deliveries/{row.pk}/").all("#next form")
    Delivery.objects.update(state="delivered")
    assert not html.get(vendor, f"/deliveries/{row.pk}/").all("#next form")
    assert not clock_moves

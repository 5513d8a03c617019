"""What is read of the clock: `GET /sandbox/clock`, and `Date` of responses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db import connection
from django.utils.http import http_date

from requests_queue import clock
from requests_queue.db import sql
from requests_queue.models import Clock
from sandbox.clock import moves, settling
from sandbox.models import TimelineEntry
from sandbox.timeline import timeline
from tests import make
from tests.api import Caller
from tests.background import Background
from tests.handlers import Handler
from tests.sandbox.calling import hook, served
from webhooks.delivery.engine import Engine
from webhooks.models import Webhook

__all__ = ["hook", "served"]

pytestmark = pytest.mark.django_db(transaction=True)

S = timedelta(seconds=1)


def test_clock_says_what_it_waits_for(
    engine: Engine, catalog: make.Catalog, who: Caller, hook: Webhook, served: Handler
) -> None:
    served.respond = lambda request: None
    make.order(catalog)
    served.next()
    hold = settling.take_hold(note="test")
    before = clock.now()
    state = who.get("/sandbox/clock").json
    served.release.set()
    assert datetime.fromisoformat(state["now"]) - before < 5 * S
    assert (state["moving"], state["frozen"], state["settled"]) == (False, False, False)
    assert [each["kind"] for each in state["waiting_for"]] == ["in_flight", "hold"]
    in_flight, held = (each["text"] for each in state["waiting_for"])
    assert in_flight.startswith("Attempt 1 of delivery ") and in_flight.endswith(" is in flight.")
    assert held.startswith(f"{hold.id} (test) is held")


def test_clock_says_how_far_ahead_it_is(who: Caller) -> None:
    assert who.get("/sandbox/clock").json["offset"] == pytest.approx(0, abs=0.5)
    assert moves.ahead(clock.now()) == ""
    who.post("/sandbox/clock/advance", {"by": "P3DT4H"})
    state = who.get("/sandbox/clock").json
    assert state["offset"] == pytest.approx((3 * 24 + 4) * 3600, abs=5)
    assert state["settled"] is True and state["waiting_for"] == []
    assert moves.ahead(clock.now()) == "Platform time is 3 d 4 h ahead of real time."


def test_reading_the_clock_moves_nothing(who: Caller) -> None:
    with moves.Move("wait") as move:
        rows = Clock.objects.values()[0]
        state = who.get("/sandbox/clock").json
        assert (state["moving"], state["frozen"]) == (True, True)
        assert state["now"] == timeline.format_time(move.now)
        assert Clock.objects.values()[0] == rows
    assert not TimelineEntry.objects.exists()


def test_api_has_platform_time_in_its_date(who: Caller) -> None:
    moves.advance(timedelta(days=40))
    for path, status in (("/requests", 200), ("/requests/PR-1", 404), ("/nowhere", 404)):
        response = who.get(path)
        assert response.status == status
        shown = datetime.strptime(response.headers["Date"], "%a, %d %b %Y %H:%M:%S GMT")
        assert abs(shown.replace(tzinfo=UTC) - clock.now()) < 5 * S
    assert "Date" in Caller(None).get("/requests").headers
    assert "Date" not in who.get("/sandbox/clock").headers
    headers = {"authorization": f"ApiKey {who.key}"}
    assert "Date" not in who.client.get("/public/v10/requests", headers=headers).headers


def test_date_is_that_of_a_move_that_another_connection_has_committed(who: Caller) -> None:
    Clock.objects.create(pk=1)

    def freeze(moment: datetime) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE requests_queue_clock SET frozen_at = %s", [sql.datetime_param(moment)]
            )

    for day in (1, 2):
        moment = datetime(2040, 1, day, tzinfo=UTC)
        # As another process would: only the database knows of it.
        Background(partial(freeze, moment)).result()
        assert who.get("/requests").headers["Date"] == http_date(moment.timestamp())

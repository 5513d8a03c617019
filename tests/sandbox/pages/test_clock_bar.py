"""The bar of the sandbox: its state, moves and their summaries, reset; without a browser."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from django.test import Client

from requests_queue.errors import Conflict
from requests_queue.models import Clock
from sandbox.clock import moves, settling
from sandbox.clock.moves import Move, MoveResult
from sandbox.clock.settling import Unsettled
from sandbox.models import TimelineEntry
from sandbox.pages.world import BUTTONS
from sandbox.readings import chosen
from sandbox.world import snapshots
from sandbox.world.gate import Busy
from sandbox.world.snapshots import Replacement
from tests import html, make
from tests.html import Element
from tests.make import Catalog
from tests.signed_in import distributor, root, vendor

__all__ = ["distributor", "root", "vendor"]

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
START = datetime(2026, 11, 26, 10, tzinfo=UTC)


def bar(client: Client, path: str = "/") -> Element:
    return html.get(client, path).one(".bar")


def press(client: Client, name: str = "next-attempt", **data: str) -> Element:
    """Press a button with htmx; return what replaces the last summary."""
    return html.parse(client.post("/time/move/", {"move": name, **data}, headers=HTMX))


Answer = Callable[..., None]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Let each move of the clock have a result, or raise."""

    def set_result(*attempts: tuple[str, str], error: Exception | None = None, **more: Any) -> None:
        rows = [
            TimelineEntry(webhook_id=webhook, data={"outcome": outcome})
            for webhook, outcome in attempts
        ]
        values = {"stops": len(rows), "stopped_because": moves.END, **more}
        result = MoveResult(START, START + timedelta(minutes=4), attempts=rows, **values)
        move = Mock(return_value=result, side_effect=error)
        for name in ("advance", "run_next", "run_until_idle"):
            monkeypatch.setattr(moves, name, move)

    return set_result


def test_bar_shows_platform_time_and_how_far_it_is_ahead(root: Client) -> None:
    assert bar(root).one("*[data-ahead]").text == "real time"
    Clock.objects.update_or_create(pk=1, defaults={"offset": timedelta(days=2, hours=3)})
    shown = bar(root, "/products/")
    assert shown.one("*[data-ahead]").text == "2 d 3 h ahead"
    at = datetime.fromisoformat(shown.one("time[data-now]")["data-now"])
    assert timedelta(days=2, hours=2) < at - datetime.now(UTC) < timedelta(days=2, hours=4)
    assert [each["data-action"] for each in shown.all("button[name=move]")] == [
        each.name for each in BUTTONS
    ]


def test_poll_is_empty_until_the_clock_moves(root: Client) -> None:
    address = bar(root).one("#bar-state")["hx-get"]
    assert root.get(address, headers=HTMX).status_code == 204
    with Move(moves.NEXT):
        response = root.get(address, headers=HTMX)
        assert html.parse(response).one("*[data-ahead]").text == "moving…"
        assert html.parse(response).all("time[data-now]")
        assert not html.parse(response).all("time[data-time]")
    assert root.get(address).status_code == 303


def test_bar_names_alternatives_that_are_not_the_defaults(root: Client) -> None:
    address = bar(root).one("#bar-state")["hx-get"]
    assert not bar(root).all("*[data-reading]")
    chosen.choose({"jwt_header": "authorization", "event_mode": "each"})
    shown = html.parse(root.get(address, headers=HTMX))
    assert [each.text for each in shown.all("*[data-reading]")] == ["jwt_header=authorization"]


@pytest.mark.parametrize(
    ("outcomes", "text"),
    [
        (["success"] * 2 + ["failure"] * 4, "6 attempts: 2 succeeded, 4 failed."),
        (["success"], "1 attempt: 1 succeeded."),
        (["unknown"], "1 attempt: 1 with unknown outcome."),
    ],
)
def test_summary_counts_outcomes_and_links_to_what_happened(
    vendor: Client, catalog: Catalog, answer: Answer, outcomes: list[str], text: str
) -> None:
    hook = make.webhook(catalog)
    answer(*((hook.pk, outcome) for outcome in outcomes))
    shown = press(vendor)
    summary = shown.one("*[data-summary]")
    assert summary.text == f"{text} Moved 4 min. View"
    assert html.get(vendor, summary.one("a")["href"]).by_role("heading", "Timeline")
    assert shown.one("#bar-state")["hx-swap-oob"] == "true"


def test_summary_names_no_webhook_or_handler_of_other_accounts(
    distributor: Client, catalog: Catalog, answer: Answer
) -> None:
    hook = make.webhook(catalog)
    left = [
        Unsettled(settling.SETTLE_TIME, f"{hook.external_url} may act", frozenset({n}), 1)
        for n in range(2)
    ]
    left.append(Unsettled(settling.IN_FLIGHT, "Delivery 7 is in flight", frozenset({"d"}), 1))
    answer((hook.pk, "failure"), unsettled=left)
    text = press(distributor).one("*[data-summary]").text
    assert text == (
        "No attempt was due. 1 attempt of other accounts. Moved 4 min. Did not wait for: "
        "2 handlers that may still work, 1 request in flight. View"
    )


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"stopped_because": moves.IDLE}, "No attempt is due. Moved 4 min."),
        ({"stopped_because": moves.MAX}, "No attempt was due. Moved 4 min. More is pending later."),
        ({"stopped_because": moves.STEPS, "stops": 1000},
         "No attempt was due. Moved 4 min. Stopped after 1000 due times: more is pending. View"),
        ({"failed": ["billing"]},
         "No attempt was due. Moved 4 min. Failed jobs of the platform: billing."),
    ],
)  # fmt: skip
def test_summary_says_why_a_move_ended(
    vendor: Client, answer: Answer, more: dict[str, Any], text: str
) -> None:
    answer(**more)
    assert press(vendor).one("*[data-summary]").text == text


def test_move_during_another_one_is_refused(vendor: Client) -> None:
    with Move(moves.NEXT):
        for button in BUTTONS:
            response = vendor.post("/time/move/", {"move": button.name}, headers=HTMX)
            assert response.status_code == 409
            assert "The clock is already being moved." in html.parse(response).text


def test_without_scripts_the_next_page_has_the_summary_once(vendor: Client, answer: Answer) -> None:
    answer(error=Conflict("CLK_001", "The clock is already being moved."))
    form = {"move": "advance-5m", "next": "/deliveries/?q=x"}
    response = vendor.post("/time/move/", form)
    assert (response.status_code, response["Location"]) == (303, "/deliveries/?q=x")
    assert (
        bar(vendor, "/queues/").one("*[data-summary]").text == "The clock is already being moved."
    )
    assert not bar(vendor).all("*[data-summary]")


@pytest.mark.parametrize("data", [{}, {"move": "back"}, {"move": "next-attempt\0"}])
def test_unknown_move_is_not_found(vendor: Client, data: dict[str, str]) -> None:
    assert vendor.post("/time/move/", data).status_code == 404


@pytest.mark.parametrize("elsewhere", ["https://example.com/", "//example.com", "", "/\\x.y"])
def test_move_returns_to_this_server_only(vendor: Client, answer: Answer, elsewhere: str) -> None:
    answer()
    form = {"move": "advance-1d", "next": elsewhere}
    assert vendor.post("/time/move/", form)["Location"] == "/"


def test_moves_need_a_token(catalog: Catalog, client: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(catalog.vendor_user)
    for path in ("/time/move/", "/time/reset/"):
        assert strict.post(path, {"move": "advance-5m"}).status_code == 403
    assert client.get("/time/move/").status_code == 405


def test_reset_asks_first_and_returns_to_the_section(
    vendor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = ["Delivery 7 of http://127.0.0.1/ is in flight."]
    reset = Mock(return_value=Replacement(START, 120, left, "0.0"))
    monkeypatch.setattr(snapshots, "reset", reset)
    question = html.get(vendor, "/time/reset/?next=/queues/fulfillment/").one("main form")
    assert not reset.called and question["action"] == "/time/reset/"
    assert ("next", "/queues/fulfillment/") in question.sent()
    gone = {"next": "/queues/fulfillment/PR-1111-1111-1111-001/?x=1"}
    assert vendor.post("/time/reset/", gone)["Location"] == "/queues/"
    assert bar(vendor).one("*[data-summary]").text == (
        "Reset to the demo data in 120 ms. It did not wait for 1 request or handler."
    )
    assert vendor.post("/time/reset/")["Location"] == "/"
    assert reset.call_count == 2


def test_busy_sandbox_is_not_reset(vendor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = Mock(side_effect=Busy("A job of the platform is running."))
    monkeypatch.setattr(snapshots, "reset", busy)
    vendor.post("/time/reset/")
    text = bar(vendor).one("*[data-summary]").text
    assert text == "A job of the platform is running. Nothing was changed. Try again."

"""What the sandbox adds to the command palette: the clock, faults and checks."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from django.test import Client
from django.urls import reverse

from sandbox.clock import moves
from sandbox.clock.moves import MoveResult
from sandbox.faults import armed
from sandbox.pages.world import BUTTONS
from tests import html, make
from tests.html import Element
from tests.make import AT, Catalog
from tests.signed_in import distributor, root, stranger, vendor

__all__ = ["distributor", "root", "stranger", "vendor"]

pytestmark = pytest.mark.django_db


def found(client: Client, text: str) -> dict[str, Element]:
    """Return the options that a text finds, by name."""
    page = html.get(client, f"/search/?q={text}", **{"HX-Request": "true"})
    return {each.all("span")[0].text: each for each in page.all("[role=option]")}


def press(client: Client, option: Element) -> Any:
    """Send the form of an option."""
    assert option.tag == "button"
    data = {option["name"]: option["value"]} if option.get("name") else {}
    return client.post(option["formaction"], {**data, "next": "/queues/"})


@pytest.mark.parametrize("button", BUTTONS, ids=lambda button: button.name)
def test_move_of_the_clock_is_the_button_of_the_bar(
    vendor: Client, button: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in (button.label.replace("+", "%2B"), "clock", "advance", "time"):
        option = found(vendor, text)[button.title]
    [form] = [form for form in html.get(vendor, "/").all(".bar form") if form.all("*[name=move]")]
    assert option["formaction"] == form["action"]
    assert option["value"] in [each["value"] for each in form.all("button[name=move]")]
    move = Mock(return_value=MoveResult(AT, AT, attempts=[], stops=0, stopped_because=moves.END))
    for name in ("advance", "run_next", "run_until_idle"):
        monkeypatch.setattr(moves, name, move)
    response = press(vendor, option)
    assert (response.status_code, response["Location"]) == (303, "/queues/")
    assert move.call_count == 1
    assert html.get(vendor, "/queues/").one("*[data-summary]")


def test_reset_leads_to_its_question(vendor: Client) -> None:
    option = found(vendor, "reset")["Reset the sandbox…"]
    assert html.get(vendor, option["href"]).one("main h1").text == "Reset the sandbox?"


def test_faults_are_cleared(vendor: Client, catalog: Catalog) -> None:
    for n in range(2):
        scope = {"webhook": make.webhook(catalog, n=n).pk}
        armed.arm(kind="abort", side="delivery", name=f"down {n}", scope=scope)
    options = found(vendor, "clear down 1")
    assert set(options) & {"Clear fault down 0", "Clear fault down 1"} == {"Clear fault down 1"}
    assert press(vendor, options["Clear fault down 1"])["Location"] == reverse("faults")
    assert [row.name for row in armed.listed()] == ["down 0"]
    press(vendor, found(vendor, "clear")["Clear all faults"])
    assert not armed.listed()
    assert "Clear all faults" not in found(vendor, "clear")


def test_fault_that_the_viewer_may_not_change_is_not_cleared(vendor: Client, root: Client) -> None:
    armed.arm(kind="abort", side="api", name="outage", scope={})
    names = found(vendor, "outage")
    assert "Fault outage" in names and "Clear fault outage" not in names
    assert "Clear all faults" not in found(vendor, "clear")
    assert "Clear fault outage" in found(root, "outage")
    assert "Clear all faults" in found(root, "clear")


def test_checks_of_a_webhook_are_started_by_their_form(
    vendor: Client, stranger: Client, catalog: Catalog
) -> None:
    rows = [make.webhook(catalog, n=n, label=label) for n, label in ((1, "Orders"), (2, "Usage"))]
    for text in ("check", "checks", "run checks"):
        assert {"Check Orders…", "Check Usage…"} <= found(vendor, text).keys(), text
    for text in ("check orders", "run checks of orders", f"check {rows[0].pk}"):
        options = {name for name in found(vendor, text) if name.startswith("Check ")}
        assert options == {"Check Orders…"}, text
    page = html.get(vendor, found(vendor, "check orders")["Check Orders…"]["href"])
    assert page.by_role("button", "Run checks")
    assert "Check Orders…" not in found(stranger, "check orders")
    assert "Check Orders…" not in found(vendor, "orders")

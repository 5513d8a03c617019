"""The usual action on cards, and for several objects at once."""

from __future__ import annotations

import re
from itertools import cycle
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.queues import bulk
from requests_queue.queues import base
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.helpdesk import creation as helpdesk
from requests_queue.queues.helpdesk.models import Case
from requests_queue.queues.listing.models import ListingRequest
from requests_queue.queues.tier_account.models import TierAccountRequest
from requests_queue.queues.usage_file.models import UsageFile
from tests import html, make
from tests.portal.queues import PENDING, distributor, refused, seeded, vendor
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db

__all__ = ["distributor", "seeded", "vendor"]

BULK = "/queues/fulfillment/bulk/"
NAMES = (
    "fulfillment",
    "tier_config",
    "tier_account",
    "billing",
    "listing",
    "usage_file",
    "helpdesk",
)


def orders(how_many: int, statuses: tuple[str, ...] = ("pending",)) -> Any:
    """Return a catalog with orders in these statuses, in turn, which lack no values."""
    catalog = make.catalog("1")
    pks = [make.order(catalog).pk for _ in range(how_many)]
    for pk, status in zip(pks, cycle(statuses), strict=False):
        Request.objects.filter(pk=pk).update(status=status)
    return catalog, signed_in(catalog.vendor_user), pks


def statuses(pks: list[str]) -> list[str]:
    return [Request.objects.get(pk=pk).status for pk in pks]


@pytest.mark.parametrize("name", NAMES)
def test_cards_have_the_usual_action_of_the_viewer(
    vendor: Client, distributor: Client, name: str
) -> None:
    """Each card's button is an available primary action of the viewer's party, and no other."""
    queue = base.find_queue(name)
    assert queue
    for client, role in ((vendor, "vendor"), (distributor, "distributor")):
        page = html.get(client, f"/queues/{name}/?status=&size=50")
        for row in page.all("tbody tr"):
            pk = row.one("th a").text
            expected = queue.usual_action(queue.model.objects.get(pk=pk), role)
            buttons = [each.text.rstrip("…") for each in row.all(".action-cell .button")]
            assert buttons == ([expected.title] if expected else []), pk
            assert len(row.all(".pick")) == (bool(buttons) and buttons != ["Upload"])
        assert bool(html.get(client, f"/queues/{name}/").all(".board-card")) == bool(queue.statuses)


def test_empty_columns_are_collapsed(vendor: Client) -> None:
    page = html.get(vendor, "/queues/fulfillment/?type=cancel")
    empty = {each.text for each in page.all(".board-column.is-empty")}
    assert "Pending 0" in empty and len(empty) > 3
    board = page.one("#board")
    assert (board["role"], board["tabindex"], board["aria-label"]) == ("region", "0", "Board")


def test_missing_values_lead_to_the_form(vendor: Client) -> None:
    link = html.get(vendor, "/queues/fulfillment/").by_role("link", f"Approve… {PENDING}")
    assert link["href"] == f"/queues/fulfillment/{PENDING}/actions/approve/"
    result = html.parse(vendor.post(BULK, {"one": f"approve:{PENDING}"}))
    assert "Approve: 1 refused" in result
    assert f"{PENDING} Parameter activation_id is required. Enter values" in result


def test_card_button_runs_the_action() -> None:
    _, client, (first, second) = orders(2)
    button = html.get(client, "/queues/fulfillment/").by_role("button", f"Approve {first}")
    result = client.post(BULK, {button["name"]: button["value"]}, headers={"HX-Request": "true"})
    assert "Approve: 1 approved" in html.parse(result) and b"<html" not in result.content
    assert statuses([first, second]) == ["approved", "pending"]
    again = html.parse(client.post(BULK, {button["name"]: button["value"]}))
    assert f"{first} is approved: approve is for pending only." in again


Parties = tuple[make.Catalog, Client, str]


@pytest.fixture
def parties() -> Parties:
    """Return a catalog, its vendor's user signed in, and the order of another catalog."""
    catalog = make.catalog("1")
    return catalog, signed_in(catalog.vendor_user), make.order(make.catalog("2")).pk


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    mix=st.lists(st.sampled_from(["pending", "approved", "failed", "draft"]), max_size=6),
    unknown=st.lists(st.sampled_from(["PR-0", "", "\0", "é", "a/b"]), max_size=2),
    foreign=st.booleans(),
)
def test_results_add_up_for_any_mix_of_objects(
    parties: Parties, mix: list[str], unknown: list[str], foreign: bool
) -> None:
    catalog, client, theirs = parties
    pks: list[str] = []
    for status in mix:
        pks.append(make.order(catalog).pk)
        Request.objects.filter(pk=pks[-1]).update(status=status)
    sent = [*pks, *pks[:1], *unknown, *([theirs] if foreign else [])]
    response = client.post(BULK, {"selected": "approve", "pk": sent})
    allowed, distinct = mix.count("pending"), {p.replace("\0", "") for p in sent} - {""}
    if not distinct:
        assert response.status_code == 400
        return
    summary = html.parse(response).one(".bulk-result .strong").text
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (\w+)", summary)}
    assert counts.get("approved", 0) == allowed
    assert counts.get("refused", 0) == len(distinct) - allowed
    assert statuses(pks) == [each if each != "pending" else "approved" for each in mix]
    assert Request.objects.get(pk=theirs).status == "pending"


def test_all_that_match_are_approved_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "STEP", 2)
    _, client, pks = orders(6, ("pending", "pending", "failed"))
    assert html.get(client, "/queues/fulfillment/").by_role("button", "Approve all 4")
    result = html.parse(client.post(BULK, {"all": "approve"}))
    assert "2 approved (2 of 4 so far)" in result
    # Approved by somebody else between the steps.
    changed = Request.objects.filter(status="pending")[0].pk
    Request.objects.filter(pk=changed).update(status="approved")
    result = html.parse(client.post(BULK, {"state": result.one("[name=state]").value}))
    assert "Approve: 3 approved, 1 refused" in result
    assert f"{changed} {changed} is approved: approve is for pending only." in result
    assert not result.all("[name=state]")
    assert statuses(pks) == ["approved", "approved", "failed"] * 2


def test_filters_limit_all() -> None:
    _, client, pks = orders(3)
    assert client.post(BULK, {"all": "approve", "q": pks[1]}).status_code == 200
    assert statuses(pks) == ["pending", "approved", "pending"]
    assert client.post(BULK, {"all": "approve", "status": "draft"}).status_code == 400
    assert statuses(pks) == ["pending", "approved", "pending"]


def test_all_cases_are_those_that_wait_for_the_viewer() -> None:
    """Either party may resolve a case, but its issuer isn't the one that it waits for."""
    catalog = make.catalog("1")
    parties = ((catalog.as_vendor, catalog.provider), (catalog.as_distributor, catalog.vendor))
    body = {"type": "business", "subject": "?", "description": "?"}
    sent, received = (
        helpdesk.create({**body, "receiver": {"account": {"id": other.pk}}}, actor).pk
        for actor, other in parties
    )
    client, at = signed_in(catalog.vendor_user), "/queues/helpdesk/"
    for page in (at, f"{at}?status=", f"{at}?status=pending"):
        assert html.get(client, page).by_role("button", "Resolve all 1")
    assert "Resolve: 1 resolved" in html.parse(client.post(f"{at}bulk/", {"all": "resolve"}))
    states = [Case.objects.get(pk=pk).status for pk in (sent, received)]
    assert states == ["pending", "resolved"]
    # The other one waits for the distributor, and this one's issuer closes it.
    page = html.get(client, at)
    assert not page.all("#bulk") and not page.all(".board-action")
    waiting = [each.text for each in page.all(".board-waiting")]
    assert waiting == ["Next: Resolve, by the receiver", "Next: Close, by the issuer"]
    assert client.post(f"{at}bulk/", {"all": "close"}).status_code == 400
    other = html.get(signed_in(catalog.provider_user), at)
    assert other.by_role("button", "Resolve all 1") and other.by_role("button", "Close all 1")


def test_actions_of_some_types_count_those() -> None:
    """A draft is purchased or submitted, by its type."""
    catalog, _, pks = orders(3, ("draft",))
    Request.objects.filter(pk=pks[0]).update(type="change")
    client, at = signed_in(catalog.provider_user), "/queues/fulfillment/"
    for page, expected in (
        (at, ["Purchase all 2", "Submit all 1"]),
        (f"{at}?status=draft", ["Purchase all 2", "Submit all 1"]),
        (f"{at}?type=purchase", ["Purchase all 2"]),
        (f"{at}?type=change", ["Submit all 1"]),
    ):
        assert [each.text for each in html.get(client, page).all("button[name=all]")] == expected


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({}, "This action cannot be run here."),
        ({"selected": "approve"}, "Select at least one."),
        ({"selected": "fail", "pk": PENDING}, "This action cannot be run here."),
        ({"one": "purchase:PR-1"}, "This action cannot be run here."),
        ({"state": "made-up"}, "This run cannot be continued."),
    ],
)
def test_wrong_forms_are_refused(vendor: Client, sent: dict[str, str], message: str) -> None:
    assert message in refused(vendor, BULK, sent)
    assert statuses([PENDING]) == ["pending"]


def test_run_belongs_to_its_account_and_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "STEP", 1)
    catalog, client, pks = orders(2)
    state = html.parse(client.post(BULK, {"all": "approve"})).one("[name=state]").value
    refused(signed_in(catalog.provider_user), BULK, {"state": state})
    refused(client, "/queues/listing/bulk/", {"state": state})
    assert sorted(statuses(pks)) == ["approved", "pending"]


def test_page_of_a_run_is_reloaded_as_the_board(vendor: Client) -> None:
    response = vendor.get(BULK)
    assert (response.status_code, response["Location"]) == (303, "/queues/fulfillment/")


@pytest.mark.parametrize(
    ("party", "name", "action", "model", "status"),
    [
        ("vendor", "tier_account", "accept", TierAccountRequest, "accepted"),
        ("distributor", "listing", "deploy", ListingRequest, "deploying"),
        ("distributor", "usage_file", "accept", UsageFile, "accepted"),
    ],
)
def test_other_queues_have_their_own_usual_actions(
    vendor: Client, distributor: Client, party: str, name: str, action: str, model: Any, status: str
) -> None:
    client = {"vendor": vendor, "distributor": distributor}[party]
    row = model.objects.filter(status__in=("pending", "reviewing"))[0]
    result = html.parse(client.post(f"/queues/{name}/bulk/", {"selected": action, "pk": row.pk}))
    assert f"1 {status}" in result
    row.refresh_from_db()
    assert row.status == status

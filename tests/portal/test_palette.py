"""The page of the command palette: objects by id, pages and actions, and who sees what."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from portal import commands
from portal.commands import MAX_FOUND, Command
from requests_queue import seed
from requests_queue.conversations.models import Conversation
from requests_queue.queues import base
from requests_queue.queues.fulfillment.models import Request
from tests import html, make
from tests.api import VENDOR
from tests.portal.delivery_rows import delivery
from tests.portal.queues import INQUIRING, PLAIN, SUITE, distributor, seeded, vendor
from tests.signed_in import signed_in

__all__ = ["distributor", "seeded", "vendor"]

pytestmark = pytest.mark.django_db

ASSET = "AS-2934-6610-1178"


def found(client: Client, text: str, group: str = "Objects") -> dict[str, str]:
    """Return the name and address of each result of a group."""
    page = html.get(client, f"/search/?q={text}", **{"HX-Request": "true"})
    rows = [row for box in page.all(f'[aria-label="{group}"]') for row in box.all("[role=option]")]
    return {row.all("span")[0].text: row.get("href") or row.get("formaction") for row in rows}


@pytest.fixture
def stranger(seeded: seed.Summary) -> Client:
    """A user of a vendor without relations to the accounts of the demo data."""
    return signed_in(make.catalog("9").vendor_user)


def test_whole_id_finds_an_object_of_any_queue(vendor: Client) -> None:
    for queue in base.registered():
        pk = queue.model.objects.filter(vendor=VENDOR).order_by("-pk")[0].pk
        page = f"/queues/{queue.model._meta.app_label}/{pk}/"
        assert next(iter(found(vendor, pk).items())) == (pk, page)


@pytest.mark.parametrize("text", ["PR-2934-6610-1178", "pr-2934-6610-1178", "2934-6610-1178"])
def test_beginning_of_an_id_finds_the_objects(vendor: Client, text: str) -> None:
    assert "PR-2934-6610-1178-001" in found(vendor, text)


def test_digits_find_objects_of_several_kinds_in_bounded_number(vendor: Client) -> None:
    rows = found(vendor, "2934")
    kinds = [pk.partition("-")[0] for pk in rows]
    assert {"PR", "AS", "BRV"} <= set(kinds)
    assert all(kinds.count(kind) <= MAX_FOUND for kind in kinds)


def test_subscription_leads_to_its_requests(vendor: Client) -> None:
    page = html.get(vendor, found(vendor, ASSET)[ASSET])
    assert page.all('a[href^="/queues/fulfillment/PR-2934-6610-1178-"]')


def test_tier_account_leads_to_its_orders(vendor: Client, stranger: Client) -> None:
    row = Request.objects.get(pk=INQUIRING).asset.customer
    page = html.get(vendor, found(vendor, row.pk)[row.pk])
    assert page.all(f'a[href="/queues/fulfillment/{INQUIRING}/"]')
    assert row.pk in found(vendor, row.pk[3:]) and row.pk not in found(stranger, row.pk)


def test_conversation_leads_to_its_object(vendor: Client, stranger: Client) -> None:
    pk = Conversation.objects.get(instance_id=INQUIRING).shown_id
    assert found(vendor, pk) == {pk: f"/queues/fulfillment/{INQUIRING}/"}
    assert found(stranger, pk) == {}


def test_product_is_found_by_id_and_name(vendor: Client) -> None:
    assert found(vendor, SUITE[:8])["Nimbus Secure Suite"] == f"/products/{SUITE}/"
    assert "Nimbus Backup" in found(vendor, "backup")


def test_webhook_and_delivery_are_found_by_their_account_only(
    vendor: Client, seeded: seed.Summary
) -> None:
    catalog = make.catalog("9")
    hook = make.webhook(catalog, label="Night shift")
    row = delivery(hook)
    own = signed_in(catalog.vendor_user)
    shift = {"Night shift": f"/webhooks/{hook.pk}/"}
    page = {f"Delivery {row.pk}": f"/deliveries/{row.pk}/"}
    for text, expected in (
        (hook.pk, shift),
        (hook.pk[:6], shift),
        ("night", shift),
        (str(row.pk), page),
        (f"%23{row.pk}", page),
        (f"delivery {row.pk}", page),
    ):
        assert found(own, text).items() >= expected.items(), text
        assert not found(vendor, text).keys() & expected.keys(), text
    hook.deleted_at = hook.created_at
    hook.save()
    assert found(own, hook.pk) == found(own, f"delivery {row.pk}") == {}


@pytest.mark.parametrize("text", ["PR-2934-6610-1178-001", ASSET, SUITE, PLAIN, "2934", "TC-"])
def test_objects_of_others_are_not_found(stranger: Client, text: str) -> None:
    assert found(stranger, text) == {}


@pytest.mark.parametrize("text", ["%20", "PR-", "-", "%25", "_", "9" * 40, "PR-9%E0%A0%A0", '"\\'])
def test_any_text_is_a_search(vendor: Client, text: str) -> None:
    html.get(vendor, f"/search/?q={text}")
    assert len(found(vendor, text)) < 60


@pytest.mark.parametrize("text", ["2934", INQUIRING, "backup", "1"])
def test_search_runs_a_constant_number_of_statements(
    vendor: Client, text: str, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(18):
        found(vendor, text)


@pytest.mark.parametrize(
    ("text", "group", "expected"),
    [
        ("deliv", "Pages", {"Deliveries": "/deliveries/"}),
        ("timeline", "Pages", {"Timeline": "/timeline/"}),
        ("faults", "Pages", {"Faults": "/faults/"}),
        ("create webhook", "Actions", {"Create webhook": "/webhooks/new/"}),
        ("sample usage", "Actions", {"Create sample": "/queues/usage_file/new/"}),
        ("abort responses", "Actions", {"Arm fault abort…": "/faults/new/api/abort/"}),
        ("sign out", "Actions", {"Sign out": "/sign-out/"}),
        ("act as", "Actions", {}),
    ],
)
def test_pages_and_actions_are_found_by_their_words(
    vendor: Client, text: str, group: str, expected: dict[str, str]
) -> None:
    assert found(vendor, text, group) == expected


def test_text_is_searched_for_in_lists(vendor: Client) -> None:
    (deliveries, *_) = found(vendor, 'no%20"response"', "Search in a list").values()
    page = html.get(vendor, deliveries)
    assert not page.all("#q-error")
    assert page.one("#q")["value"] == '"no \\"response\\""'


def test_page_without_scripts_shows_the_same_as_the_dialog(vendor: Client) -> None:
    page = html.get(vendor, "/search/?q=2934")
    assert (page.one("h1").text, page.one("#q")["value"]) == ("Search", "2934")
    links = {link["href"] for link in page.all(".palette-page a")}
    assert set(found(vendor, "2934").values()) <= links
    assert not page.all("main [role=option]")
    assert html.get(vendor, "/webhooks/").one("[data-palette]")["href"] == "/search/"


def test_action_is_a_form(vendor: Client) -> None:
    page = html.get(vendor, "/search/?q=sign+out")
    button = page.one('[formaction="/sign-out/"]')
    assert page.one(f"form#{button['form']}")["method"] == "post"


def test_other_apps_add_commands_and_lookups(
    vendor: Client,
) -> None:
    clear = Command("Clear everything", "/clear/", method="post")
    commands.COMMANDS.append(lambda viewer: [clear])
    commands.LOOKUPS.append(lambda viewer, text: [Command(f"Thing {text}", "/things/")])
    try:
        assert found(vendor, "everything", "Actions") == {"Clear everything": "/clear/"}
        assert found(vendor, "xyz") == {"Thing xyz": "/things/"}
    finally:
        commands.COMMANDS.pop()
        commands.LOOKUPS.pop()

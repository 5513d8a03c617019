"""An object's page: what it waits for, its assignee, and messages in its conversation."""

from __future__ import annotations

import pytest
from django.test import Client

from requests_queue.catalog.models import Account, User
from requests_queue.conversations.models import Conversation, Message
from requests_queue.conversations.writing import LONGEST
from requests_queue.queues import base
from requests_queue.queues.fulfillment.models import Request
from tests import html
from tests.api import PROVIDER, VENDOR, caller
from tests.portal.queues import DRAFT, PENDING, distributor, refused, seeded, vendor

pytestmark = pytest.mark.django_db

__all__ = ["distributor", "seeded", "vendor"]

AT = f"/queues/fulfillment/{PENDING}/"
HAVE_ASSIGNEES = {"fulfillment", "tier_config", "listing"}


def person(client: Client) -> User:
    """Return the user that is signed in."""
    return User.objects.get(pk=client.session["_auth_user_id"])


@pytest.mark.parametrize(
    ("name", "role"),
    [
        (name, role)
        for name in (*sorted(HAVE_ASSIGNEES), "tier_account", "billing", "usage_file", "helpdesk")
        for role in ("vendor", "distributor")
        # The distributor's own requests are hidden from vendors.
        if (name, role) != ("billing", "vendor")
    ],
)
def test_every_open_object_says_what_it_waits_for(
    vendor: Client, distributor: Client, name: str, role: str
) -> None:
    """One object of each status."""
    queue = base.find_queue(name)
    assert queue
    client = {"vendor": vendor, "distributor": distributor}[role]
    rows = {row.status: row for row in queue.model.objects.filter(provider=PROVIDER)}
    for status, row in rows.items():
        page = html.get(client, f"/queues/{name}/{row.pk}/")
        is_open = bool(status) and not queue.status(status).final
        starts = [each.text[:12] for each in page.all("[data-next-step]")]
        assert starts == ["Waiting for "] * is_open, status
        assert bool(page.all("#assignee")) == (name in HAVE_ASSIGNEES)
        # The other party's actions are named, and have no button.
        own = {one.name for one in queue.available_actions(row, role)}
        shown = {each["id"].removeprefix("action-") for each in page.all("[id^=action-]")}
        assert shown == own, status


def test_draft_has_no_text_of_an_accepted_order(vendor: Client, distributor: Client) -> None:
    at = f"/queues/fulfillment/{DRAFT}/"
    assert "Text for the customer" not in html.get(vendor, at)
    assert caller(Account.objects.get(pk=VENDOR)).get(f"/requests/{DRAFT}/render").status == 200
    distributor.post(f"{at}actions/purchase/")
    assert "Text for the customer" in html.get(vendor, at)


def test_message_is_written_as_the_viewer(vendor: Client, distributor: Client) -> None:
    response = vendor.post(f"{AT}message/", {"text": "Which region?\r\nPlease."})
    assert (response.status_code, response["Location"]) == (303, AT)
    assert "Message sent" in html.get(vendor, AT).messages
    message = Message.objects.latest("pk")
    assert (message.text, message.type) == ("Which region?\nPlease.", "message")
    assert (message.creator, message.account_id) == (person(vendor), VENDOR)
    assert "Which region?" in html.get(distributor, AT)


def test_private_message_is_for_the_own_account(vendor: Client, distributor: Client) -> None:
    assert html.get(vendor, AT).by_label("Only for Nimbus Inc")
    vendor.post(f"{AT}message/", {"text": "Between us.", "is_private": "on"})
    assert "Between us." in html.get(vendor, AT)
    assert "Between us." not in html.get(distributor, AT)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ("", "This field is required."),
        ("  \n ", "This field is required."),
        ("x" * (LONGEST + 1), "Ensure this field has no more than 10000 characters."),
        ("a\0b", "Null characters are not allowed."),
    ],
)
def test_refused_message_has_a_sentence_at_its_field(
    vendor: Client, sent: str, message: str
) -> None:
    before = Message.objects.count()
    page = refused(vendor, f"{AT}message/", {"text": sent})
    field = page.one("[data-field=text]")
    assert (field.errors, field.one("textarea").value) == ([message], sent)
    # The page is kept up to date by its own address.
    assert page.one("#content")["hx-get"].startswith(f"{AT}?seen=")
    assert Message.objects.count() == before


def test_draft_gets_its_conversation_with_the_first_message(distributor: Client) -> None:
    Conversation.objects.filter(instance_id=DRAFT).delete()
    at = f"/queues/fulfillment/{DRAFT}/"
    assert distributor.post(f"{at}message/", {"text": "Not yet."}).status_code == 303
    assert Conversation.objects.get(instance_id=DRAFT).accounts.count() == 2
    assert "Not yet." in html.get(distributor, at)


def test_closed_conversation_takes_no_message(vendor: Client) -> None:
    Conversation.objects.filter(instance_id=PENDING).update(status="closed")
    page = html.get(vendor, AT)
    assert "The conversation is closed." in page and not page.all("#message-form")
    refused(vendor, f"{AT}message/", {"text": "Hello?"})


def test_object_is_assigned_and_unassigned(vendor: Client) -> None:
    user = person(vendor)
    assert vendor.post(f"{AT}assign/", {"user": user.uid}).status_code == 303
    assert Request.objects.get(pk=PENDING).assignee == user
    page = html.get(vendor, AT)
    assert (page.messages, page.one("#assignee").value) == (f"Assigned to {user.name}", user.uid)
    vendor.post(f"{AT}assign/", {"user": ""})
    assert Request.objects.get(pk=PENDING).assignee is None


def test_object_is_assigned_to_colleagues_only(vendor: Client, distributor: Client) -> None:
    for sent in ({"user": person(distributor).uid}, {"user": "\0"}, {"user": "UR-0"}, {}):
        assert vendor.post(f"{AT}assign/", sent).status_code == 404, sent
    assert Request.objects.get(pk=PENDING).assignee is None


def test_queue_without_assignees_refuses_one(vendor: Client) -> None:
    row = base.find_queue("tier_account").model.objects.filter(vendor=VENDOR)[0]  # type: ignore[union-attr]
    assert vendor.post(f"/queues/tier_account/{row.pk}/assign/", {"user": ""}).status_code == 404

"""An object's page: what it waits for, its assignee, and messages in its conversation."""

from __future__ import annotations

import pytest
from django.test import Client

from requests_queue.catalog.models import User
from requests_queue.conversations.models import Conversation, Message
from requests_queue.conversations.writing import LONGEST
from requests_queue.queues import base
from requests_queue.queues.fulfillment.models import Request
from tests import make
from tests.api import PROVIDER, VENDOR, caller
from tests.portal.queues import DRAFT, PENDING, distributor, read, seeded, text, vendor
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db

__all__ = ["distributor", "seeded", "vendor"]

AT = f"/queues/fulfillment/{PENDING}/"
HAVE_ASSIGNEES = {"fulfillment", "tier_config", "listing"}


@pytest.mark.parametrize(
    "name", ["fulfillment", "tier_config", "tier_account", "billing", "listing", "usage_file"]
)
def test_every_open_object_says_what_it_waits_for(
    vendor: Client, distributor: Client, name: str
) -> None:
    """One object of each status, for both parties."""
    queue = base.find_queue(name)
    assert queue
    rows = {row.status: row for row in queue.model.objects.filter(provider=PROVIDER)}
    for status, row in rows.items():
        for client in (vendor, distributor):
            if not queue.statuses and client is vendor:
                continue
            page = read(client, f"/queues/{name}/{row.pk}/")
            steps = [each.text for each in page.all("[data-next-step]")]
            is_open = bool(status) and not queue.status(status).final
            assert len(steps) == is_open, status
            if steps:
                assert steps[0].startswith("Waiting for "), status
            assert bool(page.all("#assignee")) == (name in HAVE_ASSIGNEES)
            # The other party's actions are named, and have no button.
            role = "vendor" if client is vendor else "distributor"
            own = {one.name for one in queue.available_actions(row, role)}
            shown = {each["id"].removeprefix("action-") for each in page.all("[id^=action-]")}
            assert shown == own, (status, role)


def test_draft_has_no_text_of_an_accepted_order(vendor: Client, distributor: Client) -> None:
    page = read(vendor, f"/queues/fulfillment/{DRAFT}/")
    assert "Text for the customer" not in page
    owner = User.objects.filter(account=VENDOR)[0].account
    assert owner
    assert caller(owner).get(f"/requests/{DRAFT}/render").status == 200
    distributor.post(f"/queues/fulfillment/{DRAFT}/actions/purchase/")
    assert "Text for the customer" in read(vendor, f"/queues/fulfillment/{DRAFT}/")


def test_message_is_written_as_the_viewer(vendor: Client, distributor: Client) -> None:
    response = vendor.post(f"{AT}message/", {"text": "Which region?\r\nPlease."})
    assert (response.status_code, response["Location"]) == (303, AT)
    assert "Message sent" in read(vendor, AT).messages
    message = Message.objects.latest("pk")
    person = User.objects.get(pk=vendor.session["_auth_user_id"])
    assert (message.text, message.type) == ("Which region?\nPlease.", "message")
    assert (message.creator, message.account_id) == (person, VENDOR)
    assert "Which region?" in read(distributor, AT)


def test_private_message_is_for_the_own_account(vendor: Client, distributor: Client) -> None:
    assert read(vendor, AT).by_label("Only for Nimbus Inc")
    vendor.post(f"{AT}message/", {"text": "Between us.", "is_private": "on"})
    assert "Between us." in read(vendor, AT)
    assert "Between us." not in read(distributor, AT)


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
    response = vendor.post(f"{AT}message/", {"text": sent})
    assert response.status_code == 400
    field = text(response).one("[data-field=text]")
    assert field.errors == [message]
    assert field.one("textarea").value == sent
    # The page is kept up to date by its own address.
    assert text(response).one("#content")["hx-get"].startswith(f"{AT}?seen=")
    assert Message.objects.count() == before


def test_draft_gets_its_conversation_with_the_first_message(distributor: Client) -> None:
    Conversation.objects.filter(instance_id=DRAFT).delete()
    at = f"/queues/fulfillment/{DRAFT}/"
    assert distributor.post(f"{at}message/", {"text": "Not yet."}).status_code == 303
    assert Conversation.objects.get(instance_id=DRAFT).accounts.count() == 2
    assert "Not yet." in read(distributor, at)


def test_closed_conversation_takes_no_message(vendor: Client) -> None:
    Conversation.objects.filter(instance_id=PENDING).update(status="closed")
    page = read(vendor, AT)
    assert "The conversation is closed." in page and not page.all("#message-form")
    response = vendor.post(f"{AT}message/", {"text": "Hello?"})
    assert response.status_code == 400


def test_object_is_assigned_and_unassigned(vendor: Client) -> None:
    person = User.objects.get(pk=vendor.session["_auth_user_id"])
    assert vendor.post(f"{AT}assign/", {"user": person.uid}).status_code == 303
    assert Request.objects.get(pk=PENDING).assignee == person
    page = read(vendor, AT)
    assert page.messages == f"Assigned to {person.name}"
    assert page.one("#assignee").value == person.uid
    vendor.post(f"{AT}assign/", {"user": ""})
    assert Request.objects.get(pk=PENDING).assignee is None


def test_object_is_assigned_to_colleagues_only(vendor: Client, distributor: Client) -> None:
    other = User.objects.get(pk=distributor.session["_auth_user_id"])
    for sent in ({"user": other.uid}, {"user": "\0"}, {"user": "UR-0"}, {}):
        assert vendor.post(f"{AT}assign/", sent).status_code == 404, sent
    assert Request.objects.get(pk=PENDING).assignee is None
    stranger = signed_in(make.catalog("7").vendor_user)
    for place, sent in (("assign/", {"user": ""}), ("message/", {"text": "Hello"})):
        assert stranger.post(AT + place, sent).status_code == 404


def test_queue_without_assignees_refuses_one(vendor: Client) -> None:
    row = base.find_queue("tier_account").model.objects.filter(vendor=VENDOR)[0]  # type: ignore[union-attr]
    assert vendor.post(f"/queues/tier_account/{row.pk}/assign/", {"user": ""}).status_code == 404

"""What the pages of the queues change: moves, edits and validations, as the reader's side."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from requests_queue import signals, transitions
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Template, User
from requests_queue.queues.billing.models import BillingRequest
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.listing.models import ListingRequest
from requests_queue.queues.tier_account.models import TierAccountRequest
from requests_queue.queues.usage_file.models import UsageFile
from tests.api import VENDOR
from tests.portal.queues import (
    DRAFT,
    INQUIRING,
    PENDING,
    PLAIN,
    distributor,
    fields,
    read,
    seeded,
    text,
    vendor,
)
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db

__all__ = ["distributor", "seeded", "vendor"]

AT = f"/queues/fulfillment/{PENDING}/"


def param(pk: str, name: str) -> dict[str, Any]:
    return next(p for p in Request.objects.get(pk=pk).params if p["id"] == name)


def status(pk: str = PENDING) -> str:
    return Request.objects.get(pk=pk).status


def test_the_legal_moves_are_buttons(vendor: Client, distributor: Client) -> None:
    page = vendor.get(AT).content.decode()
    for name in ("approve", "inquire", "fail", "schedule"):
        assert f'id="move-{name}"' in page
    theirs = distributor.get(AT).content.decode()
    assert 'id="move-fail"' in theirs
    assert 'id="move-approve"' not in theirs
    assert "Nimbus Inc can inquire, approve, fail or schedule." in read(distributor, AT)


def test_a_move_that_asks_nothing_is_made_by_its_button(vendor: Client) -> None:
    row = TierAccountRequest.objects.get(status="pending")
    at = f"/queues/tier_account/{row.pk}/"
    answer = vendor.post(f"{at}actions/accept/")
    assert (answer.status_code, answer["Location"]) == (303, at)
    assert f"Accept: {row.pk} is accepted." in read(vendor, at)
    again = vendor.post(f"{at}actions/accept/")
    assert again.status_code == 400
    assert f"{row.pk} is accepted: accept is for pending only." in text(again)


def test_it_is_made_by_whoever_is_signed_in(vendor: Client) -> None:
    vendor.post(f"{AT}actions/fail/", {"reason": "Out of stock."})
    row = Request.objects.get(pk=PENDING)
    person = User.objects.get(pk=vendor.session["_auth_user_id"])
    assert (row.status, row.reason, row.assignee) == ("failed", "Out of stock.", person)
    assert f"{person.name}, Nimbus Inc" in read(vendor, AT)


def test_a_missing_reason_is_said_at_its_field(vendor: Client) -> None:
    answer = vendor.post(f"{AT}actions/fail/", {"reason": "", "body": "{}"})
    assert answer.status_code == 400
    assert "Reason optional Error: This field is required." in text(answer)
    assert status() == "pending"


def test_an_approval_asks_for_what_it_lacks(vendor: Client) -> None:
    at = f"{AT}actions/approve/"
    assert "Activation id" in read(vendor, at)
    refused = vendor.post(at, fields(vendor, at))
    assert refused.status_code == 400
    assert "Error: This field is required." in text(refused)
    template = Template.objects.filter(product=PLAIN, scope="asset", type="fulfillment")[0]
    sent = fields(vendor, at, **{"value:activation_id": "A-17", "template_id": template.pk})
    assert vendor.post(at, sent).status_code == 303
    assert status() == "approved"
    assert param(PENDING, "activation_id")["value"] == "A-17"


def test_what_was_typed_for_a_refused_move_is_not_written_and_not_lost(vendor: Client) -> None:
    at = f"{AT}actions/approve/"
    sent = fields(vendor, at, **{"value:activation_id": "A-17", "effective_date": "never"})
    answer = vendor.post(at, sent)
    assert answer.status_code == 400
    assert b'value="A-17"' in answer.content
    sent |= {"effective_date": "", "body": '{"template_id": "TL-000-000-000"}'}
    answer = vendor.post(at, sent)
    assert "Template TL-000-000-000 does not exist." in text(answer)
    assert b'value="A-17"' in answer.content
    assert param(PENDING, "activation_id")["value"] == ""


def test_an_inquiry_says_what_is_wrong(vendor: Client) -> None:
    at = f"{AT}actions/inquire/"
    assert "Now: United States (us)" in read(vendor, at)
    refused = vendor.post(at, fields(vendor, at))
    assert "at least one parameter should be marked as invalid" in text(refused)
    sent = fields(vendor, at, **{"error:region": "We have no room there."})
    assert vendor.post(at, sent).status_code == 303
    assert status() == "inquiring"
    assert param(PENDING, "region")["value_error"] == "We have no room there."
    assert "Open the inquiring form" in read(vendor, AT)


def test_a_date_comes_with_a_schedule(vendor: Client) -> None:
    at = f"{AT}actions/schedule/"
    past = vendor.post(at, {"planned_date": "2020-01-01T00:00"})
    assert "The date is in the past." in text(past)
    assert vendor.post(at, {"planned_date": "2099-01-01T00:00"}).status_code == 303
    assert "2099-01-01 00:00:00 UTC" in read(vendor, AT)


def test_the_other_sides_move_is_refused_in_words(distributor: Client) -> None:
    answer = distributor.post(f"{AT}actions/approve/", {"template_id": ""})
    assert answer.status_code == 400
    assert "approve is not for a distributor." in text(answer)
    assert status() == "pending"


@pytest.mark.parametrize("place", ["actions/release/", "actions/nothing/"])
def test_what_is_no_move_leads_nowhere(vendor: Client, place: str) -> None:
    answer = vendor.post(f"{AT}{place}")
    assert answer.status_code in (400, 404)
    assert status() == "pending"


def test_a_spreadsheet_is_uploaded(vendor: Client) -> None:
    row = UsageFile.objects.get(status="draft")
    at = f"/queues/usage_file/{row.pk}/actions/upload/"
    assert 'type="file"' in vendor.get(at).content.decode()
    bad = vendor.post(at, {"usage_file": SimpleUploadedFile("usage.xlsx", b"")})
    assert bad.status_code == 400
    good = vendor.post(at, {"usage_file": SimpleUploadedFile("usage.csv", b"record_id\n1\n")})
    assert good.status_code == 303, text(good)
    row.refresh_from_db()
    assert row.status == "uploading"
    assert row.contents.get().name == "usage.csv"


def test_moves_that_take_no_form_have_none_of_their_own(distributor: Client) -> None:
    row = ListingRequest.objects.get(status="reviewing")
    answer = distributor.post(f"/queues/listing/{row.pk}/actions/deploy/")
    assert answer.status_code == 303
    row.refresh_from_db()
    assert row.status == "deploying"


def test_a_vendor_edits_values_and_errors(vendor: Client) -> None:
    at = f"{AT}edit/"
    sent = fields(
        vendor, at, **{"value:activation_id": "A-9", "error:region": "Full.", "note": "!"}
    )
    assert vendor.post(at, sent).status_code == 303
    row = Request.objects.get(pk=PENDING)
    assert row.note == "!"
    assert param(PENDING, "activation_id")["value"] == "A-9"
    assert param(PENDING, "region") == {
        **param(PENDING, "region"), "value": "us", "value_error": "Full.",
    }  # fmt: skip


def test_what_no_database_stores_is_refused_in_words(vendor: Client) -> None:
    for at in (f"{AT}edit/", f"{AT}actions/approve/"):
        answer = vendor.post(at, {"value:activation_id": "A\0B"})
        assert answer.status_code == 400
        assert "NUL" in text(answer)


def test_a_distributor_edits_what_is_ordered(distributor: Client) -> None:
    at = f"/queues/fulfillment/{DRAFT}/edit/"
    page = distributor.get(at).content.decode()
    assert "value:tenant_id" not in page
    assert "error:" not in page
    item = Request.objects.get(pk=DRAFT).items[0]
    wrong = fields(distributor, at, **{f"quantity:{item['global_id']}": "many"})
    answer = distributor.post(at, wrong)
    assert answer.status_code == 400
    assert "is not a number" in text(answer)
    assert b'value="many"' in answer.content
    wrong[f"quantity:{item['global_id']}"] = "77"
    assert distributor.post(at, wrong).status_code == 303
    assert Request.objects.get(pk=DRAFT).items[0]["quantity"] == "77"


def test_a_stale_edit_writes_nothing_and_loses_nothing(vendor: Client) -> None:
    at = f"{AT}edit/"
    sent = fields(vendor, at, **{"value:activation_id": "A-9"})
    # Within the same second, which is all that the dates of an object tell.
    Request.objects.filter(pk=PENDING).update(note="Wait for the contract.")
    answer = vendor.post(at, sent)
    assert answer.status_code == 400
    assert "It has been changed meanwhile." in text(answer)
    assert b'value="A-9"' in answer.content
    assert param(PENDING, "activation_id")["value"] == ""


def test_an_edit_that_comes_too_late_is_refused_in_words(vendor: Client) -> None:
    Request.objects.filter(pk=PENDING).update(status="failed")
    answer = vendor.post(f"{AT}edit/", {"value:activation_id": "A-9"})
    assert answer.status_code == 400
    assert "can be updated" in text(answer)


@pytest.mark.parametrize("place", ["edit/", "validate/"])
def test_only_validated_queues_have_edits_and_validations(vendor: Client, place: str) -> None:
    pk = BillingRequest.objects.filter(type="vendor")[0].pk
    assert vendor.post(f"/queues/billing/{pk}/{place}").status_code == 404


def test_a_validation_says_what_came_of_it(distributor: Client) -> None:
    at = f"/queues/fulfillment/{DRAFT}/"
    assert 'id="validate"' in distributor.get(at).content.decode()
    assert distributor.post(f"{at}validate/").status_code == 303
    assert "Nobody was asked" in read(distributor, at)
    assert distributor.post(f"{AT}validate/").status_code == 303
    assert "Not validated." in read(distributor, AT)


def test_a_validators_answer_stands_at_the_parameters(distributor: Client) -> None:
    def answer(wanted: Any, **kwargs: Any) -> list[Any]:
        said = [{"id": "admin_email", "value_error": "Nobody reads this."}]
        return [wanted.read({**wanted.shown, "asset": {"id": wanted.shown["asset"]["id"],
                                                       "params": said}})]  # fmt: skip

    signals.validation_requested.connect(answer)
    try:
        distributor.post(f"/queues/fulfillment/{DRAFT}/validate/")
    finally:
        signals.validation_requested.disconnect(answer)
    page = read(distributor, f"/queues/fulfillment/{DRAFT}/")
    assert "Validated. One parameter has an error." in page
    assert "Error: Nobody reads this." in page


def test_an_administrator_acts_as_the_other_side(seeded: Any) -> None:
    root = signed_in(
        User.objects.create(username="r", uid="UR-0", is_staff=True, is_superuser=True)
    )
    page = read(root, AT)
    assert "Act as Northland Distribution" in page
    root.post("/acting/", {"account": VENDOR})
    transitions.move(
        Request, INQUIRING, "pend", Actor(None, Request.objects.get(pk=INQUIRING).vendor)
    )
    assert root.post(f"{AT}actions/fail/", {"reason": "No."}).status_code == 303
    row = Request.objects.get(pk=PENDING)
    assert (row.status, row.assignee and row.assignee.username) == ("failed", "r")

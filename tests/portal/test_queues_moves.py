"""Pages of queues that write: actions, edits and validations."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from requests_queue import signals
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Template, User
from requests_queue.queues import transitions
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


def test_available_actions_are_buttons(vendor: Client, distributor: Client) -> None:
    page = read(vendor, AT)
    for name in ("approve", "inquire", "fail", "schedule"):
        assert page.one(f"#action-{name}")
    page = read(distributor, AT)
    assert page.one("#action-fail") and not page.all("#action-approve")
    assert page.one("[data-next-step]").text == "Waiting for Nimbus Inc. Next action: Approve."
    also = page.one("[data-other-actions]").text
    assert also == "Nimbus Inc can also: Inquire, Fail, Schedule"


def test_action_without_a_form_runs_by_its_button(vendor: Client) -> None:
    row = TierAccountRequest.objects.get(status="pending")
    at = f"/queues/tier_account/{row.pk}/"
    response = vendor.post(f"{at}actions/accept/")
    assert (response.status_code, response["Location"]) == (303, at)
    assert read(vendor, at).messages == f"Accept: {row.pk} is accepted."
    again = vendor.post(f"{at}actions/accept/")
    assert again.status_code == 400
    assert f"{row.pk} is accepted: accept is for pending only." in text(again)


def test_action_is_taken_by_the_signed_in_user(vendor: Client) -> None:
    vendor.post(f"{AT}actions/fail/", {"reason": "Out of stock."})
    row = Request.objects.get(pk=PENDING)
    person = User.objects.get(pk=vendor.session["_auth_user_id"])
    assert (row.status, row.reason, row.assignee) == ("failed", "Out of stock.", person)
    assert f"by {person.name}" in read(vendor, AT)


def test_missing_reason_is_shown_at_its_field(vendor: Client) -> None:
    response = vendor.post(f"{AT}actions/fail/", {"reason": "", "body": "{}"})
    assert response.status_code == 400
    field = text(response).one("[data-field=reason]")
    assert field.errors == ["This field is required."] and not field.all(".optional")
    assert status() == "pending"


def test_approval_requests_missing_values(vendor: Client) -> None:
    at = f"{AT}actions/approve/"
    assert read(vendor, at).by_label("Activation id")
    refused = vendor.post(at, fields(vendor, at))
    assert refused.status_code == 400
    assert "This field is required." in text(refused).errors
    template = Template.objects.filter(product=PLAIN, scope="asset", type="fulfillment")[0]
    sent = fields(vendor, at, **{"value:activation_id": "A-17", "template_id": template.pk})
    assert vendor.post(at, sent).status_code == 303
    assert status() == "approved"
    assert param(PENDING, "activation_id")["value"] == "A-17"


def test_refused_action_keeps_typed_values_and_writes_nothing(vendor: Client) -> None:
    at = f"{AT}actions/approve/"
    sent = fields(vendor, at, **{"value:activation_id": "A-17", "effective_date": "never"})
    response = vendor.post(at, sent)
    assert response.status_code == 400
    assert text(response).by_label("Activation id").value == "A-17"
    sent |= {"effective_date": "", "body": '{"template_id": "TL-000-000-000"}'}
    response = vendor.post(at, sent)
    assert "Template TL-000-000-000 does not exist." in text(response)
    assert text(response).by_label("Activation id").value == "A-17"
    assert param(PENDING, "activation_id")["value"] == ""


def test_inquiry_sets_errors(vendor: Client) -> None:
    at = f"{AT}actions/inquire/"
    assert "Current value: United States (us)" in read(vendor, at)
    refused = vendor.post(at, fields(vendor, at))
    assert "at least one parameter should be marked as invalid" in text(refused)
    sent = fields(vendor, at, **{"error:region": "We have no room there."})
    assert vendor.post(at, sent).status_code == 303
    assert status() == "inquiring"
    assert param(PENDING, "region")["value_error"] == "We have no room there."
    assert read(vendor, AT).by_role("link", "Open the inquiring form")


def test_schedule_requires_a_future_date(vendor: Client) -> None:
    at = f"{AT}actions/schedule/"
    past = vendor.post(at, {"planned_date": "2020-01-01T00:00"})
    assert "The date is in the past." in text(past)
    assert vendor.post(at, {"planned_date": "2099-01-01T00:00"}).status_code == 303
    assert "2099-01-01 00:00:00 UTC" in read(vendor, AT)


def test_action_of_the_other_party_is_refused(distributor: Client) -> None:
    response = distributor.post(f"{AT}actions/approve/", {"template_id": ""})
    assert response.status_code == 400
    assert "approve is not for a distributor." in text(response)
    assert status() == "pending"


@pytest.mark.parametrize("place", ["actions/release/", "actions/nothing/"])
def test_unknown_action_is_refused(vendor: Client, place: str) -> None:
    response = vendor.post(f"{AT}{place}")
    assert response.status_code in (400, 404)
    assert status() == "pending"


def test_spreadsheet_is_uploaded(vendor: Client) -> None:
    row = UsageFile.objects.get(status="draft")
    at = f"/queues/usage_file/{row.pk}/actions/upload/"
    assert read(vendor, at).one("input[type=file]")
    bad = vendor.post(at, {"usage_file": SimpleUploadedFile("usage.xlsx", b"")})
    assert bad.status_code == 400
    good = vendor.post(at, {"usage_file": SimpleUploadedFile("usage.csv", b"record_id\n1\n")})
    assert good.status_code == 303, text(good)
    row.refresh_from_db()
    assert row.status == "uploading"
    assert row.contents.get().name == "usage.csv"


def test_action_without_fields_needs_no_form(distributor: Client) -> None:
    row = ListingRequest.objects.get(status="reviewing")
    response = distributor.post(f"/queues/listing/{row.pk}/actions/deploy/")
    assert response.status_code == 303
    row.refresh_from_db()
    assert row.status == "deploying"


def test_vendor_edits_values_and_errors(vendor: Client) -> None:
    at = f"{AT}edit/"
    sent = fields(
        vendor, at, **{"value:activation_id": "A-9", "error:region": "Full.", "note": "!"}
    )
    assert vendor.post(at, sent).status_code == 303
    row = Request.objects.get(pk=PENDING)
    assert row.note == "!"
    assert param(PENDING, "activation_id")["value"] == "A-9"
    assert param(PENDING, "region") == {
        **param(PENDING, "region"),
        "value": "us",
        "value_error": "Full.",
    }


def test_nul_is_refused(vendor: Client) -> None:
    for at in (f"{AT}edit/", f"{AT}actions/approve/"):
        response = vendor.post(at, {"value:activation_id": "A\0B"})
        assert response.status_code == 400
        assert "NUL" in text(response)


def test_distributor_edits_ordering_values_and_quantities(distributor: Client) -> None:
    at = f"/queues/fulfillment/{DRAFT}/edit/"
    page = read(distributor, at)
    assert not page.all('[name="value:tenant_id"]') and not page.all('[name^="error:"]')
    item = Request.objects.get(pk=DRAFT).items[0]
    wrong = fields(distributor, at, **{f"quantity:{item['global_id']}": "many"})
    response = distributor.post(at, wrong)
    assert response.status_code == 400
    assert "is not a number" in text(response)
    assert "many" in [each.value for each in text(response).all('[name^="quantity:"]')]
    wrong[f"quantity:{item['global_id']}"] = "77"
    assert distributor.post(at, wrong).status_code == 303
    assert Request.objects.get(pk=DRAFT).items[0]["quantity"] == "77"


def test_stale_edit_keeps_typed_values_and_writes_nothing(vendor: Client) -> None:
    at = f"{AT}edit/"
    sent = fields(vendor, at, **{"value:activation_id": "A-9"})
    # Within the same second, which is the resolution of `updated`.
    Request.objects.filter(pk=PENDING).update(note="Wait for the contract.")
    response = vendor.post(at, sent)
    assert response.status_code == 400
    assert "has changed in the meantime" in text(response).by_role("alert")
    assert text(response).by_label("Activation id").value == "A-9"
    assert param(PENDING, "activation_id")["value"] == ""


def test_edit_of_a_closed_object_is_refused(vendor: Client) -> None:
    Request.objects.filter(pk=PENDING).update(status="failed")
    response = vendor.post(f"{AT}edit/", {"value:activation_id": "A-9"})
    assert response.status_code == 400
    assert "can be updated" in text(response)


@pytest.mark.parametrize("place", ["edit/", "validate/"])
def test_queue_without_validation_has_no_edit(vendor: Client, place: str) -> None:
    pk = BillingRequest.objects.filter(type="vendor")[0].pk
    assert vendor.post(f"/queues/billing/{pk}/{place}").status_code == 404


def test_validation_reports_its_result(distributor: Client) -> None:
    at = f"/queues/fulfillment/{DRAFT}/"
    assert read(distributor, at).by_role("button", "Validate")
    assert distributor.post(f"{at}validate/").status_code == 303
    assert read(distributor, at).messages.startswith("Not validated: the vendor has no")
    assert distributor.post(f"{AT}validate/").status_code == 303
    assert read(distributor, AT).messages.startswith("Not validated.")


def test_validators_errors_are_shown_at_the_parameters(distributor: Client) -> None:
    def respond(request: Any, **kwargs: Any) -> list[Any]:
        params = [{"id": "admin_email", "value_error": "Nobody reads this."}]
        asset = {"id": request.shown["asset"]["id"], "params": params}
        return [request.read({**request.shown, "asset": asset})]

    signals.validation_requested.connect(respond)
    try:
        distributor.post(f"/queues/fulfillment/{DRAFT}/validate/")
    finally:
        signals.validation_requested.disconnect(respond)
    page = read(distributor, f"/queues/fulfillment/{DRAFT}/")
    assert page.messages == "Validated. 1 parameter has an error."
    assert page.errors == ["Nobody reads this."]


def test_administrator_acts_as_the_other_party(seeded: Any) -> None:
    root = signed_in(
        User.objects.create(username="r", uid="UR-0", is_staff=True, is_superuser=True)
    )
    assert read(root, AT).by_role("button", "Act as Northland Distribution")
    root.post("/acting/", {"account": VENDOR})
    transitions.move(
        Request, INQUIRING, "pend", Actor(None, Request.objects.get(pk=INQUIRING).vendor)
    )
    assert root.post(f"{AT}actions/fail/", {"reason": "No."}).status_code == 303
    row = Request.objects.get(pk=PENDING)
    assert (row.status, row.assignee and row.assignee.username) == ("failed", "r")

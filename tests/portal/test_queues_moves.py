"""Pages of queues that write: actions, edits and validations."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from requests_queue import signals
from requests_queue.catalog.models import Template, User
from requests_queue.queues.billing.models import BillingRequest
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.tier_account.models import TierAccountRequest
from requests_queue.queues.usage_file.models import UsageFile
from tests import html
from tests.api import VENDOR
from tests.portal.queues import (
    DRAFT,
    PENDING,
    PLAIN,
    distributor,
    fields,
    refused,
    seeded,
    vendor,
)
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db

__all__ = ["distributor", "seeded", "vendor"]

AT = f"/queues/fulfillment/{PENDING}/"


def order(pk: str = PENDING) -> dict[str, Any]:
    """Return the status and the parameters of an order."""
    row = Request.objects.get(pk=pk)
    return {"status": row.status, **{p["id"]: p["value"] for p in row.params}}


def test_available_actions_are_buttons(vendor: Client, distributor: Client) -> None:
    page = html.get(vendor, AT)
    actions = {each["id"] for each in page.all("[id^=action-]")}
    assert actions == {"action-approve", "action-inquire", "action-fail", "action-schedule"}
    page = html.get(distributor, AT)
    assert page.one("#action-fail") and not page.all("#action-approve")
    assert page.one("[data-next-step]").text == "Waiting for Nimbus Inc. Next action: Approve."
    also = page.one("[data-other-actions]").text
    assert also == "Nimbus Inc can also: Inquire, Fail, Schedule"


def test_action_without_a_form_runs_by_its_button(vendor: Client) -> None:
    row = TierAccountRequest.objects.get(status="pending")
    at = f"/queues/tier_account/{row.pk}/"
    response = vendor.post(f"{at}actions/accept/")
    assert (response.status_code, response["Location"]) == (303, at)
    assert html.get(vendor, at).messages == f"Accept: {row.pk} is accepted."
    again = refused(vendor, f"{at}actions/accept/")
    assert f"{row.pk} is accepted: accept is for pending only." in again


def test_action_is_taken_by_the_signed_in_user(vendor: Client) -> None:
    vendor.post(f"{AT}actions/fail/", {"reason": "Out of stock."})
    row = Request.objects.get(pk=PENDING)
    person = User.objects.get(pk=vendor.session["_auth_user_id"])
    assert (row.status, row.reason, row.assignee) == ("failed", "Out of stock.", person)
    assert f"by {person.name}" in html.get(vendor, AT)


def test_missing_reason_is_shown_at_its_field(vendor: Client) -> None:
    page = refused(vendor, f"{AT}actions/fail/", {"reason": "", "body": "{}"})
    field = page.one("[data-field=reason]")
    assert field.errors == ["This field is required."] and not field.all(".optional")
    assert order()["status"] == "pending"


def test_approval_requests_missing_values(vendor: Client) -> None:
    at = f"{AT}actions/approve/"
    assert html.get(vendor, at).by_label("Activation id")
    assert "This field is required." in refused(vendor, at, fields(vendor, at)).errors
    template = Template.objects.filter(product=PLAIN, scope="asset", type="fulfillment")[0]
    sent = fields(vendor, at, **{"value:activation_id": "A-17", "template_id": template.pk})
    assert vendor.post(at, sent).status_code == 303
    assert order().items() >= {"status": "approved", "activation_id": "A-17"}.items()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"effective_date": "never"}, ""),
        ({"body": '{"template_id": "TL-000-000-000"}'}, "Template TL-000-000-000 does not exist."),
    ],
)
def test_refused_action_keeps_typed_values_and_writes_nothing(
    vendor: Client, wrong: dict[str, str], message: str
) -> None:
    at = f"{AT}actions/approve/"
    page = refused(vendor, at, fields(vendor, at, **{"value:activation_id": "A-17", **wrong}))
    assert page.by_label("Activation id").value == "A-17" and message in page
    assert order()["activation_id"] == ""


def test_inquiry_sets_errors(vendor: Client) -> None:
    at = f"{AT}actions/inquire/"
    assert "Current value: United States (us)" in html.get(vendor, at)
    page = refused(vendor, at, fields(vendor, at))
    assert "at least one parameter should be marked as invalid" in page
    sent = fields(vendor, at, **{"error:region": "We have no room there."})
    assert vendor.post(at, sent).status_code == 303
    assert (order()["status"], region_error()) == ("inquiring", "We have no room there.")
    assert html.get(vendor, AT).by_role("link", "Open the inquiring form")


def region_error() -> str:
    params = Request.objects.get(pk=PENDING).params
    return str(next(p["value_error"] for p in params if p["id"] == "region"))


def test_schedule_requires_a_future_date(vendor: Client) -> None:
    at = f"{AT}actions/schedule/"
    past = refused(vendor, at, {"planned_date": "2020-01-01T00:00"})
    assert "The date is in the past." in past
    assert vendor.post(at, {"planned_date": "2099-01-01T00:00"}).status_code == 303
    assert "2099-01-01 00:00:00 UTC" in html.get(vendor, AT)


def test_action_of_the_other_party_is_refused(distributor: Client) -> None:
    page = refused(distributor, f"{AT}actions/approve/", {"template_id": ""})
    assert "approve is not for a distributor." in page
    assert order()["status"] == "pending"


@pytest.mark.parametrize("place", ["actions/release/", "actions/nothing/"])
def test_unknown_action_is_refused(vendor: Client, place: str) -> None:
    assert vendor.post(f"{AT}{place}").status_code in (400, 404)
    assert order()["status"] == "pending"


def test_spreadsheet_is_uploaded(vendor: Client) -> None:
    row = UsageFile.objects.get(status="draft")
    at = f"/queues/usage_file/{row.pk}/actions/upload/"
    assert html.get(vendor, at).one("input[type=file]")
    refused(vendor, at, {"usage_file": SimpleUploadedFile("usage.xlsx", b"")})
    good = vendor.post(at, {"usage_file": SimpleUploadedFile("usage.csv", b"record_id\n1\n")})
    assert good.status_code == 303, html.parse(good)
    row.refresh_from_db()
    assert (row.status, row.contents.get().name) == ("uploading", "usage.csv")


def test_vendor_edits_values_and_errors(vendor: Client) -> None:
    at = f"{AT}edit/"
    sent = fields(
        vendor, at, **{"value:activation_id": "A-9", "error:region": "Full.", "note": "!"}
    )
    assert vendor.post(at, sent).status_code == 303
    assert Request.objects.get(pk=PENDING).note == "!"
    assert order().items() >= {"activation_id": "A-9", "region": "us"}.items()
    assert region_error() == "Full."


@pytest.mark.parametrize("place", ["edit/", "actions/approve/"])
def test_nul_is_refused(vendor: Client, place: str) -> None:
    assert "NUL" in refused(vendor, f"{AT}{place}", {"value:activation_id": "A\0B"})


def test_distributor_edits_ordering_values_and_quantities(distributor: Client) -> None:
    at = f"/queues/fulfillment/{DRAFT}/edit/"
    page = html.get(distributor, at)
    assert not page.all('[name="value:tenant_id"]') and not page.all('[name^="error:"]')
    quantity = f"quantity:{Request.objects.get(pk=DRAFT).items[0]['global_id']}"
    sent = fields(distributor, at, **{quantity: "many"})
    page = refused(distributor, at, sent)
    assert "is not a number" in page
    assert "many" in [each.value for each in page.all('[name^="quantity:"]')]
    assert distributor.post(at, {**sent, quantity: "77"}).status_code == 303
    assert Request.objects.get(pk=DRAFT).items[0]["quantity"] == "77"


def test_stale_edit_keeps_typed_values_and_writes_nothing(vendor: Client) -> None:
    at = f"{AT}edit/"
    sent = fields(vendor, at, **{"value:activation_id": "A-9"})
    # Within the same second, which is the resolution of `updated`.
    Request.objects.filter(pk=PENDING).update(note="Wait for the contract.")
    page = refused(vendor, at, sent)
    assert "has changed in the meantime" in page.by_role("alert")
    assert page.by_label("Activation id").value == "A-9"
    assert order()["activation_id"] == ""


def test_edit_of_a_closed_object_is_refused(vendor: Client) -> None:
    Request.objects.filter(pk=PENDING).update(status="failed")
    assert "can be updated" in refused(vendor, f"{AT}edit/", {"value:activation_id": "A-9"})


@pytest.mark.parametrize("place", ["edit/", "validate/"])
def test_queue_without_validation_has_no_edit(vendor: Client, place: str) -> None:
    pk = BillingRequest.objects.filter(type="vendor")[0].pk
    assert vendor.post(f"/queues/billing/{pk}/{place}").status_code == 404


@pytest.mark.parametrize(
    ("pk", "message"), [(DRAFT, "Not validated: the vendor has no"), (PENDING, "Not validated.")]
)
def test_validation_reports_its_result(distributor: Client, pk: str, message: str) -> None:
    at = f"/queues/fulfillment/{pk}/"
    assert len(html.get(distributor, at).roles("button", "Validate")) == (pk == DRAFT)
    assert distributor.post(f"{at}validate/").status_code == 303
    assert html.get(distributor, at).messages.startswith(message)


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
    page = html.get(distributor, f"/queues/fulfillment/{DRAFT}/")
    assert page.messages == "Validated. 1 parameter has an error."
    assert page.errors == ["Nobody reads this."]


def test_administrator_acts_as_the_other_party(seeded: Any) -> None:
    user = User.objects.create(username="r", uid="UR-0", is_staff=True, is_superuser=True)
    root = signed_in(user)
    assert html.get(root, AT).by_role("button", "Act as Northland Distribution")
    root.post("/acting/", {"account": VENDOR})
    assert root.post(f"{AT}actions/fail/", {"reason": "No."}).status_code == 303
    row = Request.objects.get(pk=PENDING)
    assert (row.status, row.assignee) == ("failed", user)

"""The fulfillment queue: bodies, checks of actions, and scheduled work."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from requests_queue import clock
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Asset, Template
from requests_queue.conversations import writing
from requests_queue.conversations.models import Conversation
from requests_queue.errors import Conflict, Invalid, Refused
from requests_queue.queues import transitions
from requests_queue.queues.fulfillment import creation, due
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.fulfillment.rules import QUEUE
from tests import make
from tests.api import Caller, caller
from webhooks.models import Event, Webhook

pytestmark = pytest.mark.django_db

EVERYTHING = {
    "cart": {"validation": True},
    "inquiring": {"validation": True},
    "subscription": {
        "hold": True,
        "change": {"validation": True},
        "renew": {"enable_renew": True},
        "transfer": {"enable_transfer": True},
    },
}


def body() -> dict[str, Any]:
    ahead = clock.now() + timedelta(days=2)
    return {"reason": "Because", "planned_date": ahead.isoformat()}


def request(catalog: make.Catalog, status: str, kind: str = "purchase", n: int = 1) -> Request:
    """Make a request in a status, with a parameter that has an error."""
    asset = make.asset(catalog, n, status="processing" if kind == "purchase" else "active")
    return Request.objects.create(
        id=f"PR-0000-0000-{n:04d}-001",
        status=status,
        type=kind,
        asset=asset,
        product=catalog.product,
        vendor=catalog.vendor,
        provider=catalog.provider,
        marketplace=asset.marketplace,
        contract=asset.contract,
        created=make.AT,
        updated=make.AT,
        params=[
            {
                "id": "region",
                "type": "text",
                "phase": "ordering",
                "value": "mars",
                "value_error": "Not offered",
                "constraints": {},
            }
        ],
    )


def everything() -> tuple[Any, ...]:
    return tuple(
        list(model.objects.order_by("pk").values()) for model in (Request, Asset, Event, Webhook)
    )


def on(asset: Asset, kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "asset": {"id": asset.pk, **more}}


def act(row: Request, name: str, actor: Actor, **data: Any) -> Any:
    return transitions.move(Request, row.pk, name, actor, data)


def statuses(row: Request) -> tuple[str, str]:
    row.refresh_from_db()
    return row.status, Asset.objects.get(pk=row.asset_id).status


@pytest.fixture
def catalog() -> make.Catalog:
    return make.catalog(capabilities=EVERYTHING)


@pytest.fixture
def vendor(catalog: make.Catalog) -> Caller:
    return caller(catalog.vendor)


@pytest.fixture
def distributor(catalog: make.Catalog) -> Caller:
    return caller(catalog.provider)


def test_change_has_the_old_quantities(catalog: make.Catalog) -> None:
    purchase = act(make.order(catalog), "approve", catalog.as_vendor)
    body = on(Asset.objects.get(), "change", items=[{"id": "SEAT", "quantity": 7}])
    row = creation.create(body, catalog.as_distributor)
    assert (row.items[0]["quantity"], row.items[0]["old_quantity"]) == ("7", "5")
    assert row.previous_approved_request == purchase
    act(row, "approve", catalog.as_vendor)
    assert Asset.objects.get().items[0]["old_quantity"] == "7"
    with pytest.raises(Invalid, match="quantities are not changed"):
        creation.create(body, catalog.as_distributor)


def test_approve_requires_the_fulfillment_parameters(catalog: make.Catalog, vendor: Caller) -> None:
    more = {"phase": "fulfillment", "constraints": {"required": True}}
    make.parameter(catalog, "tenant_id", **more)
    make.parameter(
        catalog, "secret", phase="fulfillment", constraints={"required": True, "hidden": True}
    )
    row = make.order(catalog)
    before = everything()
    response = vendor.post(f"/requests/{row.pk}/approve", {"template_id": catalog.template.pk})
    assert response.json["errors"] == ["asset.params: Parameter tenant_id is required."]
    assert everything() == before
    filled = {"asset": {"params": [{"id": "tenant_id", "value": "t-1"}]}}
    assert vendor.put(f"/requests/{row.pk}", filled).status == 200
    assert vendor.post(f"/requests/{row.pk}/approve").status == 200
    # Cancellations need no fulfillment parameters.
    cancel = creation.create(on(row.asset, "cancel"), catalog.as_distributor)
    Request.objects.filter(pk=cancel.pk).update(params=[{**cancel.params[0], "value": ""}])
    assert act(cancel, "approve", catalog.as_vendor).status == "approved"


def test_approval_without_a_template_is_refused(catalog: make.Catalog) -> None:
    row = make.order(catalog)
    Template.objects.all().delete()
    with pytest.raises(Refused, match="template_id"):
        act(row, "approve", catalog.as_vendor)


def test_acting_on_an_unassigned_request_assigns_the_vendor(catalog: make.Catalog) -> None:
    row = act(make.order(catalog), "schedule", catalog.as_vendor, **body())
    assert row.assignee == catalog.vendor_user
    Request.objects.update(assignee=catalog.provider_user)
    act(row, "pend", catalog.as_vendor)
    row.refresh_from_db()
    assert row.assignee == catalog.provider_user
    for n, actor in enumerate((catalog.as_distributor, Actor()), 1):
        row = request(catalog, "scheduled", n=n)
        act(row, "revoke" if actor.user else "pend", actor, reason="x")
        row.refresh_from_db()
        assert row.assignee is None


def test_inquire_requires_an_error_and_the_answer_clears_it(
    catalog: make.Catalog, vendor: Caller, distributor: Caller
) -> None:
    make.parameter(catalog, "region")
    make.parameter(catalog, "tenant_id", phase="fulfillment")
    row = make.order(catalog)
    path = f"/requests/{row.pk}"
    assert "marked as invalid" in vendor.post(f"{path}/inquire").json["errors"][0]
    fault = {"asset": {"params": [{"id": "region", "value_error": "Choose one"}]}}
    assert vendor.put(path, fault).status == 200
    inquiring = vendor.post(f"{path}/inquire").json
    assert (inquiring["status"], inquiring["answered"]) == ("inquiring", False)
    form = inquiring["params_form_url"]
    code = form.partition("code=")[2]
    assert code and row.pk in form
    response = {"asset": {"params": [{"id": "region", "value": "eu"}]}}
    assert distributor.post(f"{path}/pend?code=wrong", response).status == 400
    assert distributor.post(f"{path}/pend?code={code}").status == 400
    # An inquiry requests ordering parameters, not fulfillment parameters.
    bad = {"asset": {"params": [{"id": "tenant_id", "value": "t"}]}}
    assert distributor.post(f"{path}/pend", bad).status == 400
    pended = distributor.post(f"{path}/pend?code={code}", response).json
    assert (pended["status"], pended["answered"]) == ("pending", True)
    assert "params_form_url" not in pended
    [region] = [p for p in pended["asset"]["params"] if p["id"] == "region"]
    assert (region["value"], region["value_error"]) == ("eu", "")


def test_draft_of_a_change_does_not_change_the_asset(catalog: make.Catalog) -> None:
    asset = make.asset(catalog)
    body = on(asset, "change", items=[{"id": "SEAT", "quantity": 2}]) | {"status": "draft"}
    row = creation.create(body, catalog.as_distributor)
    assert statuses(row) == ("draft", "active")
    act(row, "submit", catalog.as_distributor)
    assert statuses(row) == ("pending", "active")


def test_stale_drafts_are_deleted_with_their_assets(settings: Any, catalog: make.Catalog) -> None:
    settings.SIM_DRAFT_DAYS = 7
    make.webhook(catalog)
    draft = make.order(catalog, status="draft")
    asset = make.asset(catalog)
    body = on(asset, "change", items=[{"id": "SEAT", "quantity": 2}]) | {"status": "draft"}
    creation.create(body, catalog.as_distributor)
    alive = make.order(catalog)
    writing.create({"instance_id": draft.pk}, catalog.as_distributor)
    due.run(clock.now() + timedelta(days=6, hours=23))
    assert Request.objects.count() == 3
    due.run(clock.now() + timedelta(days=7, hours=1))
    assert list(Request.objects.all()) == [alive]
    assert set(Asset.objects.all()) == {asset, alive.asset}
    assert not Asset.objects.filter(pk=draft.asset_id).exists()
    assert not Conversation.objects.filter(instance_id=draft.pk).exists()
    assert Webhook.objects.get().events == 1


def test_repeated_order_returns_409_with_the_existing_request(
    catalog: make.Catalog, distributor: Caller
) -> None:
    body = make.purchase(catalog, asset={"external_uid": "uid-1"})
    first = distributor.post("/requests", body)
    assert first.status == 201
    pk = first.json["id"]

    def again() -> dict[str, Any]:
        response = distributor.post("/requests", body)
        assert response.status == 409 and response.json["error_code"] and response.json["errors"]
        params: dict[str, Any] = response.json["params"]
        assert (params["request_id"], params["asset_id"]) == (pk, first.json["asset"]["id"])
        return params

    conflict = again()
    assert (conflict["request_status"], conflict["asset_status"]) == ("pending", "processing")
    assert (conflict["template"], conflict["params_form_url"], conflict["fail_message"]) == (
        None,
        "",
        "",
    )
    row = Request.objects.get()
    Request.objects.update(status="inquiring")
    assert row.form_code in again()["params_form_url"]
    act(row, "fail", catalog.as_vendor, reason="No stock")
    conflict = again()
    assert (conflict["request_status"], conflict["fail_message"]) == ("failed", "No stock")
    assert Request.objects.count() == Asset.objects.count() == 1


def test_asset_has_one_open_request(catalog: make.Catalog) -> None:
    asset = make.asset(catalog)
    open_ = creation.create(on(asset, "suspend"), catalog.as_distributor)
    for kind in ("change", "cancel", "suspend", "resume"):
        with pytest.raises(Conflict) as refused:
            creation.create(on(asset, kind), catalog.as_distributor)
        assert refused.value.params is not None
        assert refused.value.params["request_id"] == open_.pk
    act(open_, "approve", catalog.as_vendor)
    following = creation.create(on(asset, "resume"), catalog.as_distributor)
    assert following.pk.endswith("-002")
    assert following.previous_approved_request == open_


@pytest.mark.parametrize("status", QUEUE.status_names)
def test_put_is_for_drafts_pending_and_inquiring_requests(
    catalog: make.Catalog, vendor: Caller, status: str
) -> None:
    make.webhook(catalog)
    row = request(catalog, status)
    before = everything()
    body = {"note": "Hello", "asset": {"params": [{"id": "region", "value": "eu"}]}}
    response = vendor.put(f"/requests/{row.pk}", body)
    if status in ("draft", "pending", "inquiring"):
        assert response.status == 200
        assert (response.json["note"], response.json["status"]) == ("Hello", status)
        # An error stays until it is cleared.
        param = response.json["asset"]["params"][0]
        assert (param["value"], param["value_error"]) == ("eu", "Not offered")
        row.refresh_from_db()
        assert row.updated > make.AT
        # Changing the contents of a request is not a queue change.
        assert not Event.objects.exists()
    else:
        assert (response.status, response.json["error_code"]) == (400, "REQ_001")
        assert everything() == before


def test_put_by_each_party(catalog: make.Catalog, vendor: Caller, distributor: Caller) -> None:
    make.parameter(catalog, "region")
    make.parameter(catalog, "tenant_id", phase="fulfillment")
    row = make.order(catalog)

    def put(actor: Caller, **param: Any) -> int:
        return actor.put(f"/requests/{row.pk}", {"asset": {"params": [param]}}).status

    assert put(vendor, id="tenant_id", value="t-1") == 200
    assert put(distributor, id="tenant_id", value="t-2") == 400
    assert put(distributor, id="region", value="eu") == 200
    assert put(vendor, id="nowhere", value="eu") == 400
    row.refresh_from_db()
    assert [p["value"] for p in row.params] == ["eu", "t-1"]
    # Until its approval, a purchase shows the values of its asset.
    assert Asset.objects.get().params == row.params
    # Fields that the caller may not write are ignored.
    ignored = {"status": "approved", "id": "PR-9", "asset": {"id": "AS-9", "status": "active"}}
    response = vendor.put(f"/requests/{row.pk}", ignored)
    assert (response.status, response.json["status"], response.json["id"]) == (
        200,
        "pending",
        row.pk,
    )


def test_assign_by_id_or_email_and_unassign(catalog: make.Catalog, vendor: Caller) -> None:
    path = f"/requests/{make.order(catalog).pk}"
    response = vendor.post(f"{path}/assign", {"id": catalog.vendor_user.uid})
    assert response.json["assignee"]["id"] == catalog.vendor_user.uid
    assert vendor.post(f"{path}/unassign").json["assignee"] == ""
    email = catalog.vendor_user.email
    assert vendor.post(f"{path}/assign", {"email": email}).json["assignee"]["email"] == email
    assert vendor.post(f"{path}/assign", {}).status == 400
    assert vendor.post(f"{path}/assign", {"id": catalog.provider_user.uid}).status == 404


def test_dates_are_stored_in_whole_seconds(catalog: make.Catalog) -> None:
    row = make.order(catalog)
    act(row, "approve", catalog.as_vendor, effective_date="2026-11-05T10:00:00.123456Z")
    row.refresh_from_db()
    moments: list[datetime] = [row.created, row.updated, row.effective_date, row.asset.created]
    assert all(moment.microsecond == 0 for moment in moments)

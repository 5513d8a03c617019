"""Validations in the admin: differences of a response, and errors of the form."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from tests import make
from tests.make import AT, Catalog
from tests.signed_in import root, signed_in, staff, vendor  # noqa: F401  (fixtures)
from webhooks import types
from webhooks.delivery.request import new_secret
from webhooks.models import Attempt, Delivery, Event, Webhook

pytestmark = pytest.mark.django_db

ADD = "/admin/webhooks/webhook/add/"
REGION = {
    "id": "region", "type": "text", "value": "mars", "value_error": "",
    "constraints": {"required": True, "hidden": False, "readonly": False},
}  # fmt: skip
PLAN = REGION | {"id": "plan", "value": "gold"}
SENT = {
    "id": "PR-1", "status": "draft", "note": "",
    "asset": {"id": "AS-1", "items": [{"id": "SKU", "quantity": "5"}], "params": [REGION, PLAN]},
}  # fmt: skip


def attempt(catalog: Catalog, received: Any, sent: Any = SENT, **more: Any) -> Attempt:
    """Record a validation; `got` is the response as JSON or bytes."""
    hook = make.webhook(
        catalog,
        n=Webhook.objects.count() + 1,
        type=more.pop("type", "validator"),
        object_class=more.pop("object_class", "fulfillment_request"),
    )
    delivery = Delivery.objects.create(webhook=hook, state="delivered", created_at=AT, attempts=1)
    Event.objects.create(
        webhook=hook,
        delivery=delivery,
        object_id="PR-1",
        status_from="draft",
        status_to="draft",
        at=AT,
    )
    fields = {
        "outcome": "success",
        "started_at": AT,
        "finished_at": AT + timedelta(seconds=1),
        "duration": 1000,
        "method": "POST",
        "url": hook.external_url,
        "status_code": 200,
        "why": "Merged.",
        "request_body": json.dumps(sent),
        "response_body": received if isinstance(received, bytes) else json.dumps(received).encode(),
        **more,
    }
    return Attempt.objects.create(webhook=hook, delivery=delivery, number=1, **fields)


def shown(client: Client, row: Attempt) -> str:
    response = client.get(f"/admin/webhooks/attempt/{row.pk}/change/")
    assert response.status_code == 200
    html: str = response.content.decode()
    return html


def table(html: str) -> list[list[str]]:
    """Return the rows of the table of differences as text."""
    match = re.search(r'<table class="sim-difference">(.*?)</table>', html, re.DOTALL)
    assert match, "there is no table"
    assert match[1].count('<th scope="col">') == 4 and "<caption>" in match[1]
    return [
        [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[hd] [^>]*>.*?</t[hd]>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", match[1], re.DOTALL)
        if 'scope="row"' in row
    ]


def answered(**more: Any) -> dict[str, Any]:
    """Return a response with these keys of the region only."""
    return {"id": "PR-1", "asset": {"id": "AS-1", "params": [{"id": "region", **more}]}}


# -- the section "Difference"


def test_each_difference_has_its_result(vendor: Client, catalog: Catalog) -> None:
    response = answered(
        value="eu", value_error="Not offered", constraints={"hidden": True, "min": 3}
    )
    response["note"] = "Hello"
    assert table(shown(vendor, attempt(catalog, response))) == [
        ["note", "&quot;&quot;", "&quot;Hello&quot;", "ignored"],
        ["asset.params[region].value", "&quot;mars&quot;", "&quot;eu&quot;", "merged"],
        ["asset.params[region].value_error", "&quot;&quot;", "&quot;Not offered&quot;", "merged"],
        ["asset.params[region].constraints.hidden", "false", "true", "merged"],
        ["asset.params[region].constraints.min", "–", "3", "ignored"],
    ]


def test_echoed_object_has_no_differences(vendor: Client, catalog: Catalog) -> None:
    html = shown(vendor, attempt(catalog, SENT))
    assert "No differences." in html and "sim-difference" not in html and "leaves out" not in html


def test_omitted_parts_are_counted(vendor: Client, catalog: Catalog) -> None:
    # status, note, items, the plan, and four keys of the region.
    assert "No differences. The response leaves out 8 parts" in shown(
        vendor, attempt(catalog, answered())
    )
    almost = {key: value for key, value in SENT.items() if key != "note"}
    assert "leaves out 1 part of" in shown(vendor, attempt(catalog, almost))


@pytest.mark.parametrize(
    ("received", "more", "sentence"),
    [
        (b"", {"status_code": None, "outcome": "failure"}, "no response body"),
        (b"<h1>Sorry</h1>", {"outcome": "failure"}, "The response is not JSON"),
        (b'{"id": NaN}', {"outcome": "failure"}, "The response is not JSON"),
        (b"\xff\xfe", {"outcome": "failure"}, "The response is not JSON"),
        (b"[" * 60_000, {"outcome": "failure"}, "The response is not JSON"),
        (b'{"id": 1', {"truncated": True}, "longer than what is stored of it"),
    ],
)
def test_response_that_cannot_be_compared_has_a_note(
    vendor: Client, catalog: Catalog, received: bytes, more: dict[str, Any], sentence: str
) -> None:
    html = shown(vendor, attempt(catalog, received, **more))
    assert sentence in html and "sim-difference" not in html


@pytest.mark.parametrize(
    "received", [[1, 2], "text", None, {"asset": 7}, {"asset": {"params": {}}}]
)
def test_response_of_other_structure_is_shown(
    vendor: Client, catalog: Catalog, received: Any
) -> None:
    html = shown(
        vendor, attempt(catalog, received, outcome="failure", why="A validator is called once.")
    )
    assert {row[3] for row in table(html)} == {"not merged"}
    assert "Nothing of the response was merged." in html


def test_dropped_response_is_not_merged(vendor: Client, catalog: Catalog) -> None:
    response, why = answered(value_error="No"), "Nothing is merged: PR-1 has been moved."
    [row] = table(shown(vendor, attempt(catalog, response, why=why, is_unmerged=True)))
    assert row[3] == "not merged"


def test_tier_request_may_have_parameters_below_configuration(
    vendor: Client, catalog: Catalog
) -> None:
    sent = {
        "id": "TCR-1",
        "type": "setup",
        "status": "draft",
        "params": [REGION],
        "configuration": {"id": "TC-1", "params": []},
    }
    about = {"type": "draft_tcr_t1_val", "object_class": "tier_config_request"}
    below = {"configuration": {"id": "TC-1", "params": [{"id": "region", "value_error": "No"}]}}
    top = {"params": [{"id": "region", "value_error": "No"}]}
    for response, path in ((below, "configuration.params"), (top, "params")):
        [row] = table(shown(vendor, attempt(catalog, {"id": "TCR-1", **response}, sent, **about)))
        expected = [f"{path}[region].value_error", "&quot;&quot;", "&quot;No&quot;", "merged"]
        assert row == expected


def test_choices_are_merged_as_a_whole(vendor: Client, catalog: Catalog) -> None:
    choice = REGION | {"type": "dropdown", "value_choices": [{"value": "mars", "label": "Mars"}]}
    sent = SENT | {"asset": {"id": "AS-1", "params": [choice]}}
    response = answered(value_choices=[{"value": "mars", "label": "The red one"}])
    [row] = table(shown(vendor, attempt(catalog, response, sent)))
    assert row[0] == "asset.params[region].value_choices[0].label" and row[3] == "merged"


def test_response_values_are_shown_as_plain_text(vendor: Client, catalog: Catalog) -> None:
    evil = "<script>alert(1)</script>\x1b[31m\u202e"
    html = shown(vendor, attempt(catalog, answered(value_error=evil) | {evil: evil}))
    assert "<script>alert" not in html and "\x1b" not in html and "\u202e" not in html
    assert "&lt;script&gt;alert(1)" in table(html)[-1][0]


def test_long_values_are_shortened_in_table_only(vendor: Client, catalog: Catalog) -> None:
    html = shown(vendor, attempt(catalog, answered(value_error="no " * 500)))
    [row] = table(html)
    assert row[2].endswith("no…") and "see the bodies below" in html
    assert "no " * 500 in html


def test_more_than_200_differences_are_counted(vendor: Client, catalog: Catalog) -> None:
    html = shown(vendor, attempt(catalog, {f"k{n}": n for n in range(300)}))
    assert len(table(html)) == 200 and "100 more differences are not shown." in html


def test_only_validations_have_differences_section(vendor: Client, catalog: Catalog) -> None:
    assert "Difference" in shown(vendor, attempt(catalog, {}))
    assert "Difference" not in shown(vendor, attempt(catalog, {}, type="event"))
    for sent in ({"webhook_id": "WH-1", "data": {"id": 1}}, [1]):
        # Trigger now sends the payload instead.
        assert "Difference" not in shown(vendor, attempt(catalog, {}, sent))
    assert "Difference" not in shown(vendor, attempt(catalog, {}, request_body=""))


# -- lists and events


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "Trigger now"),
        ({"object_id": "PR-1", "status_to": "pending"}, "PR-1: created → pending"),
        (
            {"object_id": "PR-1", "status_from": "draft", "status_to": "pending"},
            "PR-1: draft → pending",
        ),
        (
            {"object_id": "PR-1", "status_from": "draft", "status_to": "draft"},
            "PR-1: validated in draft",
        ),
        ({"object_id": "BRP-1"}, "BRP-1: changed"),
    ],
)
def test_event_shows_validation(fields: dict[str, str], expected: str) -> None:
    assert str(Event(**fields)) == expected


def test_lists_and_deliveries_show_validations(vendor: Client, catalog: Catalog) -> None:
    good = attempt(catalog, {})
    bad = attempt(catalog, b"", outcome="failure", status_code=None)
    Delivery.objects.filter(pk=bad.delivery_id).update(state="failed")
    assert vendor.get("/admin/webhooks/event/").content.decode().count("validated in draft") == 2
    for row, state in ((good, "delivered"), (bad, "failed")):
        html = vendor.get(f"/admin/webhooks/delivery/{row.delivery_id}/change/").content.decode()
        assert "PR-1: validated in draft" in html and state in html
    rows = vendor.get("/admin/webhooks/delivery/?state__exact=failed").context["cl"]
    assert [row.pk for row in rows.result_list] == [bad.delivery_id]


# -- the form


def new(catalog: Catalog, type_: types.WebhookType, **more: Any) -> dict[str, Any]:
    return {
        "label": "New",
        "description": "",
        "active": "on",
        "external_url": "http://127.0.0.1:9/x",
        "http_method": "POST",
        "headers": "{}",
        "data": "{}",
        "product": catalog.product.pk,
        "kind": f"{type_.type}:{type_.object_class}",
        "jwt_secret": new_secret(),
        **more,
    }


VALIDATORS = [t for t in types.registered() if t.trigger is not None]


@pytest.mark.parametrize("type_", VALIDATORS, ids=lambda t: t.type)
def test_type_without_capability_is_refused_at_the_field(
    vendor: Client, catalog: Catalog, type_: types.WebhookType
) -> None:
    response = vendor.post(ADD, new(catalog, type_))
    errors = response.context["adminform"].form.errors
    assert type_.trigger is not None and list(errors) == ["kind"]
    [error] = errors["kind"]
    assert f"{catalog.product.pk} does not have the capability" in error
    assert (
        str(type_.trigger.missing_capability(catalog.product)) in error
        and "Switch it on first." in error
    )
    assert not Webhook.objects.exists()


def test_get_is_refused_for_validators(vendor: Client, catalog: Catalog) -> None:
    type_ = types.find("validator", "fulfillment_request")
    assert type_ is not None
    catalog.product.capabilities = {"cart": {"validation": True}}
    catalog.product.save()
    for more in ({}, {"product": ""}):
        response = vendor.post(ADD, new(catalog, type_, http_method="GET", **more))
        errors = response.context["adminform"].form.errors
        assert errors["http_method"] == [
            "Validators are called by POST: a GET has no body for the object."
        ]
    vendor.post(ADD, new(catalog, type_))
    row = Webhook.objects.get()
    body = new(catalog, type_, http_method="GET")
    response = vendor.post(f"/admin/webhooks/webhook/{row.pk}/change/", body)
    assert list(response.context["adminform"].form.errors) == ["http_method"]
    row.refresh_from_db()
    assert (row.type, row.http_method) == ("validator", "POST")


def test_distributor_is_refused_validator_type(root: Client, catalog: Catalog) -> None:
    body = new(catalog, VALIDATORS[0])
    provider = signed_in(staff(catalog.provider_user)).post(ADD, body)
    for response in (provider, root.post(ADD, body | {"account": catalog.provider.pk})):
        errors = response.context["adminform"].form.errors
        assert errors == {"kind": ["Validators are for vendors only."]}

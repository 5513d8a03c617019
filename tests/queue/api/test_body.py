"""Wrong types in bodies, and the input fields by themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from requests_queue.api.fields import (
    AnyCaseChoice,
    Choice,
    Date,
    Free,
    Id,
    Input,
    Integer,
    List,
    Reference,
    String,
    Text,
)
from requests_queue.catalog.models import Asset, TierAccount
from requests_queue.errors import Invalid
from requests_queue.queues.fulfillment.models import Request
from tests.api import Caller, refused
from tests.contract.calls import WEBHOOK, order, pending

pytestmark = pytest.mark.django_db
TEXT = "Not a valid string."
WRONG = [[], {}, False, True, ["x"], {"x": 1}]


@pytest.fixture
def request_id(vendor: Caller, distributor: Caller) -> str:
    """A pending purchase that can be approved or inquired."""
    return pending({"vendor": vendor, "distributor": distributor})


@pytest.mark.parametrize("action", ["approve", "inquire"])
def test_wrong_type_refuses_approve_and_inquire(
    vendor: Caller, request_id: str, action: str
) -> None:
    before = Request.objects.filter(pk=request_id).values().get()
    wrong = [(name, value) for name in ("template_id", "activation_tile") for value in WRONG]
    for name, value in (*wrong, ("template_id", 0)):
        error, data = f"{name}: {TEXT}", {name: value}
        refused(vendor.post(f"/requests/{request_id}/{action}", data), 400, error)
        # The sandbox's endpoint has no schema of the body: the action checks the types.
        body = {"id": request_id, "action": action, "data": data}
        refused(vendor.post("/sandbox/queue/moves", body), 400, error)
    assert Request.objects.filter(pk=request_id).values().get() == before


@pytest.mark.parametrize(
    "template",
    [None, "null", {}, {"template_id": None, "activation_tile": None, "effective_date": None},
     {"template_id": "", "activation_tile": ""}],
)  # fmt: skip
def test_empty_template_approves_with_the_default(
    vendor: Caller, request_id: str, template: Any
) -> None:
    """The toolkit sends nulls, connect-sdk 22 sends `null`, the openapi-client no body."""
    response = vendor.post(f"/requests/{request_id}/approve", template)
    assert (response.status, response.json["status"]) == (200, "approved")
    assert response.json["template"]["id"]


def test_order_with_a_wrong_type_creates_nothing(distributor: Caller) -> None:
    before = Request.objects.count(), Asset.objects.count(), TierAccount.objects.count()
    changes: list[tuple[Callable[[Any], Any], str]] = [
        (lambda b: b.update(note=["x"]), f"note: {TEXT}"),
        (lambda b: b.update(note=True), f"note: {TEXT}"),
        (lambda b: b.update(external_attributes=[]), "external_attributes: Expected an object."),
        (lambda b: b.update(external_attributes=0), "external_attributes: Expected an object."),
        (lambda b: b.update(external_attributes="x"), "external_attributes: Expected an object."),
        (lambda b: b.update(marketplace=[]), "marketplace: Expected an object."),
        (lambda b: b.update(marketplace=False), "marketplace: Expected an object."),
        (lambda b: b["asset"].update(product=[]), "asset.product: Expected an object."),
        (lambda b: b["asset"].update(product="PRD"), "asset.product: Expected an object."),
        (lambda b: b["asset"].update(product={"id": 0}), f"asset.product.id: {TEXT}"),
        (lambda b: b["asset"].update(external_uid=["x"]), f"asset.external_uid: {TEXT}"),
        (lambda b: b["asset"].update(external_uid=True), f"asset.external_uid: {TEXT}"),
        (lambda b: b["asset"].update(external_id=True), f"asset.external_id: {TEXT}"),
        (lambda b: b["asset"].update(external_id={}), f"asset.external_id: {TEXT}"),
        (lambda b: b["asset"].update(external_uid="x" * 101),
         "asset.external_uid: Ensure this field has no more than 100 characters."),
        (lambda b: b["asset"].update(external_id=10**100),
         "asset.external_id: Ensure this field has no more than 100 characters."),
    ]  # fmt: skip
    for change, error in changes:
        body = order()
        change(body)
        refused(distributor.post("/requests", body), 400, error)
    assert (Request.objects.count(), Asset.objects.count(), TierAccount.objects.count()) == before


def test_numbers_are_accepted_as_text(distributor: Caller) -> None:
    body = order(note=0)
    body["asset"] |= {"external_uid": 0, "external_id": 1.5}
    body["asset"]["tiers"]["customer"] |= {"external_id": 7, "external_uid": 0.25}
    created = distributor.post("/requests", body)
    assert created.status == 201, created
    asset = created.json["asset"]
    assert (asset["external_uid"], asset["external_id"], created.json["note"]) == ("0", "1.5", "0")
    customer = asset["tiers"]["customer"]
    assert (customer["external_id"], customer["external_uid"]) == ("7", "0.25")
    # The same number names the same subscription, and the same customer.
    assert distributor.post("/requests", body).status == 409
    again = order()
    again["asset"]["tiers"]["customer"] = {"external_uid": 0.25}
    shown = distributor.post("/requests", again).json["asset"]["tiers"]["customer"]
    assert shown["id"] == customer["id"]


def test_webhook_without_a_type_gets_the_default(vendor: Caller) -> None:
    for value in (*WRONG, 0):
        response = vendor.post("/notifications/webhooks", {**WEBHOOK, "type": value})
        assert response.status == 400
        assert response.json["errors"][0].startswith("type: ")
    created = vendor.post("/notifications/webhooks", {**WEBHOOK, "type": None})
    assert (created.status, created.json["type"]) == (201, "event")


def test_type_of_an_unused_reference_is_checked(vendor: Caller) -> None:
    body = {"type": "remove", "listing_id": "LST-731-204-558", "product_id": []}
    refused(vendor.post("/listing-requests", body), 400, f"product_id: {TEXT}")
    body = {"name": "May", "product": 5, "product_id": "PRD-590-284-731"}
    refused(vendor.post("/usage/files", body), 400, "product: Expected an object.")


SANDBOX: dict[str, dict[str, Any]] = {
    "/sandbox/clock/advance": {"by": "1s"},
    "/sandbox/clock/run-until-idle": {"max": "1s"},
    "/sandbox/holds": {"note": "text"},
    "/sandbox/queue/samples": {"queue": "fulfillment", "type": "purchase", "product": "PRD-1",
                               "draft": False},
    "/sandbox/queue/moves": {"id": "PR-1", "action": "approve", "data": {}},
    "/sandbox/queue/validate": {"id": "PR-1", "data": {}},
}  # fmt: skip


def test_sandbox_refuses_wrong_types(vendor: Caller) -> None:
    for path, body in SANDBOX.items():
        for name, right in body.items():
            for value in (False, True, 0, "", [], {}):
                if isinstance(value, type(right)):
                    continue
                response = vendor.post(path, {**body, name: value})
                assert response.status == 400, (path, name, value, response)
                assert response.json["errors"][0].startswith(f"{name}: "), (path, value, response)


def test_error_names_the_field_that_cannot_be_stored(vendor: Caller, distributor: Caller) -> None:
    stored = "This contains characters that cannot be stored (NUL or half a surrogate pair)."
    hook = {**WEBHOOK, "external_url": "http://127.0.0.1/\0"}
    refused(vendor.post("/notifications/webhooks", hook), 400, f"external_url: {stored}")
    pk = vendor.post("/notifications/webhooks", WEBHOOK).json["id"]
    response = vendor.put(f"/notifications/webhooks/{pk}", {"external_url": "http://h/\0"})
    refused(response, 400, f"external_url: {stored}")
    body = order()
    body["asset"]["params"] = [{"id": "region", "value": "\ud800"}]
    refused(distributor.post("/requests", body), 400, f"asset.params.value: {stored}")
    refused(vendor.post("/products", {"na\0me": "x"}), 400, stored)
    refused(
        vendor.post("/products", '{"name": {"a": 1e400}}'),
        400,
        "name.a: This contains a number that is too large.",
    )


class _Inner(Input):
    id = Id()
    label = Text(255)


class _Texts(Input):
    label = Text()
    text = String()
    word = Id()


class _Required(Input):
    label = Text(5, required=True)
    kind = Choice(("x", "y"), required=True)
    size = AnyCaseChoice(("S", "L"), allow_null=True)
    inner = _Inner(allow_null=True)


class _Whole(Input):
    booleans = ("flag",)
    rows = List(_Inner())
    count = Integer(1, 9, allow_null=True)
    day = Date()
    free = Free(allow_null=True)
    other = Reference(allow_null=True)
    named = Reference(required=True)


@pytest.mark.parametrize(
    ("name", "taken", "wrong"),
    [
        ("label", {"x": "x", " x ": " x ", 0: "0", 1.5: "1.5", None: "", "": ""}, [False, [], {}]),
        ("text", {"x": "x", None: "", "": ""}, [0, 1.5, False, [], {}]),
        ("word", {"x": "x", None: None, "": None}, [0, False, [], {}]),
    ],
)  # fmt: skip
def test_texts_and_identifiers(name: str, taken: dict[Any, Any], wrong: list[Any]) -> None:
    for value, result in taken.items():
        assert _Texts().check({name: value}) == {name: result}
    assert _Texts().check({}) == {}
    for value in wrong:
        with pytest.raises(Invalid, match=f"^in.{name}: {TEXT}"):
            _Texts().check({name: value}, "in")


@pytest.mark.parametrize(
    ("value", "errors"),
    [
        ({}, ["label: This field is required.", "kind: This field is required."]),
        ({"label": None, "kind": None, "size": None, "inner": None},
         ["label: This field is required.", "kind: This field is required."]),
        ({"label": " ", "kind": "z"},
         ["label: This field may not be blank.", 'kind: "z" is not a valid choice.']),
        ({"label": "abcdef", "kind": 0},
         ["label: Ensure this field has no more than 5 characters.",
          'kind: "0" is not a valid choice.']),
        ({"label": "a", "kind": "X"}, ['kind: "X" is not a valid choice.']),
        ({"label": "a", "kind": "x", "size": "M"}, ['size: "M" is not a valid choice.']),
        ({"label": "a", "kind": "x", "inner": "x"}, ["inner: Expected an object."]),
    ],
)  # fmt: skip
def test_required_fields_and_choices(value: Any, errors: list[str]) -> None:
    with pytest.raises(Invalid) as raised:
        _Required().check(value)
    assert raised.value.messages == errors


def test_partial_body_may_omit_required_fields_but_not_null_them() -> None:
    partial = _Required(partial=True)
    assert partial.check({"size": "s"}) == {"size": "S"}
    assert _Required().check({"label": "a", "kind": "y", "inner": {}})["inner"] == {}
    for name in ("label", "kind"):
        with pytest.raises(Invalid, match=f"^{name}: This field is required."):
            partial.check({name: None})


def test_errors_have_path_message_and_code() -> None:
    with pytest.raises(Invalid) as raised:
        _Whole().check({"rows": [{}, {"id": 0}], "flag": 1}, "in")
    assert [(e.path, e.message, e.code) for e in raised.value.errors] == [
        ("in.flag", "Must be a valid boolean.", "invalid"),
        ("in.rows.id", TEXT, "invalid"),
        ("in.named", "This field is required.", "required"),
    ]


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        ({}, []),
        ({"rows": None, "count": None, "day": None, "free": None, "more": object}, []),
        ({"rows": {}}, ['rows: Expected a list of items but got type "dict".']),
        ({"rows": [{"id": 0, "label": 0}, 5]}, [f"rows.id: {TEXT}", "rows: Expected an object."]),
        ({"flag": 1}, ["flag: Must be a valid boolean."]),
        ({"flag": ""}, ["flag: Must be a valid boolean."]),
        ({"count": True}, ["count: A valid integer is required."]),
        ({"count": 1.5}, ["count: A valid integer is required."]),
        ({"count": 10}, ["count: Ensure this value is between 1 and 9."]),
        ({"day": 20261130}, ["day: Not a valid date."]),
        ({"day": "2026-13-01"}, ["day: Not a valid date."]),
        ({"day": "0001-01-01T00:00:00+14:00"}, ["day: Not a valid date."]),
        ({"free": []}, ["free: Expected an object."]),
        ({"free": {"x": []}}, []),
        ({"other": {}}, []),
        ({"other": {"id": 0}}, [f"other.id: {TEXT}"]),
        ({"named": {}}, ["named.id: This field is required."]),
        ({"named": {"id": ""}}, ["named.id: This field is required."]),
    ],
)
def test_types_of_a_body(value: Any, messages: list[str]) -> None:
    errors = []
    try:
        _Whole().check({"named": {"id": "x"}, **value})
    except Invalid as refused:
        errors = refused.messages
    assert errors == messages


def test_dates_are_parsed_in_utc() -> None:
    for text, shown in (
        ("2026-11-02T10:00:00Z", "2026-11-02T10:00:00+00:00"),
        ("2026-11-02T10:00:00.9+02:00", "2026-11-02T08:00:00+00:00"),
        ("2026-11-02T10:00:00", "2026-11-02T10:00:00+00:00"),
        ("2026-11-02", "2026-11-02T00:00:00+00:00"),
    ):
        values = _Whole().check({"named": {"id": "x"}, "day": text})
        assert values == {"named": "x", "day": datetime.fromisoformat(shown)}

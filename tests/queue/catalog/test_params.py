"""Parameters of a request: created from the product's, and values that the API accepts."""

from __future__ import annotations

from typing import Any

import pytest

from requests_queue.catalog import parameter_values
from requests_queue.queues.fulfillment import creation
from tests import make
from tests.api import caller

PHONE = {"country_code": "+1", "area_code": "(555)", "phone_number": "01-00", "extension": "7"}


NONE = [{}, "", None]
TYPES = (
    "text", "dropdown", "password", "email", "checkbox", "subdomain", "domain", "address", "phone",
    "object", "url", "choice",
)  # fmt: skip


@pytest.mark.django_db
def test_blank_has_the_ordering_and_fulfillment_parameters_of_assets_in_order(
    catalog: make.Catalog,
) -> None:
    make.parameter(catalog, "b", position=2)
    make.parameter(catalog, "a", position=3, phase="fulfillment", constraints={"required": True})
    make.parameter(catalog, "first", position=1)
    for n, hidden in enumerate(
        (
            {"scope": "tier1"},
            {"scope": "product"},
            {"phase": "configuration"},
            {"type": "heading"},
            {"type": "content"},
        )
    ):
        make.parameter(catalog, f"no{n}", **hidden)
    params = parameter_values.blank(catalog.product)
    assert [p["id"] for p in params] == ["first", "b", "a"]
    assert params[2]["phase"] == "fulfillment"
    assert params[2]["constraints"] == {
        "hidden": False,
        "readonly": False,
        "required": True,
        "unique": False,
        "reconciliation": False,
    }
    assert all((p["value"], p["value_error"]) == ("", "") for p in params)


@pytest.mark.django_db
def test_blank_has_choices_structures_and_defaults(catalog: make.Catalog) -> None:
    choices = [{"value": "eu", "label": "Europe"}]
    make.parameter(catalog, "region", type="dropdown", constraints={"choices": choices})
    make.parameter(catalog, "size", type="choice")
    make.parameter(catalog, "phone", type="phone", default=PHONE)
    make.parameter(catalog, "name", default="Nimbus")
    make.parameter(catalog, "odd", default={"a": 1})
    region, size, phone, name, odd = parameter_values.blank(catalog.product)
    assert region["value_choices"] == choices and "choices" not in region["constraints"]
    assert size["value_choices"] == []
    assert phone["structured_value"] == PHONE
    assert (name["value"], "structured_value" in name) == ("Nimbus", False)
    assert odd["value"] == ""


@pytest.mark.django_db
@pytest.mark.parametrize("none", NONE)
def test_empty_structured_value_is_accepted(catalog: make.Catalog, none: Any) -> None:
    for kind in TYPES:
        make.parameter(catalog, kind, type=kind)
        make.parameter(catalog, f"given_{kind}", type=kind, phase="fulfillment")
    values = {kind: '{"a": 1}' if kind == "object" else "k" for kind in TYPES}
    ordered = [{"id": k, "value": v, "structured_value": none} for k, v in values.items()]
    order = make.purchase(catalog, asset={"params": ordered})
    response = caller(catalog.provider).post("/requests", order)
    assert response.status == 201, response.json
    fulfilled = [
        {"id": f"given_{k}", "value": v, "value_error": "", "structured_value": none}
        for k, v in values.items()
    ]
    path, api = f"/requests/{response.json['id']}", caller(catalog.vendor)
    response = api.put(path, {"asset": {"params": fulfilled}})
    assert response.status == 200, response.json
    assert {p["id"]: p["value"] for p in response.json["asset"]["params"]} == values | {
        f"given_{k}": v for k, v in values.items()
    }
    assert api.post(f"{path}/approve", {}).status == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    "value", ["NaN", '{"a": -Infinity}', "[" * 100_000, r'"\u0000"', r'{"\ud800": 1}', "{'a': 1}"]
)
def test_object_that_cannot_be_stored_is_refused(catalog: make.Catalog, value: str) -> None:
    make.parameter(catalog, "config", type="object")
    row = creation.create(make.purchase(catalog), catalog.as_distributor)
    given_ = {"asset": {"params": [{"id": "config", "value": value}]}}
    response = caller(catalog.vendor).put(f"/requests/{row.pk}", given_)
    assert (response.status, response.json["errors"]) == (
        400,
        ["asset.params: Parameter config: value is not JSON that can be stored."],
    )

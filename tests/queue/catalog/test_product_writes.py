"""Writes of vendors to their products: permissions and errors."""

from __future__ import annotations

from typing import Any

import pytest

from requests_queue.catalog.models import (
    Item,
    Parameter,
    Product,
    ProductAction,
    Template,
)
from requests_queue.seed.accounts import CONTRACT, HUB
from requests_queue.seed.products import BACKUP, METER, SUITE
from tests import make
from tests.api import Caller, caller, ids, refused

SEAT = f"{BACKUP}-0001"
ITEM = {"name": "Archive", "mpn": "NB-A", "type": "reservation", "unit": {"id": "gb"}}
PARAMETER = {"name": "tape", "title": "Tape", "type": "text"}
CHOICES = [{"value": "a", "label": "A"}, {"value": "b", "label": "B"}]
TEMPLATE = {"name": "Ready", "scope": "tier1", "type": "fulfillment", "body": "# Ready"}
ACTION = {"action": "open", "name": "Open", "scope": "asset"}
PARTS: list[tuple[str, dict[str, Any], dict[str, Any], type]] = [
    ("items", ITEM, {"description": "Kept."}, Item),
    ("parameters", PARAMETER, {"hint": "On the label."}, Parameter),
    ("templates", TEMPLATE, {"body": "# Done"}, Template),
    ("actions", ACTION, {"title": "Console"}, ProductAction),
]


def of(kind: str, product: str = BACKUP) -> str:
    return f"/products/{product}/{kind}"


def create(vendor: Caller, path: str, body: dict[str, Any]) -> Any:
    response = vendor.post(path, body)
    assert response.status == 201, response
    return response.json


class TestProduct:
    def test_draft_is_created_changed_and_deleted(self, vendor: Caller) -> None:
        row = create(vendor, "/products", {"name": "Archive", "external_id": "nb-a"})
        one = f"/products/{row['id']}"
        assert (row["status"], row["external_id"], row["version"]) == ("draft", "nb-a", None)
        assert row == vendor.get(one).json
        changed = vendor.put(one, {"name": "Deep archive", "short_description": "Cold."})
        assert (changed.status, changed.json["name"]) == (200, "Deep archive")
        assert changed.json["external_id"] == "nb-a"
        for kind, body, _, _ in PARTS:
            create(vendor, f"{one}/{kind}", body)
        assert vendor.delete(one).status == 204
        refused(vendor.get(one), 404)

    def test_published_or_used_product_cannot_be_deleted(self, vendor: Caller) -> None:
        refused(vendor.delete(f"/products/{METER}"), 400, "Only draft Product can be deleted.")
        Product.objects.filter(pk=METER).update(status="draft")
        response = vendor.delete(f"/products/{METER}")
        refused(response, 400)
        assert "can't be deleted: there are" in response.json["errors"][0]
        assert Product.objects.filter(pk=METER).exists()

    def test_capabilities_are_merged(self, vendor: Caller) -> None:
        one = f"/products/{BACKUP}"
        before = vendor.get(one).json["capabilities"]
        body = {"ppu": {"schema": "TR"}, "tiers": {"configs": {"level": "2"}}}
        after = vendor.put(one, {"capabilities": body}).json["capabilities"]
        assert after["ppu"]["schema"] == "TR" and "ppu" not in after["ppu"]
        assert after["tiers"]["configs"]["level"] == 2
        assert after["subscription"] == before["subscription"]
        body = {"ppu": None, "tiers": {"configs": None}, "subscription": {"hold": True}}
        after = vendor.put(one, {"capabilities": body}).json["capabilities"]
        assert after["ppu"] is None and after["tiers"]["configs"] is None
        assert after["subscription"] == {**before["subscription"], "hold": True}
        row = Product.objects.get(pk=BACKUP)
        assert not row.capability("ppu.schema") and row.capability("subscription.hold") is True

    @pytest.mark.parametrize("off", [None, False, {"switch": False}])
    def test_disabled_capability_matches_no_filter(self, vendor: Caller, off: Any) -> None:
        one = f"/products/{BACKUP}"
        on = {"ppu": {"schema": "TR", "dynamic": True}, "tiers": {"configs": {"level": 1}}}
        assert vendor.put(one, {"capabilities": on}).status == 200
        ppu, configs = ({"ppu": False}, {"configs": False}) if off else (off, off)
        body = {"ppu": ppu, "tiers": {"configs": configs}}
        after = vendor.put(one, {"capabilities": body}).json["capabilities"]
        assert after["ppu"] is None and after["tiers"]["configs"] is None
        row = Product.objects.get(pk=BACKUP)
        assert row.capability("ppu.schema") is None and row.capability("ppu.dynamic") is None
        assert row.capability("tiers.configs.level") is None
        # The same applies if other keys are stored with the disabled capability.
        row.capabilities = {"ppu": {"ppu": False, "dynamic": True}}
        assert row.capability("ppu.dynamic") is None

    def test_representation_can_be_written_back(self, vendor: Caller) -> None:
        for pk in (BACKUP, SUITE, METER):
            read = vendor.get(f"/products/{pk}").json
            wrote = vendor.put(f"/products/{pk}", read).json
            assert {**wrote, "events": {}} == {**read, "events": {}}

    def test_sale_ends_and_resumes(self, vendor: Caller, distributor: Caller) -> None:
        one = f"/products/{BACKUP}"
        body = {"replacement": {"id": SUITE}, "end_of_sale_notes": "Use the suite."}
        ended = vendor.post(f"{one}/endsale", body).json
        assert (ended["status"], ended["replacement"]["id"]) == ("endofsale", SUITE)
        assert ids(distributor, f"/products?replacement.id={SUITE}") == [BACKUP]
        refused(vendor.post(f"{one}/endsale"), 400)
        resumed = vendor.post(f"{one}/resumesale").json
        assert resumed["status"] == "published" and "replacement" not in resumed
        refused(vendor.post(f"{one}/resumesale"), 400)

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            ({"name": ""}, "name: This field may not be blank."),
            ({"name": None}, "name: This field is required."),
            ({"name": ["x"]}, "name: Not a valid string."),
            ({"name": "x" * 256}, "name: Ensure this field has no more than 255 characters."),
            ({"external_id": {}}, "external_id: Not a valid string."),
            ({"capabilities": []}, "capabilities: Expected an object."),
            ({"capabilities": {"teleport": True}}, "capabilities.teleport: Unknown capability."),
            ({"capabilities": {"cart": {"validation": 1}}},
             "capabilities.cart.validation: Must be a valid boolean."),
            ({"capabilities": {"ppu": {"schema": "XX"}}},
             'capabilities.ppu.schema: "XX" is not a valid choice.'),
            ({"capabilities": {"tiers": {"configs": {"level": 3}}}},
             'capabilities.tiers.configs.level: "3" is not a valid choice.'),
            ({"capabilities": {"ppu": 0}}, "capabilities.ppu: Expected an object."),
            ({"capabilities": {"tiers": True}}, "capabilities.tiers: Expected an object."),
            ({"capabilities": {"ppu": {"required_custom_fields": [1]}}},
             "capabilities.ppu.required_custom_fields: Not a valid string."),
            ({"customer_ui_settings": {"documents": [{"title": "x", "url": "javascript:1"}]}},
             "customer_ui_settings.documents.url: Enter a valid URL."),
            ({"customer_ui_settings": {"languages": ["EN"]}},
             "customer_ui_settings.languages: Expected an object."),
        ],
    )  # fmt: skip
    def test_invalid_input_changes_nothing(
        self, vendor: Caller, body: dict[str, Any], error: str
    ) -> None:
        before = vendor.get(f"/products/{BACKUP}").json
        good = {"short_description": "Changed."}
        refused(vendor.put(f"/products/{BACKUP}", {**good, **body}), 400, error)
        assert vendor.get(f"/products/{BACKUP}").json == before


class TestParts:
    @pytest.mark.parametrize(("kind", "body", "change", "model"), PARTS)
    def test_parts_are_created_changed_and_deleted(
        self, vendor: Caller, distributor: Caller, kind: str, body: Any, change: Any, model: Any
    ) -> None:
        row = create(vendor, of(kind), body)
        one = f"{of(kind)}/{row['id']}"
        assert row == distributor.get(one).json
        assert row["id"] in ids(vendor, of(kind))
        changed = vendor.put(one, change)
        assert changed.status == 200
        assert {**changed.json, "events": {}} == {**row, **change, "events": {}}
        assert vendor.put(one, changed.json).status == 200
        assert vendor.delete(one).status == 204
        refused(vendor.delete(one), 404)

    @pytest.mark.parametrize(("kind", "body", "change", "model"), PARTS)
    def test_only_the_vendor_writes_parts(
        self,
        vendor: Caller,
        distributor: Caller,
        other: make.Catalog,
        kind: str,
        body: Any,
        change: Any,
        model: Any,
    ) -> None:
        row = create(vendor, of(kind), body)
        one, count = f"{of(kind)}/{row['id']}", model.objects.count()
        refused(distributor.post(of(kind), body), 403)
        refused(distributor.put(one, change), 403)
        refused(distributor.delete(one), 403)
        # The path of a stranger's own product does not help either.
        path = f"{of(kind, other.product.id)}/{row['id']}"
        refused(caller(other.vendor).put(path, change), 404)
        refused(caller(other.vendor).delete(path), 404)
        assert model.objects.count() == count
        assert vendor.get(one).json == row

    def test_only_the_vendor_writes_products(
        self, vendor: Caller, distributor: Caller, other: make.Catalog
    ) -> None:
        refused(distributor.post("/products", {"name": "Mine"}), 403)
        before = vendor.get(f"/products/{BACKUP}").json
        for party, status in ((distributor, 403), (caller(other.vendor), 404)):
            refused(party.put(f"/products/{BACKUP}", {"name": "Mine"}), status)
            refused(party.delete(f"/products/{BACKUP}"), status)
            for name in ("endsale", "resumesale"):
                refused(party.post(f"/products/{BACKUP}/{name}"), status)
                refused(party.post(f"{of('items')}/{SEAT}/{name}"), status)
        assert vendor.get(f"/products/{BACKUP}").json == before


class TestItems:
    def test_choices_ignore_case(self, vendor: Caller) -> None:
        body = {**ITEM, "period": "Yearly", "precision": "integer", "commitment": {"count": 3}}
        row = create(vendor, of("items"), body)
        assert (row["type"], row["period"], row["precision"]) == (
            "reservation",
            "yearly",
            "integer",
        )
        assert (row["status"], row["commitment"]["count"]) == ("draft", 3)
        # The unit has the same name as in the product's other items.
        assert row["unit"]["title"] == "GB"
        assert row["local_id"] == row["id"].replace("-", "_")
        stored = Item.objects.get(pk=row["id"])
        assert (stored.type, stored.period) == ("Reservation", "Yearly")

    def test_only_draft_items_are_deleted(self, vendor: Caller) -> None:
        response = vendor.delete(f"{of('items')}/{SEAT}")
        refused(response, 400, "Only draft Item can be deleted.")
        assert response.json["error_code"] == "PRD_038"

    def test_sale_ends_and_resumes(self, vendor: Caller) -> None:
        one = f"{of('items')}/{SEAT}"
        response = vendor.post(f"{one}/endsale", {"replacement": {"id": f"{BACKUP}-0002"}})
        assert (response.status, response.json) == (200, None)
        row = vendor.get(one).json
        assert row["status"] == "endofsale" and row["events"]["saleended"]["at"]
        assert row["replacement"]["id"] == f"{BACKUP}-0002"
        refused(vendor.post(f"{one}/endsale"), 400)
        assert vendor.post(f"{one}/resumesale").status == 200
        row = vendor.get(one).json
        assert row["status"] == "published" and row["replacement"] == {}
        refused(vendor.post(f"{one}/resumesale"), 400)
        refused(
            vendor.post(f"{one}/endsale", {"replacement": {"id": f"{SUITE}-0001"}}),
            400,
            f"replacement.id: {SUITE}-0001 does not exist.",
        )


class TestParameters:
    def test_choice_has_its_default(self, vendor: Caller) -> None:
        marked = [{**CHOICES[0], "default": True}, CHOICES[1]]
        body = {**PARAMETER, "type": "dropdown", "constraints": {"choices": marked}}
        assert create(vendor, of("parameters"), body)["constraints"]["choices"] == marked
        assert Parameter.objects.get(name="tape").default == "a"
        parameter = vendor.put(f"{of('parameters')}/tape", {"constraints": {"required": True}}).json
        assert parameter["constraints"]["required"] is True
        assert parameter["constraints"]["choices"] == marked

    @pytest.mark.parametrize("by", ["id", "name"])
    def test_parameter_depends_on_another(self, vendor: Caller, by: str) -> None:
        other = vendor.get(f"{of('parameters')}/region").json
        expected = {"parameter": {by: other[by]}, "values": ["eu"], "required": True}
        row = create(
            vendor, of("parameters"), {**PARAMETER, "constraints": {"dependency": expected}}
        )
        assert row["constraints"]["dependency"] == {
            "parameter": {"id": "region"},
            "values": ["eu"],
            "required": True,
            "hidden": False,
            "readonly": False,
        }
        assert vendor.put(f"{of('parameters')}/tape", row).json["constraints"] == row["constraints"]
        itself = {"constraints": {"dependency": {"parameter": {"id": "tape"}}}}
        error = "constraints.dependency.parameter.id: Parameter tape does not exist."
        refused(vendor.put(f"{of('parameters')}/tape", itself), 400, error)

    def test_ids_count_per_product(self, vendor: Caller) -> None:
        numbers = [row["id"][-4:] for row in vendor.get(of("parameters")).json]
        assert numbers == ["0001", "0002", "0003", "0004"]
        row = create(vendor, of("parameters"), PARAMETER)
        assert row["id"] == f"PRM-{BACKUP.removeprefix('PRD-')}-0005"
        assert vendor.get(f"{of('parameters')}/{row['id']}").json["name"] == "tape"
        assert vendor.get(f"{of('parameters')}?id={row['id']}").json == [row]

    def test_orders_have_the_new_parameter(self, vendor: Caller, distributor: Caller) -> None:
        create(vendor, of("parameters"), PARAMETER)
        body = {
            "type": "purchase",
            "asset": {
                "connection": {"id": "CT-2044-1187-9002"},
                "items": [{"id": SEAT, "quantity": 1}],
                "params": [{"id": "tape", "value": "LTO"}],
                "tiers": {
                    "customer": {"name": "Harbour Cafe", "contact_info": make.CONTACT},
                    "tier1": {"name": "Portland Resellers", "contact_info": make.CONTACT},
                },
            },
        }
        params = create(distributor, "/requests", body)["asset"]["params"]
        assert {p["id"]: p["value"] for p in params}["tape"] == "LTO"


class TestTemplatesAndActions:
    def test_template_has_its_position(self, vendor: Caller) -> None:
        last = create(vendor, of("templates"), TEMPLATE)["id"]
        first = create(vendor, of("templates"), {**TEMPLATE, "position": 0})
        assert first["position"] == 0
        pks = ids(vendor, of("templates"))
        assert pks.index(first["id"]) < pks.index(last) == len(pks) - 1

    def test_template_in_use_cannot_be_deleted(self, vendor: Caller) -> None:
        used = Template.objects.filter(asset__isnull=False).first()
        assert used is not None
        response = vendor.delete(f"{of('templates', used.product_id)}/{used.pk}")
        refused(response, 400)
        assert "can't be deleted: there are" in response.json["errors"][0]

    def test_action_name_is_unique(self, vendor: Caller) -> None:
        create(vendor, of("actions"), ACTION)
        error = "action: Action with same id already exists for the product."
        refused(vendor.post(of("actions"), ACTION), 400, error)


WRONG: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    *(
        ("items", ITEM, body, error)
        for body, error in (
            ({"name": None}, "name: This field is required."),
            ({"mpn": ""}, "mpn: This field is required."),
            ({"unit": None}, "unit: This field is required."),
            ({"unit": "gb"}, "unit: Expected an object."),
            ({"unit": {"name": "GB"}}, "unit.id: This field is required."),
            ({"unit": {"id": ["gb"]}}, "unit.id: Not a valid string."),
            ({"type": "gift"}, 'type: "gift" is not a valid choice.'),
            ({"type": {"a": 1}}, """type: "{'a': 1}" is not a valid choice."""),
            ({"period": "weekly"}, 'period: "weekly" is not a valid choice.'),
            ({"precision": "decimal(3)"}, 'precision: "decimal(3)" is not a valid choice.'),
            ({"precision": "decimal(2)"},
             "precision: Reservation items are counted in whole numbers."),
            ({"type": "ppu", "period": "yearly"},
             "period: Pay-as-you-go items are billed monthly."),
            ({"commitment": {"count": "3"}}, "commitment.count: A valid integer is required."),
            ({"commitment": {"count": 0}},
             "commitment.count: Ensure this value is between 1 and 120."),
            ({"dynamic": "yes"}, "dynamic: Must be a valid boolean."),
            ({"ui": {"visibility": None}}, "ui.visibility: Must be a valid boolean."),
            ({"name": "Seat"}, "name: Item with same name already exists for the product."),
            ({"mpn": "NB-SEAT"}, "mpn: Item with same mpn already exists for the product."),
        )
    ),
    *(
        ("parameters", PARAMETER, body, error)
        for body, error in (
            ({"name": ""}, "name: This field may not be blank."),
            ({"name": "a b"},
             "name: Only letters, digits, dots, dashes and underscores are allowed."),
            ({"name": "PRM-814-505-018-0001"},
             "name: Only letters, digits, dots, dashes and underscores are allowed."),
            ({"name": "region"}, "name: Parameter with same name already exists for the product."),
            ({"title": None}, "title: This field is required."),
            ({"type": "number"}, 'type: "number" is not a valid choice.'),
            ({"phase": "later"}, 'phase: "later" is not a valid choice.'),
            ({"scope": "hub"}, 'scope: "hub" is not a valid choice.'),
            ({"scope": "product"}, 'scope: "product" is not a scope of the ordering phase.'),
            ({"phase": "configuration"},
             'scope: "asset" is not a scope of the configuration phase.'),
            ({"constraints": []}, "constraints: Expected an object."),
            ({"constraints": {"required": "yes"}},
             "constraints.required: Must be a valid boolean."),
            ({"constraints": {"min_length": 5, "max_length": 4}},
             "constraints.min_length: This is more than max_length."),
            ({"constraints": {"max_length": True}},
             "constraints.max_length: A valid integer is required."),
            ({"constraints": {"shared": "all"}},
             'constraints.shared: "all" is not a valid choice.'),
            ({"type": "dropdown"}, "constraints.choices: This list may not be empty."),
            ({"type": "choice", "constraints": {"choices": "ab"}},
             'constraints.choices: Expected a list of items but got type "str".'),
            ({"type": "choice", "constraints": {"choices": [[]]}},
             "constraints.choices: Expected an object."),
            ({"type": "choice", "constraints": {"choices": [1]}},
             "constraints.choices: Expected an object."),
            ({"type": "choice", "constraints": {"choices": ["a", "a"]}},
             "constraints.choices: Values of choices must differ."),
            ({"type": "choice", "constraints": {"choices": ["a"]}, "default": "b"},
             'default: "b" is not a valid choice.'),
            ({"default": 5}, "default: Not a valid value of a text."),
            ({"constraints": {"dependency": {"values": ["x"]}}},
             "constraints.dependency.parameter: This field is required."),
            ({"constraints": {"dependency": {"parameter": {"id": 5}}}},
             "constraints.dependency.parameter.id: Not a valid string."),
            ({"constraints": {"dependency": {"parameter": {"name": "nope"}}}},
             "constraints.dependency.parameter.name: Parameter nope does not exist."),
            ({"type": "choice", "constraints": {"choices": [{"value": "a", "default": 1}]}},
             "constraints.choices.default: Must be a valid boolean."),
            ({"default": 0}, "default: Not a valid value of a text."),
            ({"default": False}, "default: Not a valid value of a text."),
        )
    ),
    ("templates", {}, {"name": ""}, "name: This field may not be blank."),
    ("templates", TEMPLATE, {"scope": "hub"}, 'scope: "hub" is not a valid choice.'),
    ("templates", TEMPLATE, {"type": 7}, 'type: "7" is not a valid choice.'),
    ("templates", TEMPLATE, {"body": ["x"]}, "body: Not a valid string."),
    ("templates", TEMPLATE, {"position": 2**31},
     "position: Ensure this value is between 0 and 2147483647."),
    ("templates", TEMPLATE, {"position": True},
     "position: A valid integer is required."),
    ("actions", ACTION, {"action": "a b"},
     "action: Only letters, digits, dashes and underscores are allowed."),
    ("actions", ACTION, {"scope": "product"}, 'scope: "product" is not a valid choice.'),
    ("actions", ACTION, {"type": "link"}, 'type: "link" is not a valid choice.'),
    ("actions", ACTION, {"name": None}, "name: This field is required."),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "base", "body", "error"), WRONG)
def test_invalid_part_creates_nothing(
    vendor: Caller, kind: str, base: dict[str, Any], body: dict[str, Any], error: str
) -> None:
    before = ids(vendor, of(kind))
    refused(vendor.post(of(kind), {**base, **body}), 400, error)
    assert ids(vendor, of(kind)) == before


def test_product_is_created_by_the_api_and_ordered(vendor: Caller, distributor: Caller) -> None:
    product = create(vendor, "/products", {"name": "Nimbus Archive"})["id"]
    item = create(vendor, of("items", product), ITEM)
    create(vendor, of("parameters", product), {**PARAMETER, "constraints": {"required": True}})
    create(vendor, of("templates", product), {**TEMPLATE, "scope": "asset"})
    refused(distributor.get(f"/products/{product}"), 404)
    line = create(vendor, of("connections", product), {"hub": {"id": HUB}})
    assert (line["type"], line["status"]) == ("test", "active")
    listing = {"type": "new", "product_id": product, "contract_id": CONTRACT}
    error = f"product_id: Product {product} is draft: publish it by a version before it is listed."
    refused(vendor.post("/listing-requests", listing), 400, error)
    version = create(vendor, of("versions", product), {"changes_description": "The first."})
    assert (version["status"], version["version"]) == ("published", 1)
    pk = create(vendor, "/listing-requests", listing)["id"]
    for party, name in ((vendor, "submit"), (distributor, "deploy"), (distributor, "complete")):
        assert party.post(f"/listing-requests/{pk}/{name}").status == 200
    order = {
        "type": "purchase",
        "asset": {
            "connection": {"id": line["id"]},
            "items": [{"id": item["id"], "quantity": 2}],
            "params": [{"id": "tape", "value": "LTO"}],
            "tiers": {
                "customer": {"name": "Harbour Cafe", "contact_info": make.CONTACT},
                "tier1": {"name": "Portland Resellers", "contact_info": make.CONTACT},
            },
        },
    }
    request = create(distributor, "/requests", order)
    assert request["status"] == "pending"
    assert vendor.post(f"/requests/{request['id']}/approve").json["status"] == "approved"
    # It belongs to a subscription now.
    refused(vendor.delete(f"/products/{product}"), 400)
    Item.objects.filter(pk=item["id"]).update(status="draft")
    error = f"{item['id']} can't be deleted: there are subscriptions with it."
    refused(vendor.delete(f"{of('items', product)}/{item['id']}"), 400, error)

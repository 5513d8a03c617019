"""The template that a request shows in each status, rendered, in lists and details."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from requests_queue.catalog.models import Asset, Template
from requests_queue.queues.fulfillment.models import Request
from tests import make
from tests.api import Caller, caller, ids

pytestmark = pytest.mark.django_db

PENDING, INQUIRE, OTHER = "TL-111-111-112", "TL-111-111-113", "TL-111-111-114"
TIERS = {
    f"{kind}-{level}": f"TL-111-{level}12-{n}11"
    for level in (1, 2)
    for n, kind in enumerate(("pending", "inquire", "fulfillment"))
}
CAPABLE = {
    "subscription": {"hold": True, "renew": {"enable_renew": True},
                     "transfer": {"enable_transfer": True}},
    "tiers": {"configs": {"configs": True, "level": 2}},
}  # fmt: skip
LINK = "Answer [here]({{ request.params_form_url }}), {{ asset.tiers.customer.name }}"


def template(catalog: make.Catalog, pk: str, kind: str, body: str, **more: Any) -> Template:
    fields = {"position": 10, "scope": "asset", "created": make.AT, "updated": make.AT, **more}
    return Template.objects.create(
        id=pk, product=catalog.product, name=pk, type=kind, body=body, **fields
    )


@pytest.fixture
def catalog() -> make.Catalog:
    catalog = make.catalog(capabilities=CAPABLE)
    make.parameter(catalog, "region")
    template(catalog, "TL-111-111-999", "pending", "Another", position=20)
    template(catalog, "TL-111-111-998", "pending", "Of resellers", position=0, scope="tier1")
    template(catalog, PENDING, "pending", "{{ request.id }} is {{ request.status }}")
    template(catalog, INQUIRE, "inquire", LINK)
    template(catalog, OTHER, "inquire", "We need a region, not {{ asset.params.region.value }}")
    return catalog


def order(catalog: make.Catalog, **asset: Any) -> tuple[Caller, str]:
    """Order as the distributor; return the vendor and the request's id."""
    asset.setdefault("params", [{"id": "region", "value": "mars"}])
    response = caller(catalog.provider).post("/requests", make.purchase(catalog, asset=asset))
    assert response.status == 201, response.json
    return caller(catalog.vendor), response.json["id"]


def shown(caller: Caller, pk: str) -> Any:
    """Return the template of a request, the same in list, detail and for both parties."""
    detail = caller.get(f"/requests/{pk}").json
    [listed] = caller.get(f"/requests?id={pk}").json
    assert listed == detail
    return detail.get("template")


def wrong(vendor: Caller, pk: str) -> None:
    params = [{"id": "region", "value_error": "Not offered"}]
    assert vendor.put(f"/requests/{pk}", {"asset": {"params": params}}).status == 200


def test_pending_request_shows_the_first_pending_template(catalog: make.Catalog) -> None:
    vendor, pk = order(catalog)
    expected = {"id": PENDING, "name": PENDING, "message": f"{pk} is pending"}
    assert shown(vendor, pk) == shown(caller(catalog.provider), pk) == expected
    assert vendor.get(f"/requests/{pk}").json["activation_key"] == ""


@pytest.mark.parametrize(
    "kind", ["change", "suspend", "resume", "cancel", "adjustment", "renew", "transfer"]
)
def test_requests_of_every_type_show_it(catalog: make.Catalog, kind: str) -> None:
    make.asset(catalog, status="suspended" if kind == "resume" else "active")
    asset: dict[str, Any] = {"id": "AS-0000-0000-0001"}
    if kind in ("change", "renew", "transfer"):
        asset["items"] = [{"id": catalog.item.pk, "quantity": 7}]
    response = caller(catalog.provider).post("/requests", {"type": kind, "asset": asset})
    assert (response.status, response.json["status"]) == (201, "pending"), response.json
    assert response.json["template"]["id"] == PENDING
    assert response.json["template"]["message"] == f"{response.json['id']} is pending"


def test_inquiring_request_shows_the_default_or_chosen_template(
    catalog: make.Catalog, settings: Any
) -> None:
    settings.SIM_PUBLIC_URL = "http://localhost:9000"
    vendor, pk = order(catalog)
    path = f"/requests/{pk}"
    wrong(vendor, pk)
    inquired = vendor.post(f"{path}/inquire", {}).json
    link = inquired["params_form_url"]
    assert link == f"http://localhost:9000/forms/{pk}?code={Request.objects.get().form_code}"
    message = f"Answer [here]({link}), Harbour Cafe"
    assert inquired["template"] == {"id": INQUIRE, "name": INQUIRE, "message": message}
    assert shown(vendor, pk) == inquired["template"]

    # The template chosen for one inquiry does not apply to the next.
    assert vendor.post(f"{path}/pend").json["template"]["id"] == PENDING
    wrong(vendor, pk)
    chosen = vendor.post(f"{path}/inquire", {"template_id": OTHER}).json["template"]
    assert chosen == {"id": OTHER, "name": OTHER, "message": "We need a region, not mars"}
    assert shown(vendor, pk) == chosen
    pended = vendor.post(f"{path}/pend").json
    assert (pended["template"]["id"], pended["activation_key"]) == (PENDING, "")
    wrong(vendor, pk)
    assert vendor.post(f"{path}/inquire").json["template"]["id"] == INQUIRE
    vendor.post(f"{path}/pend")
    wrong(vendor, pk)
    tile = vendor.post(f"{path}/inquire", {"activation_tile": "Hi {{ asset.id }}"}).json
    assert tile["activation_key"] == f"Hi {tile['asset']['id']}"
    assert tile["template"] == {
        "id": INQUIRE,
        "name": INQUIRE,
        "message": tile["activation_key"],
    }
    failed = vendor.post(f"{path}/fail", {"reason": "No"}).json
    assert "template" not in failed and "params_form_url" not in failed


def test_approval_stores_the_rendered_text(catalog: make.Catalog) -> None:
    Template.objects.filter(pk=catalog.template.pk).update(body="# {{ asset.tiers.tier1.name }}")
    vendor, pk = order(catalog)
    approved = vendor.post(f"/requests/{pk}/approve", {}).json
    assert approved["activation_key"] == "# Portland Resellers"
    assert approved["template"] == {
        "id": catalog.template.pk,
        "name": "Active",
        "message": "# Portland Resellers",
    }
    # The rendered text is stored, so later changes of the template don't matter.
    Template.objects.filter(pk=catalog.template.pk).update(body="# Other")
    assert shown(vendor, pk) == approved["template"]
    Template.objects.filter(pk=catalog.template.pk).delete()
    approved = vendor.get(f"/requests/{pk}").json
    assert ("template" in approved, approved["activation_key"]) == (False, "# Portland Resellers")

    vendor, pk = order(catalog)
    explicit = vendor.post(f"/requests/{pk}/approve", {"template_id": OTHER}).json
    assert explicit["template"]["message"] == "We need a region, not mars"
    assert explicit["activation_key"] == "We need a region, not mars"

    vendor, pk = order(catalog)
    tile = vendor.post(f"/requests/{pk}/approve", {"activation_tile": "{{ request.id }}!"}).json
    assert (tile["activation_key"], "template" in tile) == (f"{pk}!", False)


def test_template_syntax_in_values_is_not_rendered(catalog: make.Catalog) -> None:
    vendor, pk = order(catalog, params=[{"id": "region", "value": "{{ request.id }}"}])
    wrong(vendor, pk)
    row = vendor.post(f"/requests/{pk}/inquire", {"template_id": OTHER}).json["template"]
    assert row["message"] == "We need a region, not {{ request.id }}"


def test_a_product_without_templates_has_none_to_show() -> None:
    catalog = make.catalog()
    make.parameter(catalog, "region")
    vendor, pk = order(catalog)
    assert shown(vendor, pk) is None
    wrong(vendor, pk)
    assert "template" not in vendor.post(f"/requests/{pk}/inquire").json


def test_other_statuses_show_no_template(catalog: make.Catalog) -> None:
    for status in ("draft", "tiers_setup", "failed", "scheduled", "revoking", "revoked"):
        Request.objects.all().delete()
        vendor, pk = order(catalog)
        Request.objects.update(status=status, template=catalog.template)
        assert shown(vendor, pk) is None, status


def test_conflict_names_the_template(catalog: make.Catalog) -> None:
    order(catalog, external_uid="u-1")
    again = caller(catalog.provider).post(
        "/requests", make.purchase(catalog, asset={"external_uid": "u-1"})
    )
    assert (again.status, again.json["params"]["template"]) == (409, {"id": PENDING})


def test_requests_are_filtered_and_pruned_by_the_template_they_show(catalog: make.Catalog) -> None:
    vendor, pending = order(catalog)
    _, inquiring = order(catalog)
    wrong(vendor, inquiring)
    vendor.post(f"/requests/{inquiring}/inquire")
    _, approved = order(catalog)
    vendor.post(f"/requests/{approved}/approve")
    for query, expected in (
        (f"template.id={PENDING}", {pending}),
        (f"eq(template.id,{INQUIRE})", {inquiring}),
        (f"in(template.id,({PENDING},{catalog.template.pk}))", {pending, approved}),
        (f"ne(template.id,{PENDING})", {inquiring, approved}),
        ("template.id=TL-111-111-999", set()),
        ("eq(template.id,null())", set()),
    ):
        assert set(ids(vendor, f"/requests?{query}")) == expected, query
    assert ids(vendor, "/requests?ordering(template.id)") == [approved, pending, inquiring]
    [row] = vendor.get(f"/requests?select(-template)&id={pending}").json
    assert "template" not in row
    vendor.post(f"/requests/{pending}/fail", {"reason": "No"})
    assert ids(vendor, "/requests?eq(template.id,null())") == [pending]


@pytest.mark.parametrize("level", [1, 2])
def test_tier_configuration_request_shows_the_template_of_its_tier(level: int) -> None:
    catalog = make.catalog(capabilities=CAPABLE)
    scope = f"tier{level}"
    for tier in ("tier1", "tier2"):
        make.parameter(catalog, f"{tier}_ask", scope=tier)
        for kind in ("pending", "inquire", "fulfillment"):
            pk = TIERS[f"{kind}-{tier[-1]}"]
            template(catalog, pk, kind, "[{{ tier_config_request.activation.link }}]", scope=tier)
    template(catalog, PENDING, "pending", "Of subscriptions", position=0)
    chosen = template(catalog, OTHER, "inquire", "Chosen", scope=scope, position=30)
    body = {
        "type": "setup",
        "params": [{"id": f"{scope}_ask", "value": "x"}],
        "configuration": {
            "product": {"id": catalog.product.pk},
            "tier_level": level,
            "account": {"name": "Reseller", "contact_info": make.CONTACT},
        },
    }
    vendor, distributor = caller(catalog.vendor), caller(catalog.provider)
    created = distributor.post("/tier/config-requests", body).json
    path = f"/tier/config-requests/{created['id']}"

    def carried() -> Any:
        detail = vendor.get(path).json
        [listed] = vendor.get("/tier/config-requests").json
        assert listed == detail == distributor.get(path).json
        template_id = (detail.get("template") or {}).get("id", "null()")
        assert ids(vendor, f"/tier/config-requests?eq(template.id,{template_id})") == [
            created["id"]
        ]
        return detail.get("template")

    def inquire(**more: Any) -> None:
        marked = [{"id": f"{scope}_ask", "value_error": "Wrong"}]
        assert vendor.put(path, {"params": marked}).status == 200
        assert vendor.post(f"{path}/inquire", more).status == 204

    pending = TIERS[f"pending-{level}"]
    assert carried() == {"id": pending, "name": pending}
    inquire()
    assert carried()["id"] == TIERS[f"inquire-{level}"]
    vendor.post(f"{path}/pend")
    assert carried()["id"] == pending
    inquire(template={"id": chosen.pk})
    assert carried()["id"] == chosen.pk
    vendor.post(f"{path}/pend")
    inquire()
    assert carried()["id"] == TIERS[f"inquire-{level}"]
    vendor.post(f"{path}/pend")
    vendor.post(f"{path}/approve", {})
    assert carried()["id"] == TIERS[f"fulfillment-{level}"]


def test_billing_list_shows_the_pending_template(catalog: make.Catalog) -> None:
    vendor, pk = order(catalog)
    [row] = vendor.get("/subscriptions/assets").json
    assert row["pending_request"]["template"] == {"id": PENDING, "name": PENDING}
    vendor.post(f"/requests/{pk}/approve")
    assert Asset.objects.get().template == catalog.template


def test_render_equals_the_shown_template(seeded: Any, vendor: Caller) -> None:
    render: Callable[[str], str] = lambda pk: vendor.client.get(  # noqa: E731
        f"/public/v1/requests/{pk}/render", headers={"authorization": f"ApiKey {vendor.key}"}
    ).content.decode()
    rows = vendor.get("/requests?in(status,(pending,inquiring,approved))&limit=100").json
    assert {row["status"] for row in rows} == {"pending", "inquiring", "approved"}
    for row in rows:
        assert row["template"]["message"] == render(row["id"])
        assert "{{" not in row["template"]["message"] + row["activation_key"]

"""The billing queue: creation, errors, visibility, and scheduled requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from requests_queue import clock
from requests_queue.catalog.models import Asset, Product
from requests_queue.errors import Refused
from requests_queue.queues import transitions
from requests_queue.queues.billing import creation, due, samples
from requests_queue.queues.billing.models import BillingRequest, SubscriptionBilling
from requests_queue.queues.fulfillment import creation as orders
from requests_queue.queues.fulfillment.models import Request
from requests_queue.seed.products import BACKUP
from tests import make
from tests.api import Caller, caller, ids, refused
from tests.engines import move_clock
from webhooks.models import Event, Webhook

pytestmark = pytest.mark.django_db

PATH, ASSETS = "/subscriptions/requests", "/subscriptions/assets"
ASSET = "AS-0000-0000-0001"
ITEM = {
    "id": "SEAT", "global_id": "PRD-1-0001", "mpn": "M-SEAT", "display_name": "Seat",
    "item_type": "Reservation", "period": "Monthly", "type": "Users", "quantity": "5",
    "old_quantity": "5", "params": [],
}  # fmt: skip
YEARLY = {**ITEM, "id": "YEAR", "global_id": "PRD-1-0002", "mpn": "M-YEAR", "period": "Yearly"}
USED = {**ITEM, "id": "PPU", "global_id": "PRD-1-0003", "mpn": "M-PPU", "item_type": "PPU",
        "quantity": "unlimited"}  # fmt: skip
ONCE = {**ITEM, "id": "ONCE", "global_id": "PRD-1-0004", "mpn": "M-ONCE", "period": "OneTime"}
PERIOD = {"from": "2026-10-01T00:00:00.000Z", "to": "2026-11-01T02:00:00+02:00", "delta": 1,
          "uom": "monthly"}  # fmt: skip
SHOWN = {"from": "2026-10-01T00:00:00+00:00", "to": "2026-11-01T00:00:00+00:00", "delta": 1.0,
         "uom": "monthly"}  # fmt: skip


def nested(**more: Any) -> dict[str, Any]:
    return {"asset": {"id": ASSET}, "items": [{"id": "SEAT"}], "period": PERIOD, **more}


def flat(**more: Any) -> dict[str, Any]:
    period = {f"period_{name}": value for name, value in PERIOD.items()}
    return {"asset_id": ASSET, "items": [{"id": "SEAT"}], **period, **more}


def subscribed(catalog: make.Catalog, n: int = 1, **more: Any) -> Asset:
    return make.asset(catalog, n, **{"items": [ITEM, YEARLY, USED, ONCE], **more})


@pytest.fixture
def catalog(catalog: make.Catalog) -> make.Catalog:
    """Both parties have a webhook."""
    for n, account in enumerate((catalog.vendor, catalog.provider), 1):
        make.webhook(catalog, n=n, object_class="billing_request", account=account)
    return catalog


def notified(pk: str) -> list[str]:
    """Return the types of the accounts that were notified of an object, in order."""
    events = Event.objects.filter(object_id=pk).order_by("pk")
    return list(events.values_list("webhook__account__type", flat=True))


def test_each_party_creates_its_type_and_is_notified(catalog: make.Catalog) -> None:
    subscribed(catalog, external_uid="uid-1")
    for account, kind, letter in (
        (catalog.vendor, "vendor", "V"),
        (catalog.provider, "provider", "P"),
    ):
        party = caller(account)
        pks = [f"BR{letter}-0000-0000-0001-000{n}" for n in (1, 2, 3, 4)]
        by_uid = {"external_uid": "uid-1"}
        bodies = (
            nested(type=kind),
            flat(),
            nested(asset=by_uid),
            flat(asset_id=None, asset_external_uid="uid-1"),
        )
        for cycle, (pk, body) in enumerate(zip(pks, bodies, strict=True), 1):
            response = party.post(PATH, body)
            assert response.status == 201, response
            row = response.json
            assert (row["id"], row["type"], row["period"]) == (pk, kind, SHOWN)
            assert row["items"] == [
                {
                    "id": "SEAT",
                    "global_id": "PRD-1-0001",
                    "mpn": "M-SEAT",
                    "display_name": "Seat",
                    "item_type": "reservation",
                    "period": "monthly",
                    "type": "Users",
                    "quantity": 5.0,
                    "billing": {"cycle_number": cycle},
                }
            ]
            assert "status" not in row and row["attributes"] == {}
            assert sorted(notified(pk)) == sorted({"provider", kind}), kind
            assert party.get(f"{PATH}/{pk}").json == row
        other_kind = "vendor" if kind == "provider" else "provider"
        refused(party.post(PATH, nested(type=other_kind)), 403)


WRONG: list[tuple[dict[str, Any], str]] = [
    (nested(type="both"), 'type: "both" is not a valid choice.'),
    (nested(type=["vendor"]), "type: \"['vendor']\" is not a valid choice."),
    (nested(asset={}), "asset.id: This field is required."),
    (nested(asset="AS-1"), "asset: Expected an object."),
    (nested(asset={"id": 5}), "asset.id: Not a valid string."),
    (nested(asset={"id": "AS-9"}), "asset.id: Subscription AS-9 does not exist."),
    (nested(asset={"external_uid": "x"}), "asset.external_uid: Subscription x does not exist."),
    (nested(items=None), "items: This list may not be empty."),
    (nested(items=[]), "items: This list may not be empty."),
    (nested(items={"id": "SEAT"}), 'items: Expected a list of items but got type "dict".'),
    (nested(items=["SEAT"]), "items: Expected an object."),
    (nested(items=[{}]), "items: Item (without id) is not in the subscription."),
    (nested(items=[{"id": "GONE"}]), "items: Item GONE is not in the subscription."),
    *(
        (nested(items=[{"id": "SEAT", "quantity": wrong}]),
         "items: Quantity of SEAT is not a number from 0.")
        for wrong in (-1, "many", "nan", "inf", 1e30, "1" * 5000)
    ),
    *(
        (nested(items=[{"id": "SEAT", "quantity": wrong}]),
         "items.quantity: A valid number is required.")
        for wrong in (True, [], {})
    ),
    (nested(period="monthly"), "period: Expected an object."),
    (nested(period={**PERIOD, "from": None}), "period.from: This field is required."),
    *(
        (nested(period={**PERIOD, "from": wrong}), "period.from: Not a valid date.")
        for wrong in ("soon", 5, [], True, "2026-13-01", "2026-02-30T00:00:00Z",
                      "9999-12-31T23:00:00-10:00", "0001-01-01T00:00:00+14:00")
    ),
    (nested(period={**PERIOD, "to": PERIOD["from"]}),
     "period.to: The period ends before it starts."),
    *(
        (nested(period={**PERIOD, "delta": wrong}), "period.delta: A number above 0 is required.")
        for wrong in (0, -1, 1e300)
    ),
    *(
        (nested(period={**PERIOD, "delta": wrong}), "period.delta: A valid number is required.")
        for wrong in ("1", True, [])
    ),
    (nested(period={**PERIOD, "uom": "weekly"}), 'period.uom: "weekly" is not a valid choice.'),
    (nested(period={**PERIOD, "uom": []}), 'period.uom: "[]" is not a valid choice.'),
    (nested(attributes=[]), "attributes: Expected an object."),
    (nested(attributes={"provider": "x"}), "attributes.provider: Expected an object."),
]  # fmt: skip


def test_invalid_input_creates_nothing(catalog: make.Catalog) -> None:
    subscribed(catalog)
    distributor = caller(catalog.provider)
    for body, error in WRONG:
        refused(distributor.post(PATH, body), 400, error)
    everything = distributor.post(PATH, {"asset_id": ASSET, "items": [{"id": "SEAT"}]})
    refused(
        everything,
        400,
        *(f"period.{name}: This field is required." for name in ("from", "to", "delta", "uom")),
    )
    refused(distributor.post(PATH, nested(attributes={"vendor": {"a": 1}})), 403)
    for status in ("draft", "processing"):
        Asset.objects.update(status=status)
        refused(
            distributor.post(PATH, nested()), 400, f"A subscription that is {status} is not billed."
        )
    assert not BillingRequest.objects.exists() and not Event.objects.exists()


def test_items_by_any_name_and_quantities_as_numbers(catalog: make.Catalog) -> None:
    subscribed(catalog)
    items = [
        {"id": "PRD-1-0001", "quantity": "2.5"},
        {"mpn": "M-YEAR", "quantity": 3},
        {"id": "PPU"},
    ]
    row = caller(catalog.provider).post(PATH, nested(items=items)).json
    assert [(i["id"], i["quantity"]) for i in row["items"]] == [
        ("SEAT", 2.5),
        ("YEAR", 3.0),
        ("PPU", 0.0),
    ]


def test_each_party_writes_its_attributes_as_a_queue_change(catalog: make.Catalog) -> None:
    subscribed(catalog)
    vendor, distributor = caller(catalog.vendor), caller(catalog.provider)
    created = vendor.post(PATH, nested(attributes={"vendor": {"n": 1}})).json
    path = f"{PATH}/{created['id']}"
    assert created["attributes"] == {"vendor": {"n": 1}}
    BillingRequest.objects.update(updated=make.AT)
    for party, body, expected in (
        (vendor, {"vendor": {"n": 2}}, {"vendor": {"n": 2}, "provider": {}}),
        (distributor, {"provider": {"m": 1}}, {"vendor": {"n": 2}, "provider": {"m": 1}}),
        # A client sends back the attributes it has read.
        (vendor, {"vendor": {}, "provider": {"m": 1}}, {"vendor": {}, "provider": {"m": 1}}),
    ):
        before = len(notified(created["id"]))
        response = party.put(f"{path}/attributes", body)
        assert (response.status, response.json) == (200, expected)
        assert len(notified(created["id"])) == before + 2
        attributes = {side: values for side, values in expected.items() if side in body or values}
        assert vendor.get(path).json["attributes"] == attributes
    assert BillingRequest.objects.get().updated > make.AT
    before = len(notified(created["id"]))
    for party, body, status in (
        (vendor, {}, 200),
        (vendor, None, 200),
        (vendor, {"vendor": {}}, 200),
        (vendor, {"provider": {"m": 2}}, 403),
        (distributor, {"vendor": {"n": 9}}, 403),
        (vendor, {"vendor": "x"}, 400),
    ):
        assert party.put(f"{path}/attributes", body).status == status
    assert len(notified(created["id"])) == before
    assert vendor.put(f"{PATH}/BRV-1/attributes", {}).status == 404


def test_provider_requests_are_hidden_from_the_vendor(vendor: Caller, distributor: Caller) -> None:
    hidden = ids(distributor, f"{PATH}?type=provider")
    assert len(hidden) == 2 and ids(vendor, f"{PATH}?type=provider") == []
    path = f"{ASSETS}/AS-5810-2277-4093"
    of_vendor, of_provider = vendor.get(path).json, distributor.get(path).json
    assert of_vendor["billing"]["stats"].keys() == {"vendor"}
    assert of_provider["billing"]["stats"]["provider"]["count"] == 1
    assert of_provider["billing"]["stats"]["provider"]["last_request"]["id"] in hidden
    assert all(i["billing"]["stats"].keys() == {"vendor"} for i in of_vendor["items"])
    assert "BRP-" not in str(of_vendor) and "BRP-" not in str(vendor.get(ASSETS).json)


FILTERS = {
    "asset.id=AS-5810-2277-4093&type=provider": ["BRP-5810-2277-4093-0001"],
    "asset.product.id=PRD-814-505-018&type=provider": ["BRP-5810-2277-4093-0001"],
    "eq(asset.params.id,activation_id)&type=provider": ["BRP-5810-2277-4093-0001"],
    "eq(asset.params.value,NB-77120-4093)&type=provider": ["BRP-5810-2277-4093-0001"],
    "like(asset.params.name,*ctivation*)&type=provider": ["BRP-5810-2277-4093-0001"],
    "ne(asset.params.id,activation_id)&type=provider": ["BRP-2934-6610-1216-0001"],
    "in(asset.params.id,(activation_id,nothing))&type=provider": ["BRP-5810-2277-4093-0001"],
    "asset.billing.period.uom=yearly": [],
    "lt(asset.billing.next_date,2020-01-01T00:00:00Z)": [],
    "asset.tiers.customer.id=TA-0418-2290-3310&type=provider": ["BRP-5810-2277-4093-0001"],
    "period.uom=yearly": [],
    "gt(period.from,2099-01-01T00:00:00+00:00)": [],
    "gt(events.created.at,2099-01-01T00:00:00+00:00)": [],
}


def test_request_filters(distributor: Caller) -> None:
    for query, expected in FILTERS.items():
        assert ids(distributor, f"{PATH}?{query}") == expected, query
    refused(distributor.get(f"{PATH}?status=x"), 400)
    [row] = distributor.get(f"{PATH}?select(-asset.params,-items)&limit=1").json
    assert "items" not in row and "params" not in row["asset"]
    count = distributor.get(f"{PATH}?limit=0&offset=0&like(asset.params.value,NB-*)")
    assert count.headers["Content-Range"] == "items 0-0/3"
    both = "?eq(status,active)&ordering(-billing.next_date)&eq(params.id,activation_id)"
    assert ids(distributor, f"{ASSETS}{both}") == ["AS-5810-2277-4118", "AS-5810-2277-4093"]


def test_subscription_shows_its_billing(vendor: Caller) -> None:
    row = vendor.get(f"{ASSETS}/AS-5810-2277-4118").json
    assert row["billing"]["period"] == {"delta": 1.0, "uom": "monthly"}
    assert row["billing"].keys() == {"period", "next_date", "anniversary", "stats"}
    assert row["billing"]["anniversary"].keys() == {"day"}
    assert row["pending_request"]["id"] == "PR-5810-2277-4118-002"
    assert all(isinstance(i["quantity"], float) for i in row["items"])
    assert "tier2" not in row["tiers"]
    draft = vendor.get(f"{ASSETS}/AS-2934-6610-1185").json
    assert draft["billing"] == {"stats": {"vendor": {"last_request": {}, "count": 0}}}
    # Lists omit the key, because clients that find it read the period.
    listed = {r["id"]: r.get("billing") for r in vendor.get(ASSETS).json}
    assert listed["AS-2934-6610-1185"] is None
    assert listed["AS-5810-2277-4118"]["period"] == row["billing"]["period"]
    # Pay-as-you-go items are billed by usage files.
    used = vendor.get(f"{ASSETS}/AS-7046-3382-5520").json
    assert [i["item_type"] for i in used["items"]] == ["reservation"]


START = datetime(2026, 1, 31, 10, 30, tzinfo=UTC)


def at(year: int, month: int, day: int) -> datetime:
    return START.replace(year=year, month=month, day=day)


def activated(catalog: make.Catalog, **more: Any) -> Asset:
    return subscribed(catalog, **{"created": START, "updated": START, **more})


def made_requests() -> list[tuple[str, datetime, datetime, list[str]]]:
    return [
        (r.pk[-4:], r.period_from, r.period_to, [i["id"] for i in r.items])
        for r in BillingRequest.objects.order_by("pk")
    ]


def test_periods_are_billed_in_order(catalog: make.Catalog) -> None:
    activated(catalog)
    assert due.next_due(START) == at(2026, 2, 28)
    due.run(at(2026, 2, 28) - timedelta(seconds=1))
    assert not BillingRequest.objects.exists()
    due.run(at(2026, 2, 28))
    due.run(at(2026, 2, 28))
    assert made_requests() == [("0001", START, at(2026, 2, 28), ["SEAT"])]
    row = BillingRequest.objects.get()
    assert (row.pk, row.type) == ("BRV-0000-0000-0001-0001", "vendor")
    assert row.created == at(2026, 2, 28)
    assert sorted(notified(row.pk)) == ["provider", "vendor"]
    # The day of the month is restored in months that have it.
    assert due.next_due(at(2026, 2, 28)) == at(2026, 3, 31)
    # After a pause there is a request for each missed period.
    due.run(at(2027, 2, 1))
    bills = made_requests()
    assert [end.month for _, _, end, _ in bills] == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1]
    assert all(a[2] == b[1] for a, b in pairwise(bills))
    # Yearly items are billed with the twelfth period.
    assert [names for *_, names in bills] == [["SEAT"]] * 11 + [["SEAT", "YEAR"]]
    last = BillingRequest.objects.latest("pk").items
    assert [i["billing"]["cycle_number"] for i in last] == [12, 1]
    assert Webhook.objects.get(pk__endswith="001").events == 12


def test_periods_before_the_billing_started_are_not_billed() -> None:
    activated(make.catalog())
    due.run(at(2026, 6, 10))
    assert not BillingRequest.objects.exists()
    due.run(at(2026, 6, 30))
    assert made_requests() == [("0001", at(2026, 5, 31), at(2026, 6, 30), ["SEAT"])]


def test_only_active_subscriptions_are_billed() -> None:
    asset = activated(make.catalog())
    due.run(START)
    Asset.objects.filter(pk=asset.pk).update(status="suspended", updated=at(2026, 2, 1))
    assert due.next_due(at(2026, 2, 1)) is None
    due.run(at(2026, 3, 15))
    assert not BillingRequest.objects.exists()
    Asset.objects.filter(pk=asset.pk).update(status="active", updated=at(2026, 3, 15))
    assert due.next_due(at(2026, 3, 15)) == at(2026, 3, 31)
    due.run(at(2026, 3, 31))
    assert [row[0] for row in made_requests()] == ["0001"]
    Asset.objects.filter(pk=asset.pk).update(status="terminated", updated=at(2026, 4, 1))
    due.run(at(2026, 5, 1))
    assert SubscriptionBilling.objects.get().next_date is None
    assert due.next_due(at(2026, 5, 1)) is None


@pytest.mark.parametrize(
    ("items", "uom", "month"),
    [
        ([ONCE, USED], "", None),
        ([YEARLY], "yearly", 1),
        ([{**YEARLY, "period": "2 Years"}, {**YEARLY, "period": "years_3"}], "yearly", 1),
        ([{**YEARLY, "period": "2 Years"}], "years_2", 1),
        ([{**YEARLY, "period": "5 years"}, ITEM], "monthly", None),
        ([], "", None),
    ],
)
def test_period_follows_from_the_items(
    catalog: make.Catalog, items: list[Any], uom: str, month: int | None
) -> None:
    activated(catalog, items=items)
    due.run(START)
    shown = caller(catalog.vendor).get(f"{ASSETS}/{ASSET}").json["billing"]
    assert shown.get("period", {}).get("uom", "") == uom
    assert shown.get("anniversary", {}).get("month") == month
    if uom == "":
        assert due.next_due(START) is None


def test_changed_items_change_the_period() -> None:
    asset = activated(make.catalog(), items=[YEARLY])
    due.run(START)
    assert due.next_due(START) == at(2027, 1, 31)
    Asset.objects.filter(pk=asset.pk).update(items=[YEARLY, ITEM], updated=at(2026, 5, 3))
    assert due.next_due(at(2026, 5, 3)) == at(2026, 5, 31)
    due.run(at(2026, 5, 31))
    assert made_requests() == [("0001", at(2026, 4, 30), at(2026, 5, 31), ["SEAT"])]
    Asset.objects.filter(pk=asset.pk).update(items=[YEARLY], updated=at(2026, 6, 3))
    assert due.next_due(at(2026, 6, 3)) == at(2027, 1, 31)
    due.run(at(2027, 1, 31))
    assert made_requests()[1] == ("0002", at(2026, 5, 31), at(2027, 1, 31), ["YEAR"])


def test_ended_period_is_billed_before_changed_items_apply() -> None:
    asset = activated(make.catalog(), items=[YEARLY])
    due.run(START)
    # The order is changed after the period ended and before the scheduler runs.
    boundary = at(2027, 1, 31)
    changed = boundary + timedelta(seconds=1)
    Asset.objects.filter(pk=asset.pk).update(items=[YEARLY, ITEM], updated=changed)
    due.next_due(changed)
    due.run(changed + timedelta(seconds=1))
    [(_, start, end, names)] = made_requests()
    assert (start, end, names[0]) == (START, boundary, "YEAR")
    assert due.next_due(changed + timedelta(seconds=2)) == at(2027, 2, 28)


def test_second_change_within_a_second_is_processed() -> None:
    asset = activated(make.catalog(), items=[YEARLY])
    moment = at(2026, 5, 3)
    Asset.objects.filter(pk=asset.pk).update(updated=moment)
    assert due.next_due(moment) == at(2027, 1, 31)
    Asset.objects.filter(pk=asset.pk).update(items=[ITEM], updated=moment)
    assert due.next_due(moment + timedelta(milliseconds=900)) == at(2026, 5, 31)
    # The scheduler does not process it again.
    due.run(moment + timedelta(seconds=2))
    assert SubscriptionBilling.objects.get().seen == moment


def test_clock_runs_from_approval_to_the_first_request(catalog: make.Catalog) -> None:
    order = orders.create(make.purchase(catalog), catalog.as_distributor)
    due.run(clock.now())
    assert not SubscriptionBilling.objects.exists()
    transitions.move(Request, order.pk, "approve", catalog.as_vendor)
    order.refresh_from_db()
    first = due.next_due(clock.now())
    assert first and order.effective_date
    assert (first - order.effective_date).days in (28, 29, 30, 31)
    move_clock((first - clock.now()).total_seconds() + 1)
    due.run(clock.now())
    [(_, start, end, names)] = made_requests()
    assert (start, end, names) == (order.effective_date, first, ["SEAT"])


@pytest.mark.parametrize("effective", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_date_at_the_end_of_the_range_stops_no_other(catalog: make.Catalog, effective: str) -> None:
    order = orders.create(make.purchase(catalog), catalog.as_distributor)
    transitions.move(Request, order.pk, "approve", catalog.as_vendor, {"effective_date": effective})
    due.next_due(clock.now())
    due.run(clock.now())
    assert not BillingRequest.objects.exists()
    assert caller(catalog.vendor).get(f"{ASSETS}/{order.asset_id}").status == 200


@pytest.mark.parametrize("kind", creation.TYPES)
def test_sample_bills_the_current_period(seeded: Any, kind: str) -> None:
    for product in (None, Product.objects.get(pk=BACKUP)):
        row = samples.create_sample(kind, product)
        assert (row.type, row.attributes.keys()) == (kind, {kind})
        assert row.items and row.period_from < row.period_to
        assert product in (None, row.product)


def test_sample_requires_a_subscription() -> None:
    with pytest.raises(Refused, match="Order one"):
        samples.create_sample("vendor", None)

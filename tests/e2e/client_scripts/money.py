"""Billing requests of both parties, in both forms of a body."""

from common import PLAIN
from either import distributor, ids, refused, result, status_of, vendor

REQUESTS = vendor.ns("subscriptions").collection("requests")
THEIRS = distributor.ns("subscriptions").collection("requests")
PERIOD = {
    "from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00.000Z", "delta": 1, "uom": "monthly",
}  # fmt: skip


def _nested(asset, kind):
    return {
        "type": kind, "asset": {"id": asset["id"]}, "items": [{"id": asset["items"][0]["id"]}],
        "period": PERIOD, "attributes": {kind: {"invoice": "1"}},
    }  # fmt: skip


def _flat(asset, kind):
    return {
        "type": kind, "asset_id": asset["id"],
        "items": [{"global_id": asset["items"][0]["global_id"], "quantity": 3}],
        **{f"period_{name}": value for name, value in PERIOD.items()},
    }  # fmt: skip


async def billing():
    """Bill a subscription as both parties, and read what each sees of the other's requests."""
    subscriptions = distributor.ns("subscriptions").assets
    asset = await result(subscriptions.filter(product__id=PLAIN, status="active").first())
    provided = await result(THEIRS.create(_nested(asset, "provider")))
    provided_flat = await result(THEIRS.create(_flat(asset, "provider")))
    vended = await result(REQUESTS.create(_nested(asset, "vendor")))
    vended_flat = await result(REQUESTS.create(_flat(asset, "vendor")))
    attributes = await result(
        REQUESTS[vended["id"]]("attributes").put({"vendor": {"invoice": "NB-1"}})
    )
    created = [row["id"] for row in (provided, provided_flat, vended, vended_flat)]
    return {
        "asset": asset, "provided": provided, "provided_flat": provided_flat, "vended": vended,
        "vended_flat": vended_flat, "attributes": attributes, "put": status_of(vendor),
        "read_attributes": await result(REQUESTS[vended["id"]]("attributes").get()),
        "after": await result(THEIRS[vended["id"]].get()),
        "seen_by_vendor": await ids(REQUESTS.filter(id__in=created).order_by("id")),
        "seen_by_provider": await ids(THEIRS.filter(id__in=created).order_by("id")),
        "exists": await result(REQUESTS[provided["id"]].exists()),
        "not_theirs": await refused(lambda: REQUESTS.create(_nested(asset, "provider"))),
        "no_period": await refused(
            lambda: REQUESTS.create({**_nested(asset, "vendor"), "period": {}})
        ),
        "subscription": await result(vendor.ns("subscriptions").assets[asset["id"]].get()),
        "of_asset": await result(THEIRS.filter(asset__id=asset["id"], type="provider").count()),
    }  # fmt: skip
